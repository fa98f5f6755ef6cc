import { expect, it } from '@jest/globals';
import { outcomeSubject } from '@osier/contracts/subjects';
import { type Bus, BusRefused, type StreamSnapshot } from '../bus.ts';
import { bytes, consumerName, eventually, gather, scope, state, text, watch } from './tools.ts';

type Kept = Omit<StreamSnapshot, 'pieces'> & { readonly pieces: readonly Uint8Array[] };
async function kept(snapshot: StreamSnapshot): Promise<Kept> {
  const pieces: Uint8Array[] = [];
  for await (const piece of snapshot.pieces) pieces.push(Uint8Array.from(piece));
  return { ...snapshot, pieces };
}
async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
const given = (snapshot: Kept): StreamSnapshot => ({ ...snapshot, pieces: each(snapshot.pieces) });
const content = async (bus: Bus, stream: string): Promise<unknown[]> => (await gather(bus.read({ stream }))).map(({ data, ...message }) => ({ ...message, text: new TextDecoder().decode(data) }));

/** Milliseconds. A mirror of a cluster that has stalled is looked after by nats-server every ten seconds or so. */
const mirrorPatience = 45_000;

/** A stream is given away and taken back as it was. */
export function snapshotContract(bus: () => Bus): void {
  it('takes streams back as they were given away: sequences, gaps, times, headers, incarnation; and a mirror goes on', async () => {
    const place = scope();
    for (let n = 0; n < 300; n++) await bus().publish(state(place, `s${n % 40}`), bytes(`${n} ${'x'.repeat(2_000)}`), { headers: { 'ce-id': `v${n}` } });
    await bus().purge('CHANGES', state(place, 's3'));
    const end = (await bus().publish(state(place, 'last'), bytes('last'))).sequence;
    await eventually(() => bus().stream('STATE'), (s) => s?.lastSequence === end, mirrorPatience);
    const before = { changes: await content(bus(), 'CHANGES'), state: await content(bus(), 'STATE'), states: [await bus().stream('CHANGES'), await bus().stream('STATE')] };
    const [changes, mirror] = [await kept(await bus().snapshot('CHANGES', { consumers: false })), await kept(await bus().snapshot('STATE', { consumers: false }))];
    expect(changes).toMatchObject({ lastSequence: end, messages: before.changes.length });

    await expect(bus().restore('CHANGES', given(changes))).rejects.toBeInstanceOf(BusRefused);
    for (const name of ['STATE', 'CHANGES']) await bus().deleteStream(name);
    await bus().restore('CHANGES', given(changes));
    await bus().restore('STATE', given(mirror));
    expect(await content(bus(), 'CHANGES')).toEqual(before.changes);
    expect(await content(bus(), 'STATE')).toEqual(before.state);
    const asBefore = before.states.map((s) => s && { ...s, replicas: 1 });
    expect([await bus().stream('CHANGES'), await bus().stream('STATE')]).toEqual(asBefore);

    const next = await bus().publish(state(place, 's1'), bytes('after'), { expectedLastSubjectSequence: (await bus().last('CHANGES', state(place, 's1')))?.sequence ?? -1 });
    expect(next.sequence).toBe(end + 1);
    expect(await eventually(() => bus().last('STATE', state(place, 's1')), (m) => m?.sequence === next.sequence, mirrorPatience)).toMatchObject({ sequence: next.sequence });
    await bus().ensureStreams();
    const [after, mirrored] = [await bus().stream('CHANGES'), await bus().stream('STATE')];
    expect([after, mirrored]).toMatchObject(before.states.map((s) => ({ incarnation: s?.incarnation, replicas: s?.replicas })));
  }, 3 * mirrorPatience);

  it('takes back how far each reader has come', async () => {
    const place = scope();
    const put = (n: number) => bus().publish(outcomeSubject(place.domain, 'shop', `o${n}`), bytes(String(n)));
    const durable = consumerName();
    const declaration = { stream: 'OUTCOMES', filters: [`osier.outcome.${place.domain}.>`], from: 'all' as const };
    for (let n = 0; n < 5; n++) await put(n);
    const reader = await watch(bus(), durable, declaration, { act: (d) => Number(text(d)) < 3 && d.ack() });
    await eventually(() => reader.seen.length, (n) => n === 5);
    await reader.stop();
    await eventually(() => bus().consumer('OUTCOMES', durable), (c) => c?.ackPending === 2);
    const snapshot = await kept(await bus().snapshot('OUTCOMES', { consumers: true }));
    await bus().deleteStream('OUTCOMES');
    await bus().restore('OUTCOMES', given(snapshot));
    // In a cluster it takes a moment until somebody leads the consumer again.
    await eventually(() => bus().consumer('OUTCOMES', durable), (c) => c !== undefined && c.pending + c.ackPending === 2);
    await put(5);
    const again = await watch(bus(), durable, declaration);
    expect(await eventually(() => again.texts(), (seen) => seen.length >= 3)).toEqual(['3', '4', '5']);
    await again.stop();
    await bus().deleteConsumer('OUTCOMES', durable);
  });

  it('leaves nothing where what it is given is no snapshot', async () => {
    const snapshot = await kept(await bus().snapshot('DEAD', { consumers: false }));
    await bus().deleteStream('DEAD');
    await expect(bus().restore('DEAD', given({ ...snapshot, pieces: [bytes('not what any server would write')] }))).rejects.toThrow();
    expect(await bus().stream('DEAD')).toBeUndefined();
    await bus().restore('DEAD', given(snapshot));
    expect(await bus().stream('DEAD')).toMatchObject({ messages: snapshot.messages });
    await expect(bus().snapshot('NOWHERE', { consumers: false })).rejects.toBeInstanceOf(BusRefused);
  });
}
