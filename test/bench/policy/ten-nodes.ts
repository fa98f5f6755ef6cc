// Intents to receipts: the services as they are, with their databases, and ten node agents over kernels in memory.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../../../tools/bench/figures.ts';
import { environmentOf, type Installation, installation, services } from '../bus/installation.ts';
import { wish } from '../bus/sides.ts';
import type { AgentsOrders } from './agents.ts';
import { type ReceiptWatch, watchReceipts } from './receipts.ts';
import { lettingIn, membersOf, ruled, type Size, type Thing, type wide, world, type World } from './world.ts';
import { type Wisher, wisher } from './wisher.ts';

/** Milliseconds from the publication of the intent. */
export interface Change { readonly decided: number; readonly medianNode: number; readonly lastNode: number }
/** Seconds of processor time for one change: of one agent, and of each program. */
export interface Series { readonly changes: readonly Change[]; readonly cpuPerAgent: number; readonly cpu: Readonly<Record<string, number>> }
export type SeriesName = 'few' | 'some' | 'every' | 'label' | 'tag' | 'member' | 'first';
export interface TenNodes { readonly series: Readonly<Record<SeriesName, Series>>; readonly seedingMs: number; readonly startMs: number; readonly agentsMb: number }

/** Milliseconds between a change and the next. */
const pauseMs = 25;
/** A policy's rules grow so often before it begins with one again; beginning again is not counted. */
const growth = 8;
const warm = 4;
/** Of one process of agents; hundreds of them hold more than a process may by itself. */
const heapMb = 6_000;

interface Place { readonly home: Installation; readonly wishes: Wisher; readonly receipts: ReceiptWatch; readonly made: World; readonly agents: number }

export async function startAgents(home: Installation, names: readonly string[], processes: number, quiet: boolean): Promise<void> {
  await Promise.all(Array.from({ length: processes }, async (_, n) => {
    const [file, readyFile] = [join(home.dir, `agents-${n}.json`), join(home.dir, `agents-${n}.ready`)];
    const mine = names.filter((__, at) => at % processes === n);
    const orders: AgentsOrders = { url: home.url, nodes: await Promise.all(mine.map(async (name) => ({ name, ...(await home.node(name)) }))), readyFile, quiet };
    writeFileSync(file, JSON.stringify(orders), { mode: 0o600 });
    await home.start(`agents-${n}`, 'test/bench/policy/agents.ts', { args: [file], readyFile, patienceMs: 600_000, env: { NODE_OPTIONS: `--max-old-space-size=${heapMb}` } });
  }));
}

type Noun = 'endpoint' | 'policy' | 'address-group';
async function one(place: Place, noun: Noun, thing: Thing<Noun>): Promise<Change> {
  const { sentAt, decidedAt, revision } = await place.wishes.apply(noun, thing);
  const times = (await place.receipts.covering(revision)).map((at) => at - sentAt);
  place.receipts.forget();
  await sleep(pauseMs);
  return { decided: decidedAt - sentAt, medianNode: median(times), lastNode: Math.max(...times) };
}

const ofAgents = (each: Readonly<Record<string, number>>): number => Object.entries(each).filter(([name]) => name.startsWith('agents-')).reduce((sum, [, value]) => sum + value, 0);

/** `turn` says what the n-th change is, and whether it counts; the first few never do. */
async function series(place: Place, rounds: number, turn: (n: number) => { noun: Noun; thing: Thing<Noun>; counts: boolean }): Promise<Series> {
  const changes: Change[] = [];
  let before: Readonly<Record<string, number>> = {};
  let n = 0;
  for (; changes.length < rounds; n++) {
    if (n === warm) before = place.home.cpu();
    const { noun, thing, counts } = turn(n);
    const change = await one(place, noun, thing);
    if (counts && n >= warm) changes.push(change);
  }
  const cpu = Object.fromEntries(Object.entries(place.home.cpu()).map(([name, seconds]) => [name, (seconds - (before[name] ?? 0)) / (n - warm)]));
  return { changes, cpuPerAgent: ofAgents(cpu) / place.agents, cpu };
}

const rules = (tag: keyof typeof wide) => (n: number) => ({ noun: 'policy' as const, thing: ruled(tag, 1 + (n % growth)), counts: n % growth !== 0 });

function tagging(endpoint: Thing<'endpoint'>, key: string) {
  const { [key]: _, ...without } = endpoint.spec.tags;
  return (n: number) => ({ noun: 'endpoint' as const, thing: { name: endpoint.name, spec: { ...endpoint.spec, tags: n % 2 === 0 ? { ...without, [key]: 'yes' } : without } }, counts: true });
}

async function populate(home: Installation, wishes: Wisher, made: World): Promise<void> {
  await wish(home.bus, 'osier.intent._._._.domain.apply.setup', 'acme', {});
  await wish(home.bus, 'osier.intent.acme._._.project.apply.setup', 'shop', {});
  await wish(home.bus, 'osier.intent.acme.shop._.environment.apply.setup', 'staging', {});
  for (const { name, spec } of made.nodes) await wish(home.bus, 'osier.intent._._._.node.apply.setup', name, spec);
  await wishes.applyAll('network', made.networks);
  await wishes.applyAll('policy', made.policies);
  await wishes.applyAll('endpoint', made.endpoints);
}

export async function tenNodes(o: { size: Size; rounds: number; processes: number; say: (line: string) => void }): Promise<TenNodes> {
  const made = world(o.size);
  const names = made.nodes.map((one_) => one_.name);
  const home = await installation({ nodes: names });
  try {
    await Promise.all(services.map(async (name) => home.start(name, `apps/${name}/src/main.ts`, await environmentOf(home, name))));
    const wishes = await wisher(home.url, await home.tenant());
    const receipts = await watchReceipts(home.url, await home.login('admin'), names);
    const place: Place = { home, wishes, receipts, made, agents: names.length };
    const began = performance.now();
    await populate(home, wishes, made);
    const populated = performance.now();
    o.say(`  ${made.endpoints.length} endpoints in ${made.networks.length} networks, ${made.policies.length} policies: made in ${((populated - began) / 1000).toFixed(0)} s`);
    await startAgents(home, names, o.processes, false);
    await receipts.covering((await home.bus.stream('CHANGES'))?.lastSequence ?? 0);
    const startMs = performance.now() - populated;
    o.say(`  ${names.length} agents have begun after ${(startMs / 1000).toFixed(1)} s`);
    const found: [SeriesName, Series][] = [];
    const measure = async (name: SeriesName, turn: Parameters<typeof series>[2]): Promise<void> => {
      const result = await series(place, o.rounds, turn);
      o.say(`  ${name}: median node ${median(result.changes.map((c) => c.medianNode)).toFixed(0)} ms, last ${median(result.changes.map((c) => c.lastNode)).toFixed(0)} ms, processor ${(result.cpuPerAgent * 1000).toFixed(1)} ms an agent`);
      found.push([name, result]);
    };
    await measure('few', rules('pci'));
    await measure('some', rules('backup'));
    await measure('every', rules('managed'));
    const endpoint = made.endpoints.find((e) => e.spec.tags['pci'] === undefined) as Thing<'endpoint'>;
    await measure('tag', tagging(endpoint, 'pci'));
    await measure('label', tagging(endpoint, 'colour'));
    await one(place, 'address-group', membersOf(1));
    for (const policy of [lettingIn('of-members', { addressGroup: 'members' }), lettingIn('of-newcomers', { tag: 'newcomer' })]) await one(place, 'policy', policy);
    await measure('member', (n) => ({ noun: 'address-group', thing: membersOf(1 + (n % growth)), counts: n % growth !== 0 }));
    const newcomer = tagging(endpoint, 'newcomer');
    await measure('first', (n) => ({ ...newcomer(n), counts: n % 2 === 0 }));
    const agentsMb = ofAgents(home.memory());
    await wishes.close();
    await receipts.close();
    return { series: Object.fromEntries(found) as Record<SeriesName, Series>, seedingMs: populated - began, startMs, agentsMb };
  } finally {
    await home.close();
  }
}
