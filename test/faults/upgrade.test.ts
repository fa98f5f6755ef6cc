// A rolling upgrade: an installation as the last release made it, with its data and its static accounts on the bus, whose programs are replaced one after
// another by those of this tree, while tenants go on wishing and workloads go on talking.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { findWorkload, readInventory } from '@osier/lab/inventory';
import { type Lab, openLab, tellSupervisor } from '@osier/lab/lab';
import { repository } from '@osier/lab/paths';
import { probe, type Wish } from '@osier/lab/probes';
import { grantNamespaces } from '@osier/lab/system/grants';
import { makeNamespaces } from '@osier/lab/system/namespaces';
import { brokenHistories, compareState, rowsOf } from './chaos/databases.ts';
import { OutcomeWatch, publish } from './chaos/publishers.ts';
import { quiet } from './chaos/quiet.ts';
import { seeded } from './chaos/random.ts';
import { enter, everything } from './chaos/raw.ts';
import { allNamespaces, traffic } from './chaos/traffic.ts';
import { downgrade, exchange, osierOf, said, treeOf, upgrade } from './upgrade/mixture.ts';
import { type Released, releasedVersions, unpackReleased } from './upgrade/released.ts';

const version = releasedVersions().at(-1) ?? '';
const seed = Number(process.env.OSIER_SEED ?? Date.now() % 1_000_000);
const agents = ['agent-node-1', 'agent-node-2'];
/** Milliseconds that a mixture of versions is left to work before the next program is replaced. */
const between = 1_500;
const publishers = 2;
const environments = ['staging', 'production'];
const scope = { domain: 'acme', project: 'shop', environment: 'staging' };

let old: Released;
beforeAll(() => void (old = unpackReleased(version)));
afterAll(() => old.remove());

/** New connections all the time: who was reached that must not be, who was not that must be, and how often each was tried. */
function knocking(lab: Lab) {
  const inventory = readInventory(lab.paths);
  const wish = (from: string, to: string, port: number): Wish => ({ from: findWorkload(inventory, from), to: findWorkload(inventory, to), port, protocol: 'TCP' });
  const pairs = [
    ...environments.flatMap((e) => [[wish(`${e}/web`, `${e}/api`, 7070), true], [wish(`${e}/api`, `${e}/db`, 5432), true], [wish(`${e}/web`, `${e}/db`, 5432), false], [wish(`${e}/db`, `${e}/api`, 7070), false]] as const),
    [wish('staging/web', 'production/web', 8080), false] as const,
  ];
  const over = new AbortController();
  const wrong: string[] = [];
  const tried = { allowed: 0, denied: 0 };
  // What is denied takes its time to say nothing: the others do not wait for it.
  const go = async (expected: boolean, pause: number): Promise<void> => {
    const wishes = pairs.filter(([, allowed]) => allowed === expected).map(([each]) => each);
    while (!over.signal.aborted) {
      for (const { from, to, reached } of await probe(lab.paths, wishes)) {
        if (reached !== expected) wrong.push(`${from} → ${to} was ${reached ? '' : 'not '}reached, ${new Date().toISOString()}`);
        tried[expected ? 'allowed' : 'denied'] += 1;
      }
      await sleep(pause);
    }
  };
  const done = Promise.all([go(true, 100), go(false, 0)]);
  return { wrong, end: async () => (over.abort(), await done, `${tried.allowed} connections that are allowed, ${tried.denied} that are not`) };
}

/** Two tenants' programs that wish without a pause, with the logins that the old installation gave them. */
async function wishing(lab: Lab, services: NatsConnection) {
  const random = seeded(seed);
  const make = traffic(random.fork('wishes'), { lab: lab.record.name, nodes: lab.record.nodes.map((node) => node.name) });
  const watch = new OutcomeWatch();
  watch.start(services);
  const stop = new AbortController();
  const tenants = await Promise.all(Array.from({ length: publishers }, (_, n) => enter(`nats://127.0.0.1:${lab.record.ports.nats}`, lab.paths.secret('domain-acme'), `publisher-${n}`)));
  const started = Date.now();
  const done = Promise.all(tenants.map((nats, n) => publish({
    nats, sendings: Array.from({ length: 4_000 }, (_, k) => ({ id: `u${n}-${k}`, ...make() })), outcomes: watch, random: random.fork(`publisher ${n}`), window: 4, dueAt: (k) => started + k * 100, stop: stop.signal,
  })));
  return {
    end: async () => {
      stop.abort();
      const sent = await done;
      await Promise.all(tenants.map((nats) => nats.close()));
      await watch.stop();
      return `${sent.reduce((sum, one) => sum + one.acknowledged, 0)} intents acknowledged, ${sent.reduce((sum, one) => sum + one.failed, 0)} not; slowest outcome after ${Math.max(...sent.map((one) => one.slowestMs))} ms`;
    },
  };
}

describe.each([
  { lab: 'faultsu', what: 'services first, then the door and the agents', order: ['tenant', 'ipam', 'topology', 'policy', 'api', ...agents] },
  { lab: 'faultsv', what: 'the other way round, an agent first and one last', order: ['agent-node-2', 'api', 'policy', 'topology', 'ipam', 'tenant', 'agent-node-1'] },
])(`an installation of ${version}, replaced program by program: $what`, ({ lab: name, order }) => {
  let lab: Lab;
  let services: NatsConnection;
  let knocks: ReturnType<typeof knocking>;
  let stuck: string | undefined;
  let wishes: Awaited<ReturnType<typeof wishing>>;

  beforeAll(async () => {
    await osierOf(old.dir, 'lab', 'up', '--name', name, '--nodes', '2');
    await osierOf(old.dir, 'lab', 'load', '--name', name, '-f', join(import.meta.dirname, 'upgrade/application.yaml'), ...environments.flatMap((each) => ['-e', each]));
    lab = openLab(name);
    await makeNamespaces(allNamespaces(name));
    grantNamespaces(lab.paths, lab.record.nodes.flatMap((node) => allNamespaces(name).map((namespace) => ({ node: node.name, namespace }))));
    // As 0.1.0 wrote it: a user and a password.
    services = await enter(`nats://127.0.0.1:${lab.record.ports.nats}`, lab.paths.secret('api'), 'witness of the test');
    knocks = knocking(lab);
    wishes = await wishing(lab, services);
  }, 240_000);
  afterAll(async () => {
    await services?.close();
    await labDown(name);
  }, 60_000);
  afterEach(() => expect(knocks.wrong).toEqual([]));

  /** A change that concerns both nodes goes all the way, and both confirm it. */
  async function works(round: number): Promise<void> {
    const changed = await lab.client.apply('policy', scope, 'upgrade', { appliesTo: { matchTags: { app: 'web' } }, priority: 10, isolates: ['ingress'], description: `round ${round}` });
    await waitEnforced(lab, changed.changes);
    const revision = Math.max(...changed.changes.map((change) => change.revision));
    const views = await lab.client.nodes();
    expect(views.map((view) => [view.name, view.revision >= revision])).toEqual([['node-1', true], ['node-2', true]]);
  }

  it.each(order.map((program, round) => [program, round] as const))('%s', async (program, round) => {
    if (stuck !== undefined) throw new Error(`${stuck} could not be replaced: nothing after it is looked at`);
    stuck = program;
    expect(treeOf(lab, program)).toContain(old.dir);
    await upgrade(lab, program, old);
    await works(round);
    await sleep(between);
    expect(knocks.wrong).toEqual([]);
    stuck = undefined;
  }, 120_000);

  it('every program is of this tree now, and the commands of both versions know all of it', async () => {
    for (const program of order) expect(treeOf(lab, program)).toBe(repository);
    for (const tree of [old.dir, repository]) expect(await osierOf(tree, 'nodes', '--lab', name)).toMatch(/node-1[\s\S]*node-2/);
  }, 60_000);

  it('a program of the old version on a schema that it does not know refuses to start, and names the way out', async () => {
    await tellSupervisor(lab.paths, { do: 'hold', names: ['policy'] });
    const database = new DatabaseSync(join(lab.paths.data('policy'), 'policy.db'));
    const known = readdirSync(join(old.dir, 'libs/store/src/sqlite/migrations')).map((file) => file.replace('.ts', ''));
    const unknown = (database.prepare('select name from mikro_orm_migrations').all() as { name: string }[]).filter((row) => !known.includes(row.name));
    // Where this tree's schema is still the released one: as a later version's would be.
    if (unknown.length === 0) database.prepare("insert into mikro_orm_migrations (name, executed_at) values ('9999-later', datetime())").run();
    const from = (await readLog(lab, 'policy')).length;
    await downgrade(lab, 'policy', old);
    expect(await said(lab, 'policy', from, /osier policy cannot start: .*\n/)).toMatch(/has a newer schema than this version of Osier knows .*Run the version of Osier that wrote it, or restore a backup/);
    await tellSupervisor(lab.paths, { do: 'hold', names: ['policy'] });
    if (unknown.length === 0) database.prepare("delete from mikro_orm_migrations where name = '9999-later'").run();
    database.close();
    await exchange(lab, 'policy', old.dir, repository);
    await works(99);
  }, 120_000);

  it('each intent had exactly one outcome, databases and streams agree, and no verdict ever changed', async () => {
    const sent = await wishes.end();
    const { open, ms } = await quiet(lab, services, 90_000);
    const knocked = await knocks.end();
    expect(open).toEqual([]);
    const [intents, outcomes] = [await everything(services, 'INTENTS'), await everything(services, 'OUTCOMES')];
    const counted = new Map<string, number>();
    for (const { subject } of outcomes) counted.set(subject, (counted.get(subject) ?? 0) + 1);
    const token = (text = ''): string => (text === '' ? '_' : text);
    const wished = new Set(intents.map((m) => ['osier.outcome', token(m.subject.split('.')[2]), token(m.subject.split('.')[3]), m.headers['ce-id'] ?? `seq-${m.sequence}`].join('.')));
    console.log([
      `${version} → this tree, seed ${seed}: ${order.join(', ')}`, sent, `INTENTS ${intents.length}, of them different ${wished.size}; OUTCOMES ${outcomes.length}; quiet after ${ms} ms`, `${knocked}: ${knocks.wrong.length} wrong`,
    ].join('\n'));
    expect(wished.size).toBeGreaterThan(100);
    expect([...wished].filter((subject) => counted.get(subject) !== 1)).toEqual([]);
    expect([...counted.keys()].filter((subject) => !wished.has(subject))).toEqual([]);
    expect(compareState(rowsOf(lab), await everything(services, 'STATE'))).toEqual([]);
    expect(brokenHistories(lab)).toEqual([]);
  }, 180_000);
});

async function readLog(lab: Lab, name: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(lab.paths.log(name), 'utf8');
}
