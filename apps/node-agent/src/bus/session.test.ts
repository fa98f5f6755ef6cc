import { afterEach, describe, expect, it } from '@jest/globals';
import type { Bus, Delivery } from '@osier/bus/bus';
import { type Interest, interestSubject } from '@osier/contracts/coordination';
import { barrierSubject } from '@osier/contracts/subjects';
import { silent } from '@osier/telemetry/log';
import { type Sessions, startSessions } from './session.ts';

type Consume = Parameters<Bus['consume']>[0];
const encode = (body: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(body));

/** A bus that does nothing but hand over what the test says. */
function scripted() {
  const consumed: Consume[] = [];
  const hellos: string[] = [];
  const bus = {
    connected: true,
    consume: async (o: Consume) => {
      consumed.push(o);
      return { stop: async () => undefined };
    },
    publish: async (_subject: string, data: Uint8Array) => {
      hellos.push((JSON.parse(new TextDecoder().decode(data)) as { session: string }).session);
      return { stream: 'OBSERVATIONS', sequence: 1, duplicate: false };
    },
  } as unknown as Bus;
  const deliver = (subject: string, sequence: number, body: unknown): Promise<void> =>
    (consumed[0] as Consume).onBatch([{ stream: 'STATE', subject, sequence, data: encode(body), headers: {}, storedAt: 0, deliveries: 1, ack: () => undefined, nak: () => undefined, term: () => undefined } satisfies Delivery]);
  const interest = (session: string, generation: number): Promise<void> =>
    deliver(interestSubject('id'), 10 + generation, { kind: 'interest', node: 'node-1', session, generation, filters: [] } satisfies Interest);
  return { bus, consumed, hellos, deliver, interest };
}

let sessions: Sessions;
afterEach(() => sessions.stop());

describe("an agent's session", () => {
  const start = async () => {
    const script = scripted();
    let ids = 0;
    sessions = await startSessions({ bus: script.bus, node: 'node-1', log: silent, now: () => 0, newId: () => `session-${++ids}`, onAdvance: () => undefined });
    await script.interest('session-1', 1);
    await script.deliver(barrierSubject, 12, { kind: 'barrier', at: 'now', count: 1 });
    return script;
  };

  it('is complete when the interest document that names it has come', async () => {
    await start();
    expect(sessions.knowledge).toMatchObject({ complete: true, revision: 12 });
  });

  it('is no longer complete after messages were lost on the way, whatever comes on the old consumer', async () => {
    const script = await start();
    script.consumed[0]?.onGap?.();
    expect(sessions.knowledge.complete).toBe(false);
    await script.deliver(barrierSubject, 20, { kind: 'barrier', at: 'now', count: 2 });
    expect(sessions.knowledge.complete).toBe(false);
  });

  it('begins again when the streams are others, and leaves behind what only the former ones had', async () => {
    const script = await start();
    const barrier = (sequence: number, incarnation: string) => script.deliver(barrierSubject, sequence, { kind: 'barrier', at: 'now', count: sequence, incarnation });
    await barrier(13, 'first');
    expect(sessions.knowledge).toMatchObject({ complete: true, incarnation: 'first' });
    await barrier(14, 'first');
    expect(sessions.knowledge.complete).toBe(true);
    await barrier(900, 'restored');
    expect(sessions.knowledge).toMatchObject({ complete: false, incarnation: 'restored' });
    expect(sessions.knowledge.view.list('node')).toEqual([]);
    await script.interest('session-2', 2);
    expect(sessions.knowledge.complete).toBe(true);
  });

  it('begins again by a hello of its own, and is complete when that one is answered', async () => {
    const script = await start();
    script.consumed[0]?.onGap?.();
    await new Promise((later) => setTimeout(later, 1_100));
    expect(script.hellos.at(-1)).toBe('session-2');
    await script.interest('session-1', 2);
    expect(sessions.knowledge.complete).toBe(false);
    await script.interest('session-2', 3);
    expect(sessions.knowledge.complete).toBe(true);
  });
});
