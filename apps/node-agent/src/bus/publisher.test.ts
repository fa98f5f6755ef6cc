import { describe, expect, it } from '@jest/globals';
import { type Bus, BusUnavailable, NotStored } from '@osier/bus/bus';
import { silent } from '@osier/telemetry/log';
import { createPublisher, type Outgoing } from './publisher.ts';

/** A bus of which only publishing is used: `away` fails, `refuses` finds no stream. */
function flaky() {
  const state = { away: false, refuses: false, sent: [] as string[] };
  const publish = async (_subject: string, data: Uint8Array) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (state.away) throw new BusUnavailable('away');
    if (state.refuses) throw new NotStored('nobody');
    state.sent.push(new TextDecoder().decode(data));
    return { stream: 'S', sequence: state.sent.length, duplicate: false };
  };
  return { state, bus: { publish } as unknown as Bus };
}
const message = (body: unknown): Outgoing => ({ subject: 'x', body });
const settle = (ms = 30): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a publisher', () => {
  it('sends in order', async () => {
    const { bus, state } = flaky();
    const publisher = createPublisher({ bus, log: silent, most: 10 });
    for (const n of [1, 2, 3]) publisher.send(message(n));
    await settle();
    expect(state.sent).toEqual(['1', '2', '3']);
    await publisher.stop();
  });

  it('keeps what it may while the bus is away, counts the rest, and sends when the bus is back', async () => {
    const { bus, state } = flaky();
    const dropped: unknown[] = [];
    const publisher = createPublisher({ bus, log: silent, most: 2, dropped: (m) => dropped.push(m.body) });
    state.away = true;
    for (const n of [1, 2, 3, 4]) publisher.send(message(n));
    await settle();
    expect([state.sent, dropped, publisher.waiting]).toEqual([[], [1, 2], 2]);
    state.away = false;
    await settle(700);
    expect([state.sent, publisher.waiting]).toEqual([['3', '4'], 0]);
    await publisher.stop();
  });

  it('counts what no stream takes, and goes on', async () => {
    const { bus, state } = flaky();
    const dropped: unknown[] = [];
    const publisher = createPublisher({ bus, log: silent, most: 5, dropped: (m) => dropped.push(m.body) });
    state.refuses = true;
    publisher.send(message(1));
    await settle();
    state.refuses = false;
    publisher.send(message(2));
    await settle();
    expect([dropped, state.sent]).toEqual([[1], ['2']]);
    await publisher.stop();
  });

  it('stops though the bus is away', async () => {
    const { bus, state } = flaky();
    state.away = true;
    const publisher = createPublisher({ bus, log: silent, most: 5 });
    publisher.send(message(1));
    await settle();
    const from = Date.now();
    await publisher.stop();
    expect(Date.now() - from).toBeLessThan(200);
  });
});
