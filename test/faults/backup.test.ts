// A large installation is saved and made again: equal by the digests of a witness that shares nothing with what saves and restores.
import { copyFileSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, truncateSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { type PostgresServer, startPostgres } from '@osier/store/postgres-server';
import type { Lab } from '@osier/lab/lab';
import { type Digests, digests, postgresReader, sqliteReader, total } from './backup/witness.ts';
import { type Installation, install, osier, type Program, type Ran, services } from './backup/installation.ts';
import { build, endpointWish, Publisher, type Size } from './backup/load.ts';
import { brokenHistories, compareState, orphans, rowsOf } from './chaos/databases.ts';
import { enter, everything, streamInfo } from './chaos/raw.ts';

const quick = process.env['OSIER_QUICK'] === '1';
const size: Size = quick ? { environments: 5, networks: 50, endpoints: 500, nodes: 4 } : { environments: 10, networks: 1_000, endpoints: 10_000, nodes: 20 };
const nodes = Array.from({ length: size.nodes }, (_, n) => `node-${n}`);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const folder = mkdtempSync(join(tmpdir(), 'osier-faults-archives-'));
const archive = join(folder, 'backup.tar');
const figures: string[] = [];
const figure = (text: string): void => {
  figures.push(text);
  console.log(text);
};

const installations: Installation[] = [];
const connections: NatsConnection[] = [];
async function made(o?: { databaseUrl?: string }): Promise<{ at: Installation; nats: NatsConnection }> {
  const at = await install(o);
  installations.push(at);
  const nats = await enter(at.nats.url, at.creds, 'backup test');
  connections.push(nats);
  return { at, nats };
}
const asLab = (at: Installation): Lab => ({ paths: { data: (service: string) => join(at.database(service), '..') } }) as unknown as Lab;
const witness = (at: Installation, nats: NatsConnection, auditUntil: number): Promise<Digests> => digests(sqliteReader((service) => at.database(service)), nats, { nodes, auditUntil });
/** Databases and STATE agree, nothing is given twice, every stored intent has one outcome. */
async function sound(at: Installation, nats: NatsConnection): Promise<void> {
  const rows = rowsOf(asLab(at));
  expect(compareState(rows, await everything(nats, 'STATE'))).toEqual([]);
  expect(brokenHistories(asLab(at))).toEqual([]);
  const concluded = (await everything(nats, 'OUTCOMES')).map(({ subject }) => subject);
  const outcomes = new Set(concluded);
  expect(outcomes.size).toBe(concluded.length);
  const wished = new Set((await everything(nats, 'INTENTS')).map(({ subject, headers }) => ['osier.outcome', ...subject.split('.').slice(2, 4), headers['ce-id']].join('.')));
  expect([...wished].filter((subject) => !outcomes.has(subject))).toEqual([]);
}
/** A deleted endpoint's lease stays held, as no node here ever says that it has let go; of all others each endpoint has its lease. */
const unexplained = (at: Installation): string[] => orphans(rowsOf(asLab(at))).filter((text) => !text.endsWith('has no endpoint'));

let source: { at: Installation; nats: NatsConnection };
let publisher: Publisher;
let before: Digests;
let auditUntil = 0;
interface Summary { digest: string; bytes: number; revision: number; pauseMs: number; parts: { name: string; bytes: number; messages?: number }[] }
let summary: Summary;

beforeAll(async () => {
  source = await made();
  publisher = new Publisher(source.nats);
  const since = performance.now();
  await build(publisher, size);
  figure(`${size.networks} networks, ${size.endpoints} endpoints, ${publisher.outcomes.size} intents in ${seconds(performance.now() - since)}`);
}, 600_000);
afterAll(async () => {
  for (const nats of connections) await nats.close();
  for (const at of installations) await at.remove();
  rmSync(folder, { recursive: true, force: true });
  console.log(figures.join('\n'));
}, 60_000);

describe('the backup of an installation', () => {
  it('is one file, which is whole', async () => {
    const ran = await osier(source.at, ['backup', archive, '-o', 'json']);
    expect([ran.code, ran.err]).toEqual([0, '']);
    summary = JSON.parse(ran.out) as Summary;
    auditUntil = (await streamInfo(source.nats, 'AUDIT')).last_seq;
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect(existsSync(`${archive}.partial`)).toBe(false);
    const verified = await osier(source.at, ['backup', 'verify', archive, '-o', 'json']);
    expect([verified.code, (JSON.parse(verified.out) as Summary).digest]).toEqual([0, summary.digest]);
    expect(source.at.left()).toEqual([]);
    figure(`backup: ${mib(summary.bytes)} in ${seconds(ran.ms)}, the services held still for ${seconds(summary.pauseMs)}, revision ${summary.revision}; verified in ${seconds(verified.ms)}`);
    figure(summary.parts.map(({ name, bytes }) => `  ${name} ${mib(bytes)}`).join('\n'));
    const since = performance.now();
    before = await witness(source.at, source.nats, auditUntil);
    figure(`witness of the original: sha256 ${total(before)} in ${seconds(performance.now() - since)}`);
    expect(before['STATE']?.count).toBeGreaterThan(size.endpoints * 2 + size.networks);
    expect(before['topology.entities']?.count).toBeGreaterThan(size.endpoints);
    expect(before['AUDIT']?.count).toBe(auditUntil);
    for (const node of nodes) expect(before[`desired of ${node}`]?.count).toBeGreaterThan(size.endpoints / size.nodes / 2);
  }, 300_000);

  it('is never written over, and is refused where it should go into what is not empty', async () => {
    const again = await osier(source.at, ['backup', archive]);
    expect([again.code, again.err]).toEqual([2, expect.stringContaining('exists already')]);
    const back = await osier(source.at, ['restore', archive]);
    expect([back.code, back.err]).toEqual([1, expect.stringMatching(/not empty.*tenant has project "shop"[\s\S]*just made/)]);
  }, 120_000);

  it('fails when a service is down, names it, and the others go on', async () => {
    await source.at.hold('ipam');
    const ran = await osier(source.at, ['backup', join(folder, 'never.tar')]);
    expect([ran.code, ran.err]).toEqual([3, expect.stringContaining('The ipam service does not answer')]);
    expect(readdirSync(folder).filter((name) => name.startsWith('never'))).toEqual([]);
    await publisher.all([{ scope: ['acme', 'shop', '_'], noun: 'environment', name: 'meanwhile', spec: {}, id: 'meanwhile' }], 20_000);
    await source.at.release('ipam');
  }, 120_000);
});

// A minute: as long as the services wait for an api that is no more.
if (!quick) {
  describe('a backup whose api is killed while the services hold still', () => {
    it('stops nobody for longer than the lease: they go on by themselves, and nothing is left behind', async () => {
      const from = source.at.nats.log().length;
      const running = osier(source.at, ['backup', join(folder, 'killed.tar')]);
      for (const until = Date.now() + 60_000; !/Starting snapshot/.test(source.at.nats.log().slice(from)); await sleep(2)) if (Date.now() > until) throw new Error('no snapshot was begun');
      await source.at.kill('api');
      const since = performance.now();
      expect((await running).code).toBe(3);
      await publisher.all([{ scope: ['acme', 'shop', '_'], noun: 'environment', name: 'held', spec: {}, id: 'held' }], 90_000);
      const waited = performance.now() - since;
      expect(source.at.log('tenant')).toContain('nobody speaks of the backup any more');
      await source.at.ready();
      expect(source.at.left().filter((name) => !name.startsWith('osier-dump-'))).toEqual([]);
      expect(readdirSync(folder).filter((name) => name.startsWith('killed'))).toEqual([]);
      figure(`api killed in the pause: an intent was decided ${seconds(waited)} later`);
    }, 180_000);
  });
}

describe('a restore into an empty installation', () => {
  let target: { at: Installation; nats: NatsConnection };
  beforeAll(async () => void (target = await made()), 120_000);
  const broken = async (name: string, breakIt: (file: string) => void, says: RegExp): Promise<void> => {
    const file = join(folder, name);
    copyFileSync(archive, file);
    breakIt(file);
    const ran = await osier(target.at, ['restore', file]);
    expect([ran.code, ran.err]).toEqual([1, expect.stringMatching(says)]);
    expect(ran.err).toContain('earlier backup');
    rmSync(file);
  };

  it('is refused when the archive is cut off, or a byte of it is another', async () => {
    await broken('cut.tar', (file) => truncateSync(file, statSync(file).size - 1_600), /not whole/);
    await broken('half.tar', (file) => truncateSync(file, statSync(file).size >> 1), /not whole/);
    await broken('flipped.tar', (file) => {
      const handle = openSync(file, 'r+');
      const at = Math.floor(statSync(file).size * 0.7);
      const byte = Buffer.alloc(1);
      readSync(handle, byte, 0, 1, at);
      writeSync(handle, Buffer.from([(byte[0] ?? 0) ^ 4]), 0, 1, at);
      closeSync(handle);
    }, /damaged/);
  }, 120_000);

  it('that is killed half-way leaves one that decides nothing and says what to do, and is repeated', async () => {
    const reached = async (log: () => string, what: RegExp, from: number): Promise<void> => {
      for (const until = Date.now() + 60_000; !what.test(log().slice(from)); await sleep(5)) if (Date.now() > until) throw new Error(`never came to ${what}: ${log().slice(-500)}`);
    };
    const halfRestored = async (victim: Program, ran: Ran): Promise<void> => {
      figure(`${victim} killed while restoring: exit ${ran.code}: ${ran.err.split('\n')[0]}`);
      expect(ran.code).not.toBe(0);
      await target.at.answers();
      let asked = await osier(target.at, ['get', 'domains']);
      for (const until = Date.now() + 30_000; asked.err.includes('does not answer') && Date.now() < until; ) asked = await osier(target.at, ['get', 'domains']);
      expect([asked.code, asked.err]).toEqual([3, expect.stringMatching(/being restored from a backup[\s\S]*osier restore/)]);
    };
    // The api, once the services have begun.
    const first = osier(target.at, ['restore', archive]);
    await reached(() => target.at.log('topology'), /being restored from a backup: it decides nothing/, 0);
    await target.at.kill('api');
    await halfRestored('api', await first);
    // A service, once the streams are being made.
    const from = target.at.nats.log().length;
    const second = osier(target.at, ['restore', archive]);
    await reached(() => target.at.nats.log(), /Completed restore/, from);
    await target.at.hold('topology');
    const ran = await second;
    target.at.start('topology');
    await reached(() => target.at.log('topology'), /A restore of this installation was begun[\s\S]*A restore of this installation was begun/, 0);
    await halfRestored('topology', ran);
  }, 300_000);

  it('makes it what the other one was: equal by digest', async () => {
    const ran = await osier(target.at, ['restore', archive, '-o', 'json']);
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(JSON.parse(ran.out)).toMatchObject({ digest: summary.digest, revision: summary.revision });
    const after = await witness(target.at, target.nats, auditUntil);
    figure(`restored in ${seconds(ran.ms)}; witness of the copy: sha256 ${total(after)}`);
    expect(Object.entries(after).filter(([what, found]) => found.sha256 !== before[what]?.sha256)).toEqual([]);
    expect(total(after)).toBe(total(before));
    for (const service of services) expect(target.at.log(service)).not.toMatch(/streams are not what they were|made anew from CHANGES|published anew/);
    expect(target.at.left()).toEqual([]);
    const again = await osier(target.at, ['restore', archive]);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('was restored from this very backup')]);
  }, 300_000);

  it('goes on from there: no address, number or revision is given twice', async () => {
    const more = new Publisher(target.nats);
    await more.all(Array.from({ length: 50 }, (_, n) => endpointWish(size, size.endpoints + n)));
    expect(more.refused.size).toBe(0);
    await more.all([{ scope: ['acme', 'shop', '_'], noun: 'environment', name: 'new', spec: {}, id: 'new' }]);
    await sleep(1_000);
    await sound(target.at, target.nats);
    expect(unexplained(target.at)).toEqual([]);
    const vnis = rowsOf(asLab(target.at)).filter(({ document }) => document.kind === 'routing-domain').map(({ document }) => document.status['vni']);
    expect(new Set(vnis).size).toBe(vnis.length);
  }, 300_000);
});

describe('a backup under load', () => {
  it('loses no intent, and what it holds is of one moment', async () => {
    const over = new AbortController();
    const wished: string[] = [];
    const load = (async () => {
      for (let n = 0; !over.signal.aborted; n += quick ? 4 : 20) {
        await Promise.all(Array.from({ length: quick ? 4 : 20 }, async (_, m) => {
          const wish = endpointWish(size, size.endpoints + 1_000 + n + m);
          wished.push(wish.id);
          await publisher.publish(wish);
        }));
        await sleep(30);
      }
    })();
    await sleep(quick ? 500 : 2_000);
    const file = join(folder, 'loaded.tar');
    const ran = await osier(source.at, ['backup', file, '-o', 'json']);
    await sleep(quick ? 200 : 1_000);
    over.abort();
    await load;
    expect([ran.code, ran.err]).toEqual([0, '']);
    await publisher.decided(wished);
    await sleep(1_000);
    expect(wished.filter((id) => publisher.outcomes.get(id) !== 1)).toEqual([]);
    await sound(source.at, source.nats);
    const { pauseMs, parts } = JSON.parse(ran.out) as Summary;
    const messages = (stream: string): number => parts.find(({ name }) => name === `streams/${stream}.snapshot`)?.messages ?? 0;

    const copy = await made();
    const restored = await osier(copy.at, ['restore', file]);
    expect([restored.code, restored.err]).toEqual([0, '']);
    // What was stored and not decided at that moment is decided now.
    const count = async (stream: string): Promise<number> => (await streamInfo(copy.nats, stream)).messages;
    for (const until = Date.now() + 60_000; Date.now() < until && (await count('INTENTS')) > (await count('OUTCOMES')); await sleep(500));
    await sleep(1_000);
    await sound(copy.at, copy.nats);
    expect(unexplained(copy.at)).toEqual([]);
    figure(`backup under load: ${wished.length} intents meanwhile, none lost; the services held still for ${seconds(pauseMs)}; ${messages('INTENTS') - messages('OUTCOMES')} intents of the backup were decided after its restore`);
  }, 400_000);
});

describe('a backup of SQLite', () => {
  let postgres: PostgresServer | undefined;
  afterAll(() => postgres?.remove(), 30_000);
  it('can be restored into PostgreSQL', async () => {
    postgres = await startPostgres();
    const { at, nats } = await made({ databaseUrl: postgres.url });
    const ran = await osier(at, ['restore', archive]);
    expect([ran.code, ran.err]).toEqual([0, '']);
    const after = await digests(postgresReader((sql) => (postgres as PostgresServer).query(sql)), nats, { nodes, auditUntil });
    expect(Object.entries(after).filter(([what, found]) => found.sha256 !== before[what]?.sha256)).toEqual([]);
    figure(`restored into PostgreSQL in ${seconds(ran.ms)}: sha256 ${total(after)}`);
    expect(readFileSync(archive).length).toBe(summary.bytes);

  }, 300_000);
});
