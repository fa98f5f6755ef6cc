import { inParallel } from './client.ts';
import { type Inventory, type PlacedWorkload, workloadsOf } from './inventory.ts';
import { workloadPath } from './names.ts';
import type { LabPaths } from './paths.ts';
import { askWorkload } from './workload/ask.ts';
import type { AppProtocol } from './kubernetes/application.ts';
import type { ProbeResult, ProbeTarget, WorkloadPort } from './workload/protocol.ts';

/** One try from one workload to a port of another, and whether the very listener that was meant answered. */
export interface Probe { readonly from: string; readonly to: string; readonly protocol: AppProtocol; readonly port: number; readonly reached: boolean }

const timeoutMs = 1_000;
/** A denied packet gets no answer, and neither does one that was late: silence counts only when it happens every time. */
const tries = 2;

export interface Wish { readonly from: PlacedWorkload; readonly to: PlacedWorkload; readonly protocol: AppProtocol; readonly port: number }

/** Tries all wishes, the sources at the same time; in the order of the wishes. */
export async function probe(paths: LabPaths, wishes: readonly Wish[]): Promise<Probe[]> {
  const results = await outcomes(paths, wishes);
  return wishes.map((wish, index) => ({ from: workloadPath(wish.from), to: workloadPath(wish.to), protocol: wish.protocol, port: wish.port, reached: results[index]?.reached === true }));
}

/** Whether the listener answered that was meant, and if not, what happened instead. Workloads listen meanwhile on ports that they do not declare. */
export async function outcomes(paths: LabPaths, wishes: readonly Wish[]): Promise<{ readonly reached: boolean; readonly why: string }[]> {
  const answers = await listening(paths, wishes, () => ask(paths, wishes));
  const nonces = await noncesOf(paths, [...new Set(wishes.map((wish) => workloadPath(wish.to)))]);
  return wishes.map((wish, index) => {
    const answer = answers[index];
    if (answer?.result !== 'answered') return { reached: false, why: answer === undefined || answer.result === 'timeout' ? 'no answer' : (answer.detail ?? answer.result) };
    return { reached: answer.greeting.nonce === nonces.get(workloadPath(wish.to)), why: `${answer.greeting.identity} answered instead` };
  });
}

async function listening<T>(paths: LabPaths, wishes: readonly Wish[], work: () => Promise<T>): Promise<T> {
  const undeclared = new Map<string, Map<string, WorkloadPort>>();
  for (const { to, protocol, port } of wishes) {
    if (to.ports.some((p) => p.protocol === protocol && p.port === port)) continue;
    const ports = undeclared.get(workloadPath(to)) ?? new Map<string, WorkloadPort>();
    undeclared.set(workloadPath(to), ports.set(`${protocol} ${port}`, { protocol, port }));
  }
  const told = (what: 'listen' | 'stop') => inParallel([...undeclared], 16, ([path, ports]) => askWorkload(paths, path, what, { ports: [...ports.values()] }));
  try {
    await told('listen');
    return await work();
  } finally {
    await told('stop');
  }
}

/** What happened to each wish, whoever answered. */
export async function ask(paths: LabPaths, wishes: readonly Wish[]): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  let open = wishes.map((_, index) => index);
  for (let round = 0; round < tries && open.length > 0; round += 1) {
    const bySource = new Map<string, number[]>();
    for (const index of open) {
      const source = workloadPath((wishes[index] as Wish).from);
      bySource.set(source, [...(bySource.get(source) ?? []), index]);
    }
    await Promise.all([...bySource].map(async ([source, indexes]) => {
      const targets = indexes.map((index): ProbeTarget => targetOf(wishes[index] as Wish));
      const answer = await askWorkload(paths, source, 'probe', { targets, timeoutMs });
      indexes.forEach((index, position) => (results[index] = answer.results[position] as ProbeResult));
    }));
    open = open.filter((index) => results[index]?.result === 'timeout');
  }
  return results;
}
export const targetOf = (wish: Pick<Wish, 'to' | 'port' | 'protocol'>): ProbeTarget => ({ address: wish.to.address, port: wish.port, protocol: wish.protocol });

export async function noncesOf(paths: LabPaths, workloads: readonly string[]): Promise<Map<string, string>> {
  const nonces = await inParallel(workloads, 16, async (path) => (await askWorkload(paths, path, 'hello')).nonce);
  return new Map(workloads.map((path, index) => [path, nonces[index] ?? '']));
}

/** Every ordered pair of workloads, inside and across the environments, with every TCP port that the target declares. */
export function everyPair(inventory: Inventory): Wish[] {
  const all = workloadsOf(inventory);
  return all.flatMap((from) => all.filter((to) => to !== from).flatMap((to) =>
    to.ports.filter((p) => p.protocol === 'TCP').map((p) => ({ from, to, protocol: 'TCP' as const, port: p.port }))));
}

export const measureMatrix = (paths: LabPaths, inventory: Inventory): Promise<Probe[]> => probe(paths, everyPair(inventory));
