import { setTimeout as sleep } from 'node:timers/promises';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { readState } from '@osier/lab/supervisor/spec';
import { identityOf } from '@osier/lab/system/processes';
import type { Random } from './random.ts';

export interface Killing { readonly kills: ReadonlyMap<string, number>; readonly rounds: number }

/**
 * Kills programs of the lab with SIGKILL at random moments, one or several at a time, until it is over; the lab's supervisor starts each again, now and then
 * after its own pause. Every victim is met before any is met again.
 */
export async function killAtRandom(lab: Lab, o: { victims: readonly string[]; random: Random; forMs: number; everyMs: readonly [number, number] }): Promise<Killing> {
  const { random } = o;
  const kills = new Map(o.victims.map((name): [string, number] => [name, 0]));
  const until = Date.now() + o.forMs;
  let bag: string[] = [];
  let rounds = 0;
  const draw = (): string => {
    if (bag.length === 0) bag = [...o.victims];
    return bag.splice(random.below(bag.length), 1)[0] as string;
  };
  while (Date.now() < until) {
    await sleep(Math.min(o.everyMs[0] + random.below(o.everyMs[1] - o.everyMs[0]), Math.max(0, until - Date.now())));
    const victims = [...new Set(Array.from({ length: random.chance(0.2) ? 2 + random.below(3) : 1 }, draw))];
    rounds += 1;
    for (const name of victims) {
      const state = readState(lab.paths, name);
      if (state === undefined || identityOf(state.pid)?.startTime !== state.startTime) continue;
      process.kill(state.pid, 'SIGKILL');
      kills.set(name, (kills.get(name) ?? 0) + 1);
    }
    if (random.chance(0.3)) continue;
    await sleep(random.below(600));
    await tellSupervisor(lab.paths, { do: 'release', names: victims });
  }
  await tellSupervisor(lab.paths, { do: 'release', names: o.victims });
  return { kills, rounds };
}
