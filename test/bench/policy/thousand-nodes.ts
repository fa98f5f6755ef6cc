// One change to a thousand agents: a real server, the coordinator as it is, the agents as they are; the documents are published as their services would, without them.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '@osier/bus/bus';
import type { AnyDocument } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { silent } from '@osier/telemetry/log';
import { startCoordinator } from '../../../apps/topology/src/coordinator/coordinator.ts';
import { median } from '../../../tools/bench/figures.ts';
import { type Installation, installation } from '../bus/installation.ts';
import { documentsOf, policyDocument } from './documents.ts';
import { watchReceipts } from './receipts.ts';
import { startAgents } from './ten-nodes.ts';
import { ruled, type Size, world } from './world.ts';

export interface ThousandNodes {
  /** Milliseconds from the publication of the policy's document to the first and the last receipt. */
  readonly changes: readonly { readonly first: number; readonly last: number }[];
  readonly startMs: number;
  readonly megabytes: number;
  /** Seconds of processor time for one change: of all agents together, of the server, of coordinator and bench. */
  readonly cpu: { readonly agents: number; readonly server: number; readonly rest: number };
}
const inFlight = 512;
const growth = 8;
const warm = 3;
const pauseMs = 250;

async function publishAll(bus: Bus, documents: readonly AnyDocument[]): Promise<void> {
  const rest = [...documents].reverse();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    for (let one = rest.pop(); one !== undefined; one = rest.pop()) await publish(bus, one);
  }));
}
const publish = async (bus: Bus, document: AnyDocument): Promise<number> => (await bus.publish(documentSubject(document), new TextEncoder().encode(JSON.stringify(document)))).sequence;

export async function thousandNodes(o: { size: Size; rounds: number; processes: number; say: (line: string) => void }): Promise<ThousandNodes> {
  const made = world(o.size);
  const names = made.nodes.map(({ name }) => name);
  const home = await installation({ nodes: names });
  let coordinator: Awaited<ReturnType<typeof startCoordinator>> | undefined;
  try {
    const began = performance.now();
    await publishAll(home.bus, documentsOf(made));
    coordinator = await startCoordinator({ bus: home.bus, log: silent, now: Date.now, publishIntent: async () => undefined });
    const receipts = await watchReceipts(home.url, await home.login('admin'), names);
    await startAgents(home, names, o.processes, true);
    await receipts.covering((await home.bus.stream('CHANGES'))?.lastSequence ?? 0, 600_000);
    const startMs = performance.now() - began;
    o.say(`  ${names.length} agents have begun after ${(startMs / 1000).toFixed(0)} s`);
    await quiet(home);
    const changes: { first: number; last: number }[] = [];
    let before = usage(home.cpu());
    for (let n = 0; n < o.rounds + warm; n++) {
      if (n === warm) before = usage(home.cpu());
      const at = performance.now();
      const revision = await publish(home.bus, policyDocument(o.size.policies, ruled('managed', 1 + (n % growth)), n + 1));
      const times = (await receipts.covering(revision)).map((time) => time - at);
      receipts.forget();
      if (n >= warm) changes.push({ first: Math.min(...times), last: Math.max(...times) });
      await sleep(pauseMs);
    }
    const after = usage(home.cpu());
    o.say(`  a rule to ${names.length} nodes: last receipt after ${median(changes.map((c) => c.last)).toFixed(0)} ms`);
    const each = (of: keyof typeof after): number => (after[of] - before[of]) / o.rounds;
    const megabytes = Object.entries(home.memory()).filter(([name]) => name.startsWith('agents-')).reduce((sum, [, mb]) => sum + mb, 0);
    await receipts.close();
    return { changes, startMs, megabytes, cpu: { agents: each('agents'), server: each('server'), rest: each('rest') } };
  } finally {
    await coordinator?.stop();
    await home.close();
  }
}

/** A change to an installation at rest is measured, not what a thousand agents that began at once still have to do: until for two seconds all programs together take less than a third of a processor, which is what hearing from the coordinator costs a thousand agents. */
async function quiet(home: Installation): Promise<void> {
  const used = (): number => Object.values(home.cpu()).reduce((sum, seconds) => sum + seconds, 0);
  for (let [last, until] = [used(), performance.now() + 180_000]; performance.now() < until;) {
    await sleep(2_000);
    const now = used();
    if (now - last < 0.6) return;
    last = now;
  }
  throw new Error('the agents have not come to rest three minutes after they began');
}

function usage(cpu: Readonly<Record<string, number>>): { agents: number; server: number; rest: number } {
  const agents = Object.entries(cpu).filter(([name]) => name.startsWith('agents-')).reduce((sum, [, seconds]) => sum + seconds, 0);
  const { user, system } = process.cpuUsage();
  return { agents, server: cpu['nats-server'] ?? 0, rest: (user + system) / 1e6 };
}
