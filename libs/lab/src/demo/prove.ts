import { setTimeout as sleep } from 'node:timers/promises';
import type { FlowLine } from '../client.ts';
import { type PlacedWorkload, readInventory } from '../inventory.ts';
import type { Lab } from '../lab.ts';
import { workloadPath } from '../names.ts';
import { ask, everyPair, probe, type Probe, type Wish } from '../probes.ts';
import { askWorkload } from '../workload/ask.ts';

const crosses = (wish: Wish): boolean => wish.from.environment !== wish.to.environment;

export async function proveInside({ paths }: Lab): Promise<Probe[]> {
  return probe(paths, everyPair(readInventory(paths)).filter((wish) => !crosses(wish)));
}

/**
 * Every workload knocks at the addresses that the other environment's workloads have. Its own environment has the same addresses, so where
 * its policies allow it, its own neighbour answers; what counts is that the other environment's listener neither answers nor hears of it.
 */
export async function proveAcross({ paths }: Lab): Promise<{ across: Probe[]; arrived: number }> {
  const inventory = readInventory(paths);
  const across: Probe[] = [];
  let arrived = 0;
  for (const environment of inventory.environments) {
    const wishes = everyPair(inventory).filter((wish) => crosses(wish) && wish.from.environment === environment.name);
    const others = inventory.environments.filter((e) => e !== environment).flatMap((e) => e.workloads);
    const before = await acceptedBy(paths, others);
    across.push(...(await probe(paths, wishes)));
    arrived += (await acceptedBy(paths, others)) - before;
  }
  return { across, arrived };
}

async function acceptedBy(paths: Lab['paths'], workloads: readonly PlacedWorkload[]): Promise<number> {
  const counts = await Promise.all(workloads.map(async (w) => (await askWorkload(paths, workloadPath(w), 'hello')).accepted));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** One attempt that the policies deny, and the record of it. */
export async function proveDenied(lab: Lab, wish: Wish, scope: { domain: string; project: string }): Promise<FlowLine | undefined> {
  await ask(lab.paths, [wish]);
  for (const until = Date.now() + 15_000; Date.now() < until; await sleep(250)) {
    const flows = await lab.client.flows({ ...scope, environment: wish.from.environment, denied: true });
    const found = flows.filter((f) => f.source.address === wish.from.address && f.destination.address === wish.to.address && f.destination.port === wish.port).at(-1);
    if (found !== undefined) return found;
  }
  return undefined;
}
