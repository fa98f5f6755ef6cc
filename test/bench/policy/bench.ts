// What a change of the rules costs, from the intent to the receipts of the nodes, and what compiling a whole world does.
import { execFile } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median, quantile, spread } from '../../../tools/bench/figures.ts';
import type { Bench, Figure } from '../../../tools/bench/report.ts';
import { node, root } from '../../../tools/root.ts';
import type { Compiled, Labelled } from './compiling.ts';
import { type Series, type SeriesName, type TenNodes, tenNodes } from './ten-nodes.ts';
import { type ThousandNodes, thousandNodes } from './thousand-nodes.ts';
import type { Size } from './world.ts';

interface Plan {
  readonly rounds: number;
  readonly ten: Size;
  readonly large: Size;
  readonly labels: { readonly endpoints: number; readonly labels: number; readonly rules: number };
  readonly many: Size;
  readonly manyRounds: number;
}
/** Bytes of a machine that a thousand agents in memory, with what they know of 100,000 endpoints, leave some of. */
const roomFor = 14e9;
/** For a thousand agents: a heap of many gigabytes is slow. */
const processesOfMany = 4;
const plans: Readonly<Record<'full' | 'quick', Plan>> = {
  full: {
    rounds: 60,
    ten: { networks: 100, perNetwork: 100, nodes: 10, policies: 1_000 },
    large: { networks: 1_000, perNetwork: 100, nodes: 10, policies: 10_000 },
    labels: { endpoints: 100_000, labels: 50, rules: 100 },
    many: { networks: 1_000, perNetwork: totalmem() < roomFor ? 20 : 100, nodes: 1_000, policies: 50, nodesPerNetwork: 10 }, manyRounds: 20,
  },
  quick: {
    rounds: 12,
    ten: { networks: 20, perNetwork: 100, nodes: 10, policies: 200 },
    large: { networks: 200, perNetwork: 100, nodes: 10, policies: 2_000 },
    labels: { endpoints: 10_000, labels: 50, rules: 100 },
    many: { networks: 100, perNetwork: 20, nodes: 100, policies: 50, nodesPerNetwork: 10 }, manyRounds: 5,
  },
};
/** What the issue of this bench asks for. */
const asked = { nodes: 1_000, endpoints: 100_000 };

const run = promisify(execFile);
async function inItsProcess<T>(what: 'compile' | 'label', given: object): Promise<T> {
  const { stdout } = await run(node, [join(root, 'test/bench/policy/compiling.ts'), what, JSON.stringify(given)], { maxBuffer: 1 << 20 });
  return JSON.parse(stdout) as T;
}

export const bench: Bench = async ({ quick, say }) => {
  const plan = plans[quick ? 'quick' : 'full'];
  const processes = availableParallelism();
  say(`bench policy${quick ? ', a smaller world (--quick)' : ''}: some minutes`);
  const small: Compiled[] = [];
  for (let n = 0; n < 3; n++) small.push(await inItsProcess<Compiled>('compile', plan.ten));
  const large = await inItsProcess<Compiled>('compile', plan.large);
  const labelled = await inItsProcess<Labelled>('label', plan.labels);
  const ten = await tenNodes({ size: plan.ten, rounds: plan.rounds, processes, say });
  const manyProcesses = Math.max(processes, processesOfMany);
  const many = await thousandNodes({ size: plan.many, rounds: plan.manyRounds, processes: manyProcesses, say });
  return {
    title: `policy: from a change of the rules to the receipts${quick ? ' (--quick: a smaller world, the numbers mean less)' : ''}`, columns: ['Osier', 'at 100'],
    figures: [...ofChanges(ten), ...ofCompiling(plan, small, large, labelled), ...ofMany(plan, many)],
    facts: facts(plan, processes, manyProcesses, { small: small[0] as Compiled, large, labelled, ten, many }),
  };
};

const named: Readonly<Record<SeriesName, string>> = {
  few: 'rule added to the tag of 1 in 100', some: 'rule added to the tag of 1 in 10', every: 'rule added to the tag of all', tag: 'tag put on and off one endpoint', label: 'label that no rule reads',
  member: 'member added to an address group', first: 'first member of a tag in a network',
};

function ofChanges({ series }: TenNodes): Figure[] {
  const of = (name: SeriesName, which: 'medianNode' | 'lastNode'): number[] => series[name].changes.map((change) => change[which]);
  const rows = (Object.entries(series) as [SeriesName, Series][]).flatMap(([name, { cpuPerAgent }]): Figure[] => {
    const beside = (which: 'medianNode' | 'lastNode', q: number) => (name === 'some' || name === 'every' ? { beside: quantile(of('few', which), q) } : {});
    const row = (words: string, which: 'medianNode' | 'lastNode', q: number, target?: number): Figure => ({
      name: `${named[name]}: ${words}`, unit: 'ms', value: quantile(of(name, which), q), ...beside(which, q), ...(target === undefined ? {} : { target: { value: target, better: 'lower' } }),
    });
    const held = name === 'label' ? [undefined, undefined] as const : [50, 120] as const;
    return [
      row('median node, p50', 'medianNode', 0.5, held[0]), row('median node, p99', 'medianNode', 0.99), row('last node, p50', 'lastNode', 0.5, held[1]), row('last node, p99', 'lastNode', 0.99),
      { name: `${named[name]}: processor time`, unit: 'ms/change and agent', value: cpuPerAgent * 1_000, ...(name === 'some' || name === 'every' ? { beside: series.few.cpuPerAgent * 1_000 } : {}) },
    ];
  });
  const times = (which: 'medianNode' | 'lastNode'): Figure => ({
    name: `tag of all to tag of 1 in 100, ${which === 'medianNode' ? 'median' : 'last'} node`, unit: 'times', value: quantile(of('every', which), 0.5) / quantile(of('few', which), 0.5), target: { value: 3, better: 'lower' },
  });
  return [...rows, times('medianNode'), times('lastNode')];
}

function ofCompiling(plan: Plan, small: readonly Compiled[], large: Compiled, labelled: Labelled): Figure[] {
  const size = ({ networks, perNetwork, policies }: Size): string => `${(networks * perNetwork).toLocaleString('en-US')} endpoints, ${policies.toLocaleString('en-US')} policies`;
  return [
    { name: `compile from nothing, ${size(plan.ten)}`, unit: 'ms', value: median(small.map((c) => c.ms)), spread: spread(small.map((c) => c.ms)), target: { value: 1_000, better: 'lower' } },
    { name: `compile from nothing, ${size(plan.large)}`, unit: 'ms', value: large.ms, target: { value: 10_000, better: 'lower' } },
    { name: 'memory of that process at the most', unit: 'MB', value: large.rss, target: { value: 1_024, better: 'lower' } },
    { name: `identities beyond the distinct signatures, ${plan.labels.endpoints.toLocaleString('en-US')} endpoints with ${plan.labels.labels} labels`, unit: '', value: Math.abs(labelled.identities - labelled.signatures), target: { value: 0, better: 'lower' } },
  ];
}

function ofMany(plan: Plan, { changes, cpu }: ThousandNodes): Figure[] {
  const last = changes.map((change) => change.last);
  const endpoints = plan.many.networks * plan.many.perNetwork;
  const scale = `${plan.many.nodes.toLocaleString('en-US')} nodes, ${endpoints.toLocaleString('en-US')} endpoints`;
  const whole = plan.many.nodes >= asked.nodes && endpoints >= asked.endpoints;
  return [
    { name: `${scale}: first receipt, p50`, unit: 'ms', value: quantile(changes.map((change) => change.first), 0.5) },
    { name: `${scale}: last receipt, p50`, unit: 'ms', value: quantile(last, 0.5) },
    // What was measured at another scale holds no target, however fast it was.
    { name: `${scale}: last receipt, p99`, unit: 'ms', value: quantile(last, 0.99), target: { value: 2_000, better: 'lower', ...(whole ? {} : { not: `asked for are ${asked.nodes} nodes and ${asked.endpoints} endpoints` }) } },
    { name: `${scale}: processor time of all agents`, unit: 'ms/change', value: cpu.agents * 1_000 },
    { name: `${scale}: processor time of the server`, unit: 'ms/change', value: cpu.server * 1_000 },
    { name: `${scale}: processor time of coordinator and bench`, unit: 'ms/change', value: cpu.rest * 1_000 },
  ];
}

function facts(plan: Plan, processes: number, manyProcesses: number, { small, large, labelled, ten, many }: { small: Compiled; large: Compiled; labelled: Labelled; ten: TenNodes; many: ThousandNodes }): string[] {
  const made = (c: Compiled): string => `${c.identities} identities, ${c.programs} programs, ${c.entries} entries`;
  const decided = Object.values(ten.series).flatMap((s) => s.changes.map((change) => change.decided));
  return [
    `${plan.ten.nodes} nodes, ${plan.ten.networks} networks of ${plan.ten.perNetwork} endpoints spread over all of them, ${plan.ten.policies} policies; the services with SQLite, agents with kernels in memory, ${processes} processes for all agents; ${plan.rounds} changes each.`,
    `Intent to outcome, p50: ${median(decided).toFixed(1)} ms. The agents began in ${(ten.startMs / 1000).toFixed(1)} s, and hold ${ten.agentsMb.toFixed(0)} MB together.`,
    `Processor milliseconds of a rule added to the tag of 1 in 100, by program: ${Object.entries(ten.series.few.cpu).map(([name, seconds]) => `${name} ${(seconds * 1_000).toFixed(0)}`).join(', ')}.`,
    `Compiled, every endpoint as if on one node: ${made(small)}; the larger: ${made(large)}. Labels: ${labelled.identities} identities in ${labelled.ms.toFixed(0)} ms.`,
    `${plan.many.nodes} agents in ${manyProcesses} processes, each network on ${plan.many.nodesPerNetwork ?? plan.many.nodes} nodes, ${plan.many.policies} policies, ${plan.manyRounds} changes: they began in ${(many.startMs / 1000).toFixed(0)} s, and hold ${many.megabytes.toFixed(0)} MB together.`,
  ];
}
