// How fast intents get through: a real nats-server, the real services with their SQLite databases, a publisher that is any NATS client; beside a second server
// with the same streams, publisher and messages without Osier (`raw-owner.ts`). Both are up all the time and take short turns, so that what else the machine
// does meets both alike; a turn begins when whatever the one before left to do is done.
import { setTimeout as sleep } from 'node:timers/promises';
import { median, quantile, spread } from '../../../tools/bench/figures.ts';
import type { Bench, Figure } from '../../../tools/bench/report.ts';
import { type Installation, type Publisher, token } from './installation.ts';
import type { Sample } from './raw-owner.ts';
import { osier, raw, samples } from './sides.ts';
import { bodyOf, type WishName, wishes } from './wishes.ts';

/** Intents whose acknowledgement the publisher awaits at a time. */
const inFlight = 256;
/** Milliseconds between an outcome and the next intent, so that nothing is under way when it comes: records, copies in other services. */
const pauseMs = 15;
/** Requests before those that count: connections are made, code is compiled. */
const warmRequests = 30;
const plans = {
  full: { rounds: 20, warm: 3_000, burst: 4_000, singly: 30, http: 200, more: 5, networks: 60, endpoints: 400 },
  quick: { rounds: 8, warm: 2_000, burst: 2_000, singly: 20, http: 150, more: 3, networks: 40, endpoints: 200 },
};
type Plan = (typeof plans)['full'];

/** One of the two that are compared; objects get numbers of their own. */
interface Side { readonly place: Installation; readonly publisher: Publisher; next: number }
interface Turn { readonly perSecond: number; readonly latencies: readonly number[]; readonly cpu: Readonly<Record<string, number>> }

async function burst(side: Side, name: WishName, count: number): Promise<number> {
  const first = side.next;
  side.next += count;
  const { ms } = await side.publisher.tell({ do: 'burst', wish: wishes[name], first, count, inFlight });
  return (count / ms) * 1_000;
}
async function singly(side: Side, name: WishName, count: number): Promise<readonly number[]> {
  const first = side.next;
  side.next += count;
  return (await side.publisher.tell({ do: 'singly', wish: wishes[name], first, count, pauseMs })).latencies;
}

const total = (cpu: Readonly<Record<string, number>>): number => Object.values(cpu).reduce((a, b) => a + b, 0);
/** Until its programs have next to nothing to do any more: copies and records that come after the outcomes. */
async function quiet({ place }: Side): Promise<void> {
  for (let [before, tries] = [total(place.cpu()), 0]; tries < 50; tries++) {
    await sleep(100);
    const now = total(place.cpu());
    if (now - before <= 0.02) return;
    before = now;
  }
}

async function turn(side: Side, plan: Plan): Promise<Turn> {
  const before = side.place.cpu();
  const perSecond = await burst(side, 'policy', plan.burst);
  await quiet(side);
  const cpu = Object.fromEntries(Object.entries(side.place.cpu()).map(([program, seconds]) => [program, ((seconds - (before[program] ?? 0)) / plan.burst) * 1_000]));
  return { perSecond, cpu, latencies: await singly(side, 'policy', plan.singly) };
}

interface More { readonly http: readonly number[]; readonly endpointSingly: readonly number[]; readonly endpoint: readonly number[]; readonly network: readonly number[] }

/** What Osier does besides, held to no target. */
async function measureMore(side: Side, api: string, plan: Plan): Promise<More> {
  const body = JSON.stringify((JSON.parse(bodyOf(wishes.policy.body, 0)) as { spec: unknown }).spec);
  const url = `${api}/v1/domains/acme/projects/shop/environments/staging/policies`;
  const overHttp = async (count: number): Promise<readonly number[]> => {
    const first = side.next;
    side.next += count;
    return (await side.publisher.tell({ do: 'http', url, token, body, first, count, pauseMs })).latencies;
  };
  await overHttp(warmRequests);
  const http = await overHttp(plan.http);
  const [endpoint, network]: [number[], number[]] = [[], []];
  for (let time = 0; time < plan.more; time++) {
    endpoint.push(await burst(side, 'endpoint', plan.endpoints));
    await quiet(side);
  }
  const endpointSingly = await singly(side, 'endpoint', plan.http);
  for (let time = 0; time < plan.more; time++) {
    network.push(await burst(side, 'network', plan.networks));
    await quiet(side);
  }
  return { http, endpoint, endpointSingly, network };
}

async function compare(ours: Side, theirs: Side, plan: Plan, say: (line: string) => void): Promise<readonly (readonly [Turn, Turn])[]> {
  await burst(theirs, 'policy', plan.warm);
  await quiet(theirs);
  const rounds: (readonly [Turn, Turn])[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    // Whoever is first in one round is second in the next.
    const sides = round % 2 === 0 ? [theirs, ours] : [ours, theirs];
    const turns = new Map<Side, Turn>();
    for (const side of sides) turns.set(side, await turn(side, plan));
    const [a, b] = [turns.get(ours) as Turn, turns.get(theirs) as Turn];
    rounds.push([a, b]);
    say(`  ${round + 1} of ${plan.rounds}: ${a.perSecond.toFixed(0)} intents/s, raw ${b.perSecond.toFixed(0)}`);
  }
  return rounds;
}

export const bench: Bench = async ({ quick, say }) => {
  const plan = quick ? plans.quick : plans.full;
  const open: Installation[] = [];
  const keep = <I extends Installation>(place: I): I => {
    open.push(place);
    return place;
  };
  const side = async (place: Installation): Promise<Side> => ({ place, publisher: await place.publisher(), next: 0 });
  try {
    say(`bench bus: ${plan.rounds} rounds of ${plan.burst} intents each with Osier and without, a few minutes`);
    const home = keep(await osier());
    const ours = await side(home);
    await burst(ours, 'policy', plan.warm);
    await quiet(ours);
    const sample = await samples(home.bus, 'policy');
    const theirs = await side(keep(await raw(sample)));
    const rounds = await compare(ours, theirs, plan, say);
    const more = await measureMore(ours, home.api, plan);
    return { title: 'bus: intents through the bus and a service', columns: ['Osier', 'raw'], figures: figures(rounds, more), facts: facts(rounds, sample, plan) };
  } finally {
    for (const place of open) await place.close();
  }
};

function figures(rounds: readonly (readonly [Turn, Turn])[], more: More): Figure[] {
  const ratios = rounds.map(([ours, theirs]) => ours.perSecond / theirs.perSecond);
  const [ours, theirs] = [rounds.map(([a]) => a), rounds.map(([, b]) => b)];
  const rates = ours.map((one) => one.perSecond);
  const cpu = (turns: readonly Turn[]): number => median(turns.map((one) => total(one.cpu)));
  const latency = (name: string, values: readonly number[], q: number): Figure => ({ name, unit: 'ms', value: quantile(values, q) });
  const [single, rawSingle] = [ours.flatMap((one) => one.latencies), theirs.flatMap((one) => one.latencies)];
  const rate = (name: string, values: readonly number[]): Figure => ({ name, unit: 'intents/s', value: median(values), spread: spread(values) });
  return [
    { name: 'batched intents, ratio to raw JetStream', unit: '', value: median(ratios), spread: spread(ratios), target: { value: 0.5, better: 'higher' } },
    { ...rate('batched intents, policy.apply', rates), beside: median(theirs.map((one) => one.perSecond)) },
    { name: 'processor time of all programs', unit: 'ms/intent', value: cpu(ours), beside: cpu(theirs) },
    { ...latency('p50 intent to outcome, unloaded', single, 0.5), beside: quantile(rawSingle, 0.5) },
    { ...latency('p99 intent to outcome, unloaded', single, 0.99), beside: quantile(rawSingle, 0.99), target: { value: 15, better: 'lower' } },
    latency('p50 PUT to 200, unloaded', more.http, 0.5),
    latency('p99 PUT to 200, unloaded', more.http, 0.99),
    rate('batched intents, endpoint.apply (asks ipam)', more.endpoint),
    latency('p50 endpoint.apply to outcome, unloaded', more.endpointSingly, 0.5),
    latency('p99 endpoint.apply to outcome, unloaded', more.endpointSingly, 0.99),
    rate('batched intents, network.apply', more.network),
  ];
}

const bytes = ({ text, headers }: Sample): number => Buffer.byteLength(text) + Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);

function facts(rounds: readonly (readonly [Turn, Turn])[], { state, outcome }: { state: Sample; outcome: Sample }, plan: Plan): string[] {
  const cpu = (turns: readonly Turn[]): string => Object.keys(turns[0]?.cpu ?? {}).map((program) => [program, median(turns.map((t) => t.cpu[program] ?? 0))] as const)
    .filter(([, seconds]) => seconds >= 0.005).map(([program, seconds]) => `${program} ${seconds.toFixed(2)}`).join(', ');
  return [
    `${plan.rounds} rounds by turns, each ${plan.burst} intents with ${inFlight} acknowledgements awaited at a time, then ${plan.singly} one at a time; medians, spread over the rounds.`,
    `Messages: intent ${bodyOf(wishes.policy.body, 0).length} bytes of body; with headers, state ${bytes(state)} and outcome ${bytes(outcome)} bytes.`,
    `Processor seconds for 1,000 intents: Osier: ${cpu(rounds.map(([a]) => a))}. Raw: ${cpu(rounds.map(([, b]) => b))}.`,
  ];
}
