// How fast intents get through: a real nats-server, the real services with their SQLite databases, a publisher that is any NATS client;
// beside the same server, streams, publisher and messages without Osier (`raw-owner.ts`), by turns, each turn on an installation of its own.
import { median, quantile, spread } from '../../../tools/bench/figures.ts';
import type { Bench, Figure } from '../../../tools/bench/report.ts';
import { type Installation, type Publisher, token } from './installation.ts';
import type { Sample } from './raw-owner.ts';
import { osier, raw, samples } from './sides.ts';
import { bodyOf, type WishName, wishes } from './wishes.ts';

/** Intents whose acknowledgement the publisher awaits at a time. */
const inFlight = 256;
/** Milliseconds between an outcome and the next intent, so that nothing is under way when it comes. */
const pauseMs = 2;
const plans = {
  full: { pairs: 5, warm: 1_000, burst: 6_000, singly: 200, http: 100, networks: 300, endpoints: 1_000 },
  quick: { pairs: 3, warm: 500, burst: 2_000, singly: 60, http: 40, networks: 100, endpoints: 300 },
};
type Plan = (typeof plans)['full'];

interface Measured { readonly perSecond: number; readonly latencies: readonly number[]; readonly cpu: Readonly<Record<string, number>> }

async function burst(publisher: Publisher, name: WishName, first: number, count: number): Promise<number> {
  const { ms } = await publisher.tell({ do: 'burst', wish: wishes[name], first, count, inFlight });
  return (count / ms) * 1_000;
}

/** What both sides do, by the same publisher: warm up, all at once, one at a time. */
async function measure(place: Installation, publisher: Publisher, plan: Plan): Promise<Measured> {
  await burst(publisher, 'policy', 0, plan.warm);
  const before = place.cpu();
  const perSecond = await burst(publisher, 'policy', 100_000, plan.burst);
  const cpu = Object.fromEntries(Object.entries(place.cpu()).map(([program, seconds]) => [program, ((seconds - (before[program] ?? 0)) / plan.burst) * 1_000]));
  const { latencies } = await publisher.tell({ do: 'singly', wish: wishes.policy, first: 200_000, count: plan.singly, pauseMs });
  return { perSecond, latencies, cpu };
}

interface More { readonly http: readonly number[]; readonly network: number; readonly endpoint: number; readonly endpointSingly: readonly number[] }

/** What Osier does besides, held to no target. */
async function measureMore(publisher: Publisher, api: string, plan: Plan): Promise<More> {
  const body = JSON.stringify((JSON.parse(bodyOf(wishes.policy.body, 0)) as { spec: unknown }).spec);
  const url = `${api}/v1/domains/acme/projects/shop/environments/staging/policies`;
  const http = await publisher.tell({ do: 'http', url, token, body, first: 300_000, count: plan.http, pauseMs });
  await burst(publisher, 'endpoint', 0, 100);
  const endpoint = await burst(publisher, 'endpoint', 1_000, plan.endpoints);
  const singly = await publisher.tell({ do: 'singly', wish: wishes.endpoint, first: 100_000, count: plan.http, pauseMs });
  return { http: http.latencies, endpoint, endpointSingly: singly.latencies, network: await burst(publisher, 'network', 0, plan.networks) };
}

async function osierTurn(plan: Plan): Promise<Measured & { more: More; sample: { state: Sample; outcome: Sample } }> {
  const place = await osier();
  try {
    const publisher = await place.publisher();
    const measured = await measure(place, publisher, plan);
    const sample = await samples(place.bus, 'policy');
    return { ...measured, sample, more: await measureMore(publisher, place.api, plan) };
  } finally {
    await place.close();
  }
}
async function rawTurn(sample: { state: Sample; outcome: Sample }, plan: Plan): Promise<Measured> {
  const place = await raw(sample);
  try {
    return await measure(place, await place.publisher(), plan);
  } finally {
    await place.close();
  }
}

/** A message of each kind, from a turn that is not counted: what raw publishes is what Osier publishes. */
async function look(plan: Plan): Promise<{ state: Sample; outcome: Sample }> {
  const place = await osier();
  try {
    await burst(await place.publisher(), 'policy', 0, plan.warm);
    return await samples(place.bus, 'policy');
  } finally {
    await place.close();
  }
}

const bytes = ({ text, headers }: Sample): number => Buffer.byteLength(text) + Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
const all = (turns: readonly Measured[]): number[] => turns.flatMap(({ latencies }) => latencies);

export const bench: Bench = async ({ quick, say }) => {
  const plan = quick ? plans.quick : plans.full;
  say(`bench bus: ${plan.pairs} pairs of turns, ${plan.burst} intents each, a few minutes`);
  const sample = await look(plan);
  const [ours, theirs]: [(Measured & { more: More })[], Measured[]] = [[], []];
  for (let pair = 1; pair <= plan.pairs; pair++) {
    // Whoever is first in one pair is second in the next.
    const turns = [async () => theirs.push(await rawTurn(sample, plan)), async () => ours.push(await osierTurn(plan))];
    for (const turn of pair % 2 === 1 ? turns : turns.reverse()) await turn();
    const [a, b] = [ours.at(-1), theirs.at(-1)];
    say(`  ${pair} of ${plan.pairs}: ${a?.perSecond.toFixed(0)} intents/s, raw ${b?.perSecond.toFixed(0)}`);
  }
  return { title: 'bus: intents through the bus and a service', columns: ['Osier', 'raw'], figures: figures(ours, theirs), facts: facts(ours, theirs, sample, plan) };
};

function figures(ours: readonly (Measured & { more: More })[], theirs: readonly Measured[]): Figure[] {
  const ratios = ours.map(({ perSecond }, pair) => perSecond / (theirs[pair] as Measured).perSecond);
  const of = (pick: (more: More) => readonly number[]): number[] => ours.flatMap(({ more }) => pick(more));
  const latency = (name: string, values: readonly number[], q: number): Figure => ({ name, unit: 'ms', value: quantile(values, q) });
  const [single, rawSingle] = [all(ours), all(theirs)];
  const rate = (pick: (more: More) => number): Pick<Figure, 'unit' | 'value' | 'spread'> => ({ unit: 'intents/s', value: median(ours.map(({ more }) => pick(more))), spread: spread(ours.map(({ more }) => pick(more))) });
  return [
    { name: 'batched intents, ratio to raw JetStream', unit: '', value: median(ratios), spread: spread(ratios), target: { value: 0.5, better: 'higher' } },
    { name: 'batched intents, policy.apply', unit: 'intents/s', value: median(ours.map((o) => o.perSecond)), beside: median(theirs.map((t) => t.perSecond)), spread: spread(ours.map((o) => o.perSecond)) },
    { ...latency('p50 intent to outcome, unloaded', single, 0.5), beside: quantile(rawSingle, 0.5) },
    { ...latency('p99 intent to outcome, unloaded', single, 0.99), beside: quantile(rawSingle, 0.99), target: { value: 15, better: 'lower' } },
    latency('p50 PUT to 200, unloaded', of((more) => more.http), 0.5),
    latency('p99 PUT to 200, unloaded', of((more) => more.http), 0.99),
    { name: 'batched intents, endpoint.apply (asks ipam)', ...rate((more) => more.endpoint) },
    latency('p50 endpoint.apply to outcome, unloaded', of((more) => more.endpointSingly), 0.5),
    latency('p99 endpoint.apply to outcome, unloaded', of((more) => more.endpointSingly), 0.99),
    { name: 'batched intents, network.apply', ...rate((more) => more.network) },
  ];
}

function facts(ours: readonly Measured[], theirs: readonly Measured[], { state, outcome }: { state: Sample; outcome: Sample }, plan: Plan): string[] {
  const cpu = (turns: readonly Measured[]): string => Object.keys(turns[0]?.cpu ?? {}).map((program) => [program, median(turns.map((t) => t.cpu[program] ?? 0))] as const)
    .filter(([, seconds]) => seconds >= 0.005).map(([program, seconds]) => `${program} ${seconds.toFixed(2)}`).join(', ');
  return [
    `${plan.pairs} pairs of turns by turns, each ${plan.burst} intents with ${inFlight} acknowledgements awaited at a time, then ${plan.singly} one at a time; medians, spread over the pairs.`,
    `One policy.apply: intent ${bodyOf(wishes.policy.body, 0).length} bytes and headers; with headers, state ${bytes(state)} and outcome ${bytes(outcome)} bytes.`,
    `Processor seconds for 1,000 intents: Osier: ${cpu(ours)}. Raw: ${cpu(theirs)}.`,
  ];
}
