import { describe, expect, it } from '@jest/globals';
import { type Bus, BusUnavailable, type Delivery, PutOff } from '@osier/bus/bus';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import { silent } from '@osier/telemetry/log';
import { attempts, Batches, type Work } from './batch.ts';
import { deliveredBefore, oneAtATime, overdueAlways } from './suspects.ts';

const bus = { consumer: async () => ({ ackPending: 3, deliveredStreamSequence: 3 }) } as unknown as Bus;
const one = { sequence: 1 } as Delivery;
const other = { sequence: 2 } as Delivery;
class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}
/** A store that can be away. */
function store(): { store: Store; away: { is: boolean } } {
  const away = { is: false };
  const real = memoryStore({ now: Date.now });
  return { away, store: new Proxy(real, { get: (target, key) => {
    const value = Reflect.get(target, key) as unknown;
    if (typeof value !== 'function') return value;
    return async (...args: unknown[]) => {
      if (away.is) throw new StoreUnavailable('away');
      return (value as (...a: unknown[]) => unknown).apply(target, args);
    };
  } }) };
}
const suspectsIn = async (kept: Store, turn = oneAtATime()) => {
  const suspects = deliveredBefore({ bus, store: kept, stream: 'INTENTS', durable: 'd', turn });
  await suspects.look();
  return suspects;
};

describe('what is suspected', () => {
  it('is counted by each life that entered it and never left', async () => {
    const { store: kept } = store();
    for (let life = 0; life < 4; life++) expect(await (await suspectsIn(kept)).enter(one)).toBe(life);
    const survivor = await suspectsIn(kept);
    expect(await survivor.enter(one)).toBe(4);
    await survivor.leave(one);
    expect(await survivor.enter(one)).toBe(0);
  });

  it('is not counted for a database that is away, however often', async () => {
    const { store: kept, away } = store();
    const suspects = await suspectsIn(kept);
    away.is = true;
    for (let tries = 0; tries < 10; tries++) await expect(suspects.enter(one)).rejects.toThrow('away');
    away.is = false;
    expect(await suspects.enter(one)).toBe(0);
    away.is = true;
    await expect(suspects.leave(one)).rejects.toThrow('away');
    away.is = false;
    expect(await suspects.enter(one)).toBe(0);
  });

  it('is tried one at a time, of whatever kind: an end has one who did it', async () => {
    const { store: kept } = store();
    const turn = oneAtATime();
    const [intents, deadlines] = [await suspectsIn(kept, turn), overdueAlways({ store: kept, turn })];
    const order: string[] = [];
    await intents.enter(one);
    const second = deadlines.enter({ awaits: 'x' } as never).then(() => order.push('second entered'));
    const third = intents.enter(other).then(() => order.push('third entered'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push('first leaves');
    await intents.leave(one);
    await second;
    order.push('second leaves');
    await deadlines.leave({ awaits: 'x' } as never);
    await third;
    expect(order).toEqual(['first leaves', 'second entered', 'second leaves', 'third entered']);
  });

  it('and put off because the bus is away, more often than an intent is tried, is not given up', async () => {
    const { store: kept } = store();
    let away = true;
    const done: string[] = [];
    const work: Work<Delivery> = {
      key: () => 'one',
      one: async () => {
        if (away) throw new BusUnavailable('away');
      },
      giveUp: async () => void done.push('given up'), done: () => void done.push('done'), later: () => void done.push('later'),
    };
    const batches = new Batches({ store: kept, work, catchUp: async () => undefined, log: silent, retryMs: 1, suspects: await suspectsIn(kept) });
    for (let tries = 0; tries < attempts * 3; tries++) await expect(batches.handle([one])).rejects.toThrow(PutOff);
    away = false;
    await batches.handle([one]);
    expect(done).toEqual(['done']);
  });
});
