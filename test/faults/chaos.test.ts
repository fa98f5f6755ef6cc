// Nothing accepted is lost, nothing is done twice: 20 publishers go on wishing while every program of a lab is killed with SIGKILL at random.
// OSIER_SEED repeats a run's wishes and its killing; OSIER_QUICK=1 (npm run test:faults -- --quick) makes it short.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { expected } from '@osier/lab/demo/shop';
import { labDown } from '@osier/lab/down';
import { readInventory } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { everyPair, probe } from '@osier/lab/probes';
import { natsUrl } from '@osier/lab/programs';
import { grantNamespaces } from '@osier/lab/system/grants';
import { makeNamespaces } from '@osier/lab/system/namespaces';
import { labUp } from '@osier/lab/up';
import { deployShop } from '../lab/shop.ts';
import { brokenHistories, compareModel, compareState, orphans, rowsOf, type Stored } from './chaos/databases.ts';
import { compareKernels } from './chaos/kernels.ts';
import { killAtRandom, type Killing } from './chaos/killer.ts';
import { type Outcome, replay, type Replayed } from './chaos/model.ts';
import { knock, type Knocked } from './chaos/probes.ts';
import { concludedBy, conclusionOf, OutcomeWatch, publish, type Sent } from './chaos/publishers.ts';
import { quiet } from './chaos/quiet.ts';
import { type Random, seeded } from './chaos/random.ts';
import { enter, everything, type Message } from './chaos/raw.ts';
import { type Kept, startKeeping } from './chaos/store.ts';
import { allNamespaces, restless, type Sending, traffic } from './chaos/traffic.ts';

const name = 'faults';
const quick = process.env.OSIER_QUICK === '1';
const seed = Number(process.env.OSIER_SEED ?? Date.now() % 1_000_000);
const plan = { publishers: 20, intents: quick ? 1_000 : 10_000, forMs: quick ? 45_000 : 300_000, everyMs: (quick ? [1_200, 3_000] : [1_500, 5_000]) as [number, number] };
const aside = new Set<string>(restless);
const few = (lines: readonly string[]): string[] => (lines.length > 20 ? [...lines.slice(0, 20), `… ${lines.length} in all`] : [...lines]);

let lab: Lab;
let kept: Kept;
let services: NatsConnection;
let [sendings, stolen]: [Sending[], Sending[]] = [[], []];
let sent: Sent[];
let killing: Killing;
let knocked: ReadonlyMap<string, Knocked>;
let quietAfter: { ms: number; open: readonly string[] };
let [intents, outcomes, changes, state]: [Message[], Message[], Message[], Message[]] = [[], [], [], []];
let replayed: Replayed;

/** Another's id with a wish of one's own. */
const stealing = (random: Random): Sending => ({ ...random.pick(sendings), id: random.pick(sendings).id });

/** Ids are the publishers' own; now and then one takes another's, with a wish of its own. */
function wishes(): Sending[] {
  const random = seeded(seed).fork('wishes');
  const wish = traffic(random, { lab: name, nodes: lab.record.nodes.map((node) => node.name) });
  return Array.from({ length: plan.intents }, (_, index) => ({ id: `i-${index}`, ...wish() }));
}

async function run(): Promise<void> {
  const random = seeded(seed);
  sendings = wishes();
  stolen = Array.from({ length: plan.intents / 100 }, () => stealing(random));
  const over = new AbortController();
  const stop = new AbortController();
  const watch = new OutcomeWatch();
  watch.start(services);
  const tenants = await Promise.all(Array.from({ length: plan.publishers }, (_, n) => enter(natsUrl(lab.record), lab.paths.creds('domain-acme'), `publisher-${n}`)));
  const probing = knock(lab, over.signal);
  const killed = killAtRandom(lab, {
    victims: ['nats', 'tenant', 'ipam', 'topology', 'policy', 'api', ...lab.record.nodes.map((node) => `agent-${node.name}`)],
    random: random.fork('killing'), forMs: plan.forMs, everyMs: plan.everyMs,
  });
  const started = Date.now();
  const limit = setTimeout(() => stop.abort(), plan.forMs + 150_000);
  const publishing = Promise.all(tenants.map((nats, n) => {
    const mine = [...sendings, ...stolen].filter((_, index) => index % plan.publishers === n);
    return publish({ nats, sendings: mine, outcomes: watch, random: random.fork(`publisher ${n}`), window: 16, dueAt: (k) => started + (plan.forMs * 0.95 * k) / mine.length, stop: stop.signal });
  }));
  killing = await killed;
  sent = await publishing;
  clearTimeout(limit);
  const published = Date.now();
  quietAfter = await quiet(lab, services, 90_000);
  over.abort();
  knocked = await probing;
  await watch.stop();
  await Promise.all(tenants.map((nats) => nats.close()));
  console.log(`${plan.publishers} publishers were done ${((published - started) / 1000).toFixed(0)} s after the first intent, everything quiet ${(quietAfter.ms / 1000).toFixed(1)} s later`);
  for (const [stream, keep] of [['INTENTS', (m: Message[]) => (intents = m)], ['OUTCOMES', (m: Message[]) => (outcomes = m)], ['CHANGES', (m: Message[]) => (changes = m)], ['STATE', (m: Message[]) => (state = m)]] as const) {
    keep(await everything(services, stream));
  }
  const bad = new Map([...sendings, ...stolen].map((s) => [`${s.subject}|${s.id}|${s.body}`, s.bad]));
  replayed = replay(intents, outcomes, { aside, bad: (m, id) => bad.get(`${m.subject}|${id}|${m.text}`) });
}

beforeAll(async () => {
  kept = await startKeeping();
  lab = await labUp({ name, nodes: 3, domains: ['acme'], project: 'shop', env: kept.env });
  await deployShop(lab);
  await makeNamespaces(allNamespaces(name));
  grantNamespaces(lab.paths, lab.record.nodes.flatMap((node) => allNamespaces(name).map((namespace) => ({ node: node.name, namespace }))));
  services = await enter(natsUrl(lab.record), lab.paths.creds('admin'), 'witness of the test');
  console.log(`seed ${seed}: ${plan.intents} intents, killing for ${plan.forMs / 1000} s`);
  await run();
}, plan.forMs + 480_000);
afterAll(async () => {
  await services?.close();
  await labDown(name);
  await kept?.remove();
}, 60_000);

describe('when everything is killed at random while 20 publishers go on', () => {
  it('has killed every program', () => {
    console.log(`SIGKILL ${[...killing.kills.values()].reduce((a, b) => a + b, 0)} times in ${killing.rounds} rounds: ${[...killing.kills].map(([victim, times]) => `${victim} ${times}`).join(', ')}`);
    expect([...killing.kills].filter(([, times]) => times === 0)).toEqual([]);
  });

  it('ends each intent in exactly one outcome: none is lost, none is twice', () => {
    const counts = new Map<string, number>();
    for (const conclusion of outcomes.map(concludedBy)) counts.set(conclusion, (counts.get(conclusion) ?? 0) + 1);
    const ours = new Set([...sendings, ...stolen].map(conclusionOf));
    const sum = (field: keyof Sent): number => sent.reduce((total, one) => total + one[field], 0);
    const decided = outcomes.filter((m) => ours.has(concludedBy(m))).map((m) => JSON.parse(m.text) as Outcome);
    const codes = new Map<string, number>();
    for (const o of decided) codes.set(o.problem?.code ?? 'accepted', (codes.get(o.problem?.code ?? 'accepted') ?? 0) + 1);
    console.log([
      `intents ${ours.size}, ${ours.size - sendings.length} of them with an id that another service has decided under too; outcomes of them ${decided.length}: ${[...codes].sort((a, b) => b[1] - a[1]).map(([code, n]) => `${code} ${n}`).join(', ')}`,
      `published ${sum('published')} times, acknowledged ${sum('acknowledged')}, not acknowledged ${sum('failed')}, said again after the outcome ${sum('repeatedAfterwards')}; stored in INTENTS ${intents.length}, of them repeats ${replayed.repeats}`,
      `slowest from first try to outcome ${Math.max(...sent.map((one) => one.slowestMs))} ms`,
      `lost ${[...ours].filter((one) => !counts.has(one)).length}, twice ${[...counts.values()].filter((n) => n > 1).length}`,
    ].join('\n'));
    expect(few([...ours].filter((one) => !counts.has(one)))).toEqual([]);
    expect(few([...counts].filter(([, n]) => n !== 1).map(([one, n]) => `${one}: ${n}`))).toEqual([]);
    const stored = new Set(intents.map((m) => conclusionOf({ subject: m.subject, id: m.headers['ce-id'] ?? `seq-${m.sequence}` })));
    expect(few([...stored].filter((one) => !counts.has(one)))).toEqual([]);
    expect(few([...counts.keys()].filter((one) => !stored.has(one)))).toEqual([]);
  });

  it('comes to rest by itself', () => expect(quietAfter.open).toEqual([]));

  it('decides as the model does, in the order of INTENTS', () => {
    console.log(`model: ${replayed.intents} different intents, ${replayed.judged} decisions foretold, ${replayed.wrong.length} wrong`);
    expect(few(replayed.wrong)).toEqual([]);
  });

  it('leaves in the databases what the model says, and nothing without its environment or address', () => {
    const rows = rowsOf(lab);
    console.log(`databases: ${rows.length} entities, ${rows.filter(({ document }) => document.phase === 'active').length} of them active; the model has ${replayed.entities.size}`);
    expect(few(compareModel(rows, replayed.entities, aside))).toEqual([]);
    expect(few(orphans(rows))).toEqual([]);
    expect(few(brokenHistories(lab))).toEqual([]);
  });

  it('has the same in the databases and in STATE, and outcomes name revisions that are true', () => {
    expect(few(compareState(rowsOf(lab), state))).toEqual([]);
    const bySequence = new Map(changes.map((m) => [m.sequence, m]));
    const untrue: string[] = [];
    let named = 0;
    for (const outcome of outcomes.map((m) => JSON.parse(m.text) as Outcome)) {
      for (const change of outcome.changes ?? []) {
        named += 1;
        const message = bySequence.get(change.revision);
        const version = message === undefined ? 0 : (JSON.parse(message.text) as Stored).version;
        if (message?.subject !== change.subject || version < change.version) untrue.push(`${outcome.intentId}: version ${change.version} of ${change.subject} at ${change.revision}, where there is version ${version} of ${message?.subject}`);
      }
    }
    const versions = changes.map((m) => `${m.subject} ${(JSON.parse(m.text) as { version?: number }).version}`).filter((line) => !line.endsWith(' undefined'));
    console.log(`CHANGES ${changes.length}, STATE ${state.length}; ${named} changes named by outcomes`);
    expect(few(untrue)).toEqual([]);
    expect(few(versions.filter((line, index) => versions.indexOf(line) !== index))).toEqual([]);
  });

  it('has the same in STATE and in every kernel, as the witness reads it', async () => {
    const documents = state.map((m) => JSON.parse(m.text) as Stored).filter((d) => 'phase' in d);
    let compared = compareKernels(lab, documents);
    // What comes after a receipt (an old row taken out, a device renamed) may still be under way.
    for (const until = Date.now() + 10_000; compared.wrong.length > 0 && Date.now() < until; compared = compareKernels(lab, documents)) await sleep(500);
    console.log(`kernels: ${compared.endpoints} endpoints, ${compared.addresses} addresses, ${compared.rules} rules on ${lab.record.nodes.length} nodes`);
    expect(few(compared.wrong)).toEqual([]);
  }, 30_000);

  it('never let a denied packet through, and every pair is as it should be at the end', async () => {
    console.log([...knocked].map(([pair, { tries, reached }]) => `${pair}: ${reached} of ${tries} new connections reached it`).join('\n'));
    for (const [pair, { tries, reached }] of knocked) {
      expect(tries).toBeGreaterThanOrEqual(5);
      if (pair.endsWith('(denied)')) expect([pair, reached]).toEqual([pair, 0]);
      else expect([pair, reached]).toEqual([pair, tries]);
    }
    const probes = await probe(lab.paths, everyPair(readInventory(lab.paths)));
    expect(probes.filter((p) => p.reached !== expected(p.from, p.to)).map((p) => `${p.from} → ${p.to} ${p.reached ? 'reached' : 'not reached'}`)).toEqual([]);
  }, 60_000);
});
