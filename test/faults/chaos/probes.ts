import { setTimeout as sleep } from 'node:timers/promises';
import { findWorkload, readInventory } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { probe, type Wish } from '@osier/lab/probes';

const pairs: readonly (readonly [from: string, to: string, port: number, expected: 'denied' | 'allowed'])[] = [
  ['staging/db', 'staging/web', 8080, 'denied'],
  ['production/orders', 'production/cart', 7070, 'denied'],
  ['staging/web', 'production/cart', 7070, 'denied'],
  ['production/cart', 'staging/db', 5432, 'denied'],
  ['staging/web', 'staging/cart', 7070, 'allowed'],
  ['production/cart', 'production/db', 5432, 'allowed'],
];
export interface Knocked { tries: number; reached: number }

/** Opens new connections all the time, and counts who was reached. */
export async function knock(lab: Lab, over: AbortSignal): Promise<ReadonlyMap<string, Knocked>> {
  const inventory = readInventory(lab.paths);
  const wishes = pairs.map(([from, to, port]): Wish => ({ from: findWorkload(inventory, from), to: findWorkload(inventory, to), port, protocol: 'TCP' }));
  const counts = new Map(pairs.map(([from, to, , expected]): [string, Knocked] => [`${from} → ${to} (${expected})`, { tries: 0, reached: 0 }]));
  const each = [...counts.values()];
  while (!over.aborted) {
    (await probe(lab.paths, wishes)).forEach((result, index) => {
      const count = each[index] as Knocked;
      count.tries += 1;
      if (result.reached) count.reached += 1;
    });
    await sleep(300, undefined, { signal: over }).catch(() => undefined);
  }
  return counts;
}
