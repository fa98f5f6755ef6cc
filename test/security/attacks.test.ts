import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attack, attacks } from './attacks.ts';
import { installation, type Installation, type World } from './world.ts';

jest.setTimeout(30_000);
/** Milliseconds: everything happens on one machine, and whatever comes later is looked for once more at the end. */
const patience = { real: 120, mutant: 5_000 };

async function getsThrough(attack: Attack, w: World, ms: number): Promise<{ now: boolean; later: () => Promise<boolean> }> {
  const through = await attack.run(w);
  for (const until = Date.now() + ms; Date.now() < until; await sleep(20)) if (await through()) return { now: true, later: through };
  return { now: await through(), later: through };
}

describe('attacks on the bus', () => {
  let real: Installation;
  const tried: { name: string; later: () => Promise<boolean> }[] = [];
  beforeAll(async () => {
    real = await installation('generated');
  });
  afterAll(() => real.close());

  describe.each(Object.entries(attacks))('%s', (_title, list) => {
    it.each(list.map((attack) => [attack.name, attack] as const))('fails: %s', async (name, attack) => {
      const w = await real.enter();
      const result = await getsThrough(attack, w, patience.real);
      await w.leave();
      tried.push({ name, later: result.later });
      expect(result.now).toBe(false);
    });
    it.each(list.map((attack) => [attack.mutant, attack.name, attack] as const))('gets through where all are in one account (%s): %s', async (configuration, _name, attack) => {
      const weak = await installation(configuration);
      const w = await weak.enter();
      const { now } = await getsThrough(attack, w, patience.mutant);
      await w.leave();
      await weak.close();
      expect(now).toBe(true);
    });
  });

  it('has let none through later', async () => {
    const late: string[] = [];
    for (const { name, later } of tried) if (await later()) late.push(name);
    expect(late).toEqual([]);
    expect(tried).toHaveLength(Object.values(attacks).flat().length);
  });
});
