// Three nats-servers, the four services, mixed intents of several publishers: servers are killed, cut off and restarted under them. Nothing that was acknowledged is lost,
// nothing is done twice, and no service takes an election for a stream that was lost. OSIER_SEED repeats a run's wishes; OSIER_QUICK=1 makes it short.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type NatsCluster, startNatsCluster } from '@osier/bus/cluster';
import { newInstallation } from '@osier/bus/installation';
import { services as serviceNames } from '@osier/lab/record';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { brokenHistories, compareModel, compareState, rowsOf, unfinished } from './chaos/databases.ts';
import { type Outcome, replay } from './chaos/model.ts';
import { concludedBy, conclusionOf, OutcomeWatch, publish, type Sent } from './chaos/publishers.ts';
import { seeded } from './chaos/random.ts';
import { everything, type Message, streamInfo } from './chaos/raw.ts';
import { credential, restless, type Sending, traffic } from './chaos/traffic.ts';
import { Acceptance, type Acknowledged } from './cluster/acceptance.ts';
import { type RunningServices, startServices } from './cluster/services.ts';
import { ask, enterAt, eventually, type Info, leaderOf } from './cluster/servers.ts';

const quick = process.env.OSIER_QUICK === '1';
const seed = Number(process.env.OSIER_SEED ?? Date.now() % 1_000_000);
const plan = { publishersEach: 2, perSecond: 20, window: 8 };
const dir = mkdtempSync(join(tmpdir(), 'osier-cluster-'));
const keys = await newInstallation({ credentials: [{ domain: 'acme', project: '_', name: credential, role: 'admin' }] });
const aside = new Set<string>(restless);
const few = (lines: readonly string[]): string[] => (lines.length > 20 ? [...lines.slice(0, 20), `… ${lines.length} in all`] : [...lines]);

let cluster: NatsCluster;
let services: RunningServices;
/** One connection of the platform's own to each server. */
let witnesses: NatsConnection[] = [];
const open: { close(): Promise<void> }[] = [];
const figures: string[] = [];
const acknowledged: Acknowledged[] = [];
const sendings: Sending[] = [];
let sent: Sent[] = [];
let before: Record<'CHANGES' | 'STATE', string>;
/** What goes on by itself, also where the faults could not all be inflicted. */
const ending: (() => unknown)[] = [];
let [intents, outcomes, changes, state]: [Message[], Message[], Message[], Message[]] = [[], [], [], []];

const incarnation = (stream: string): Promise<string> => eventually(async () =>
  (await ask<{ config?: { metadata: Record<string, string> } }>(witnesses[0] as NatsConnection, `STREAM.INFO.${stream}`)).config?.metadata['osier-incarnation']);
/** All servers are up, and each has all of every stream. */
const healthy = (): Promise<true> => eventually(async () => {
  for (const nats of witnesses) {
    for (const stream of ['INTENTS', 'CHANGES', 'STATE', 'OUTCOMES']) {
      const { cluster: found } = await ask<Info>(nats, `STREAM.INFO.${stream}`);
      if (found?.leader === undefined || found.replicas?.length !== 2 || found.replicas.some(({ current }) => !current)) return undefined;
    }
  }
  return true;
}, 60_000);

async function decided(id: string, noun: string, where: string, body: unknown): Promise<void> {
  const [domain, project, environment] = where.split('/');
  const own = domain === '_' || noun === 'domain';
  const headers = natsHeaders();
  headers.set('ce-id', id);
  const subject = `osier.intent.${domain}.${project}.${environment}.${noun}.apply.${own ? 'api' : credential}`;
  const outcome = `osier.outcome.${domain}.${project}.${id}`;
  const nats = witnesses[0] as NatsConnection;
  await nats.request(subject, JSON.stringify(body), { headers, timeout: 5_000 });
  await eventually(async () => {
    const answer = await ask<{ message?: { data: string } }>(nats, 'STREAM.MSG.GET.OUTCOMES', JSON.stringify({ last_by_subj: outcome }));
    if (answer.message === undefined) return undefined;
    const { result, problem } = JSON.parse(Buffer.from(answer.message.data, 'base64').toString()) as Outcome & { problem?: object };
    if (result !== 'accepted') throw new Error(`${noun} in ${where}: ${JSON.stringify(problem)}`);
    return true;
  });
}
async function setUp(): Promise<void> {
  await decided('s-domain', 'domain', '_/_/_', { name: 'acme', spec: {} });
  for (const n of [1, 2, 3]) await decided(`s-node-${n}`, 'node', '_/_/_', { name: `node-${n}`, spec: { tunnelEndpoint: `192.0.2.${n}` } });
  await decided('s-project', 'project', 'acme/_/_', { name: 'shop', spec: {} });
  for (const name of ['staging', 'production']) {
    await decided(`s-${name}`, 'environment', 'acme/shop/_', { name, spec: {} });
    await decided(`s-main-${name}`, 'network', `acme/shop/${name}`, { name: 'main', spec: { subnets: ['10.20.0.0/24'] } });
  }
}

interface Fault { readonly what: string; readonly quickly?: boolean; readonly hitLeaderOf?: string; inflict(at: number): Promise<void>; undo(at: number): Promise<void>; readonly forMs: number }
const server = (at: number) => cluster.servers[at] as NatsCluster['servers'][number];
const none = async (): Promise<void> => undefined;
const faults: readonly Fault[] = [
  { what: 'leader of INTENTS killed', quickly: true, hitLeaderOf: 'INTENTS', forMs: quick ? 9_000 : 15_000, inflict: (at) => server(at).kill(), undo: (at) => server(at).start() },
  { what: 'leader of CHANGES cut off', quickly: true, hitLeaderOf: 'CHANGES', forMs: quick ? 10_000 : 30_000, inflict: async (at) => cluster.cutOff(at), undo: async (at) => cluster.mend(at) },
  { what: 'server that leads neither cut off', forMs: 8_000, inflict: async (at) => cluster.cutOff(at), undo: async (at) => cluster.mend(at) },
  { what: 'leader of STATE killed', hitLeaderOf: 'STATE', forMs: 12_000, inflict: (at) => server(at).kill(), undo: (at) => server(at).start() },
  {
    what: 'all restarted, one after another', forMs: 0, undo: none, inflict: async () => {
      for (const at of [0, 1, 2]) {
        await server(at).stop();
        await server(at).start();
        await healthy();
      }
    },
  },
  { what: 'all killed at once', quickly: true, forMs: 1_000, inflict: async () => void (await Promise.all([0, 1, 2].map((at) => server(at).kill()))), undo: async () => void (await Promise.all([0, 1, 2].map((at) => server(at).start()))) },
];

async function suffer(fault: Fault, acceptances: readonly Acceptance[]): Promise<void> {
  await healthy();
  // Long enough for all to have gone on from the one before.
  if (quick) await sleep(2_000);
  const leaders = await Promise.all(['INTENTS', 'CHANGES', 'STATE'].map((stream) => leaderOf(witnesses[0] as NatsConnection, cluster, stream)));
  const at = fault.hitLeaderOf === undefined ? ([0, 1, 2].find((index) => !leaders.includes(index)) ?? leaders[2] ?? 0) : leaders[['INTENTS', 'CHANGES', 'STATE'].indexOf(fault.hitLeaderOf)] ?? 0;
  const from = Date.now();
  await fault.inflict(at);
  await sleep(fault.forMs);
  await fault.undo(at);
  await healthy();
  const whole = Date.now();
  await sleep(1_500);
  const pauses = acceptances.map((acceptance, index) => `${(acceptance.pause(from, whole) / 1000).toFixed(1)} s at ${cluster.names[index]}${index === at && fault.hitLeaderOf !== undefined ? ' (hit)' : ''}`);
  figures.push(`${fault.what}: longest pause in acceptance ${pauses.join(', ')}; every copy current ${((whole - from - fault.forMs) / 1000).toFixed(1)} s after the end of it`);
  console.log(figures.at(-1));
}

async function run(): Promise<void> {
  const random = seeded(seed);
  const wish = traffic(random.fork('wishes'), { lab: 'cluster', nodes: ['node-1', 'node-2', 'node-3'] });
  const watches = witnesses.map(() => new OutcomeWatch());
  watches.forEach((watch, index) => watch.start(witnesses[index] as NatsConnection));
  const acceptances = cluster.names.map((name) => new Acceptance(name));
  ending.push(...[...watches, ...acceptances].map((one) => () => one.stop()));
  const tenants = await Promise.all([0, 1, 2].flatMap((at) => Array.from({ length: plan.publishersEach + 1 }, async () => {
    const nats = await enterAt(cluster, at, await keys.credential(`acme/${credential}`));
    open.push(nats);
    return { at, nats };
  })));
  [0, 1, 2].forEach((at) => acceptances[at]?.start((tenants.find((tenant) => tenant.at === at) as { nats: NatsConnection }).nats));
  const publishers = [0, 1, 2].flatMap((at) => tenants.filter((tenant) => tenant.at === at).slice(1));
  // They go on wishing until all has been inflicted; what is open then is said on until it is decided.
  const inflicted = new AbortController();
  const over = new AbortController();
  ending.push(() => inflicted.abort(), () => over.abort());
  let [published, started] = [0, Date.now()];
  const publishing = publishers.map(async ({ at, nats }, n) => {
    const each: Sent[] = [];
    for (let round = 0; !inflicted.signal.aborted; round++) {
      const mine = Array.from({ length: plan.window * 2 }, (_, index): Sending => ({ id: `i-${n}-${round}-${index}`, ...wish() }));
      sendings.push(...mine);
      published += mine.length;
      each.push(await publish({
        nats, sendings: mine, outcomes: watches[at] as OutcomeWatch, random: random.fork(`publisher ${n} ${round}`), window: plan.window, stop: over.signal,
        dueAt: (k) => started + ((round * mine.length + k) * publishers.length * 1_000) / plan.perSecond, acknowledged: (sending, sequence) => acknowledged.push({ sending, sequence }),
      }));
    }
    return each;
  });
  started = Date.now();
  for (const fault of faults.filter(({ quickly }) => !quick || quickly === true)) await suffer(fault, acceptances);
  inflicted.abort();
  const limit = setTimeout(() => over.abort(), 60_000);
  await Promise.all(acceptances.map((acceptance) => acceptance.stop()));
  sent = (await Promise.all(publishing)).flat();
  clearTimeout(limit);
  for (const acceptance of acceptances) {
    sendings.push(...acceptance.sendings);
    acknowledged.push(...acceptance.acknowledged);
  }
  console.log(`seed ${seed}: ${published} mixed intents of ${publishers.length} publishers in ${((Date.now() - started) / 1000).toFixed(0)} s`);
  await Promise.all(watches.map((watch) => watch.stop()));
}

const openWork = (): Promise<true> => eventually(async () => {
  if (unfinished(services) > 0) return undefined;
  const [intentsEnd, outcomesEnd] = [await everything(witnesses[0] as NatsConnection, 'INTENTS'), await everything(witnesses[0] as NatsConnection, 'OUTCOMES')];
  const stored = new Set(intentsEnd.map(outcomeOf));
  return outcomesEnd.length >= stored.size && (await streamInfo(witnesses[0] as NatsConnection, 'STATE')).last_seq === (await streamInfo(witnesses[0] as NatsConnection, 'CHANGES')).last_seq ? true : undefined;
}, 60_000);
const outcomeOf = (m: Message): string => conclusionOf({ subject: m.subject, id: m.headers['ce-id'] ?? `seq-${m.sequence}` });

beforeAll(async () => {
  cluster = await startNatsCluster({ dir, accounts: { trust: keys.trust } });
  const logins = Object.fromEntries(await Promise.all(serviceNames.map(async (name) => [name, await keys.service(name)] as const)));
  services = await startServices({ dir, url: cluster.url, logins });
  witnesses = await Promise.all([0, 1, 2].map(async (at) => enterAt(cluster, at, await keys.service('admin'))));
  open.push(...witnesses);
  await healthy();
  await setUp();
  before = { CHANGES: await incarnation('CHANGES'), STATE: await incarnation('STATE') };
  await run();
  await openWork().catch((error: Error) => console.log(`not quiet: ${error.message}`));
  for (const [stream, keep] of [['INTENTS', (m: Message[]) => (intents = m)], ['OUTCOMES', (m: Message[]) => (outcomes = m)], ['CHANGES', (m: Message[]) => (changes = m)], ['STATE', (m: Message[]) => (state = m)]] as const) {
    keep(await everything(witnesses[0] as NatsConnection, stream));
  }
}, 400_000);
afterAll(async () => {
  await Promise.all(ending.map((end) => end()));
  await Promise.all(open.map((one) => one.close()));
  await services?.stop();
  await cluster?.stop();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe('when servers of a cluster are killed, cut off and restarted while publishers go on', () => {
  it('what was acknowledged is stored where it was said to be', () => {
    const bySequence = new Map(intents.map((m) => [m.sequence, m]));
    const wrong = acknowledged.filter(({ sending, sequence }) => {
      const there = bySequence.get(sequence);
      return there?.subject !== sending.subject || there.headers['ce-id'] !== sending.id || there.text !== sending.body;
    });
    const sum = (field: keyof Sent): number => sent.reduce((total, one) => total + one[field], 0);
    console.log(`published ${sum('published')} times, acknowledged ${sum('acknowledged')}, not acknowledged ${sum('failed')}; ${acknowledged.length} acknowledgements in all, ${wrong.length} of them untrue\n${figures.join('\n')}`);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(few(wrong.map(({ sending, sequence }) => `${sending.id} at ${sequence}`))).toEqual([]);
  });

  it('each intent has exactly one outcome: none is lost, none is twice', () => {
    const counts = new Map<string, number>();
    for (const conclusion of outcomes.map(concludedBy)) counts.set(conclusion, (counts.get(conclusion) ?? 0) + 1);
    const stored = new Set(intents.map(outcomeOf));
    const wished = sendings.filter(({ id }) => !id.startsWith('accept-') || acknowledged.some(({ sending }) => sending.id === id)).map(conclusionOf);
    console.log(`${wished.length} intents to be decided, ${intents.length} messages in INTENTS, ${outcomes.length} outcomes; lost ${wished.filter((subject) => !counts.has(subject)).length}, twice ${[...counts.values()].filter((n) => n > 1).length}`);
    expect(few(wished.filter((subject) => !counts.has(subject)))).toEqual([]);
    expect(few([...counts].filter(([, n]) => n !== 1).map(([subject, n]) => `${subject}: ${n}`))).toEqual([]);
    expect(few([...stored].filter((subject) => !counts.has(subject)))).toEqual([]);
    expect(few([...counts.keys()].filter((subject) => !stored.has(subject)))).toEqual([]);
  });

  it('decisions are those of the model in the order of INTENTS, and databases, STATE and histories agree', () => {
    const bad = new Map(sendings.map((s) => [`${s.subject}|${s.id}|${s.body}`, s.bad]));
    const replayed = replay(intents, outcomes, { aside, bad: (m, id) => bad.get(`${m.subject}|${id}|${m.text}`) });
    const rows = rowsOf(services);
    console.log(`model: ${replayed.judged} decisions foretold, ${replayed.wrong.length} wrong; ${rows.length} entities, CHANGES ${changes.length}, STATE ${state.length}`);
    expect(few(replayed.wrong)).toEqual([]);
    expect(few(compareModel(rows, replayed.entities, aside))).toEqual([]);
    expect(few(compareState(rows, state))).toEqual([]);
    expect(few(brokenHistories(services))).toEqual([]);
    const versions = changes.map((m) => `${m.subject} ${(JSON.parse(m.text) as { version?: number }).version}`).filter((line) => !line.endsWith(' undefined'));
    expect(few(versions.filter((line, index) => versions.indexOf(line) !== index))).toEqual([]);
  });

  it('no election was taken for a stream that was lost: nothing was made anew, and no revision jumped', async () => {
    expect({ CHANGES: await incarnation('CHANGES'), STATE: await incarnation('STATE') }).toEqual(before);
    expect(changes.at(-1)?.sequence).toBeLessThan(1_000_000);
    const said = services.log().split('\n');
    console.log(`STATE was led elsewhere ${said.filter((line) => line.includes('another server of the cluster is to lead it')).length} times; servers left ${said.filter((line) => line.includes('trying another server')).length} times`);
    expect(few(said.filter((line) => /streams are not what they were|made anew|set back|is gone/.test(line)))).toEqual([]);
  });
});
