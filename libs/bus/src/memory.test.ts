import { describe, expect, it } from '@jest/globals';
import { BusUnavailable, ConsumerMissing, NotStored } from './bus.ts';
import { matches, overlap } from './match.ts';
import { memoryBroker } from './memory.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const subject = (id: string): string => `osier.state.acme.shop.staging.network._.${id}`;

describe('the broker in memory', () => {
  it('given that it is stopped, fails for everybody, and afterwards goes on where it was', async () => {
    const broker = memoryBroker();
    const bus = broker.connect('a');
    await bus.ensureStreams();
    const seen: string[] = [];
    const consumption = await bus.consume({ stream: 'CHANGES', durable: 'd', declaration: { stream: 'CHANGES' }, onBatch: async (batch) => batch.forEach((d) => (seen.push(d.subject), d.ack())) });
    await bus.publish(subject('a'), bytes('{}'));
    await broker.idle();
    broker.stop();
    expect(bus.connected).toBe(false);
    await expect(bus.publish(subject('b'), bytes('{}'))).rejects.toBeInstanceOf(BusUnavailable);
    broker.start();
    await bus.publish(subject('b'), bytes('{}'));
    await broker.idle();
    expect(seen).toEqual([subject('a'), subject('b')]);
    await consumption.stop();
  });

  it('given a deleted stream, stores nothing, and counts anew in another incarnation', async () => {
    const broker = memoryBroker();
    const bus = broker.connect('a');
    await bus.ensureStreams();
    await bus.publish(subject('a'), bytes('{}'));
    const before = await bus.stream('CHANGES');
    broker.deleteStream('CHANGES');
    await expect(bus.publish(subject('b'), bytes('{}'))).rejects.toBeInstanceOf(NotStored);
    await bus.ensureStreams();
    expect((await bus.publish(subject('b'), bytes('{}'))).sequence).toBe(1);
    expect((await bus.stream('CHANGES'))?.incarnation).not.toBe(before?.incarnation);
    expect(await bus.last('STATE', subject('b'))).toBeUndefined();
  });

  it('given work that does not end, says whose', async () => {
    const broker = memoryBroker();
    const bus = broker.connect('a');
    await bus.ensureStreams();
    await bus.publish(subject('a'), bytes('{}'));
    const consumption = await bus.consume({ stream: 'CHANGES', durable: 'slow', declaration: { stream: 'CHANGES' }, onBatch: async () => undefined });
    await expect(broker.idle(100)).rejects.toThrow(/CHANGES\/slow/);
    await consumption.stop();
    await expect(broker.idle(100)).resolves.toBeUndefined();
  });

  it('given a clock of its own, forgets consumers that nobody fetches from, and messages that are too old', async () => {
    let now = 1_000_000;
    const bus = memoryBroker({ now: () => now }).connect('a');
    await bus.ensureStreams();
    await bus.publish(subject('a'), bytes('{}'));
    await bus.publish('osier.observation.node-1.health', bytes('{}'));
    await bus.ensureConsumer('short', { stream: 'STATE', inactiveThresholdMs: 1_000 });
    now += 2_000;
    expect(await bus.consumer('STATE', 'short')).toBeUndefined();
    now += 8 * 24 * 60 * 60 * 1_000;
    expect(await bus.last('OBSERVATIONS', 'osier.observation.node-1.health')).toBeUndefined();
    expect(await bus.last('CHANGES', subject('a'))).toBeDefined();
    expect(await bus.last('STATE', subject('a'))).toBeDefined();
  });

  it('says ConsumerMissing to who consumes from none', async () => {
    const bus = memoryBroker().connect('a');
    await bus.ensureStreams();
    const problem = await new Promise<Error>((resolve) => void bus.consume({ stream: 'STATE', durable: 'none', onProblem: resolve, onBatch: async () => undefined }));
    expect(problem).toBeInstanceOf(ConsumerMissing);
    await bus.close();
  });
});

describe('filters', () => {
  it.each([
    ['a.b', 'a.b', true], ['a.b', 'a.b.c', false], ['a.b', 'a', false], ['a.*', 'a.b', true], ['a.*', 'a.b.c', false], ['*.b', 'a.b', true],
    ['a.>', 'a.b.c', true], ['a.>', 'a', false], ['>', 'a', true], ['a.*.c', 'a.b.c', true], ['a.*.c', 'a.b.d', false],
  ])('%s on %s: %s', (filter, given, expected) => {
    expect(matches(filter, given)).toBe(expected);
  });
  it.each([
    ['a.b', 'a.b', true], ['a.b', 'a.c', false], ['a.*', 'a.b', true], ['a.*', '*.b', true], ['a.>', 'a.b.c', true], ['a.b', 'a.b.c', false], ['a.>', 'b.>', false], ['a.*.c', 'a.b.>', true],
  ])('%s and %s overlap: %s', (a, b, expected) => {
    expect([overlap(a, b), overlap(b, a)]).toEqual([expected, expected]);
  });
});
