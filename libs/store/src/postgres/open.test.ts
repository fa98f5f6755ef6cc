import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { network, scope } from '../contract.ts';
import { NewerSchema } from '../schema.ts';
import type { Store } from '../store.ts';
import { StoreUnavailable } from '../unavailable.ts';
import { DatabaseRefused } from './errors.ts';
import { openPostgres, type PostgresOptions, tables } from './open.ts';
import { type PostgresServer, startPostgres } from './server.ts';

jest.setTimeout(60_000);
let server: PostgresServer;
let schemas = 0;
const opened: Store[] = [];
beforeAll(async () => void (server = await startPostgres()));
afterAll(async () => {
  await Promise.all(opened.map((store) => store.close().catch(() => undefined)));
  await server.remove();
});

const newService = (): string => `t${++schemas}`;
async function open(service: string, more: Partial<PostgresOptions> = {}): Promise<Store> {
  const store = await openPostgres({ url: server.url, service, ...more });
  opened.push(store);
  return store;
}
function listening() {
  const said: string[] = [];
  const say = (facts: object, text: string): void => void said.push(`${text} ${JSON.stringify(facts)}`);
  return { said, log: { info: say, warn: say, error: say } };
}
async function until<T>(work: () => Promise<T>, ms = 30_000): Promise<T> {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
const put = (store: Store, n: number) => store.transaction((unit) => unit.put(network(n), { intentId: `i${n}`, at: 0 }));
/** Ends the session of a service's store, as a firewall or an administrator would. */
const cut = (service: string) => server.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'osier-${service}'`);

describe('a schema in PostgreSQL', () => {
  it('has everything again when it is opened again, each service in its own', async () => {
    const [one, other] = [newService(), newService()];
    const first = await openPostgres({ url: server.url, service: one });
    await put(first, 1);
    await first.close();
    expect(await (await open(one)).read.byName('network', scope, 'net-1')).toMatchObject({ version: 1 });
    expect(await (await open(other)).read.byName('network', scope, 'net-1')).toBeUndefined();
  });

  it('of a newer version is refused, with the way out', async () => {
    const service = newService();
    await (await openPostgres({ url: server.url, service })).close();
    server.query(`insert into osier_${service}.mikro_orm_migrations (name) values ('0099-from-the-future')`);
    const opening = openPostgres({ url: server.url, service });
    await expect(opening).rejects.toThrow(NewerSchema);
    await expect(opening).rejects.toMatchObject({ code: 'newer-schema', reason: expect.stringContaining('0099-from-the-future'), fix: expect.stringContaining('backup') });
  });

  it('has the tables that the code declares', async () => {
    const { MikroORM } = await import('@mikro-orm/postgresql');
    const service = newService();
    await (await openPostgres({ url: server.url, service })).close();
    const orm = await MikroORM.init({ dbName: 'osier', schema: `osier_${service}`, driverOptions: { connectionString: server.url }, entities: tables });
    const difference = await orm.schema.getUpdateSchemaSQL({ safe: true });
    await orm.close();
    expect(difference.split('\n').filter((line) => line.includes(`osier_${service}`) || /create table/i.test(line))).toEqual([]);
  });

  it('takes revisions beyond 32 bits, and names beyond 255 characters', async () => {
    const store = await open(newService());
    const [long, far] = ['n'.repeat(63), 2 ** 40];
    await store.transaction((unit) => unit.put(network(1, { name: long, domain: long, project: long, environment: long, parent: 'p'.repeat(63) }), { intentId: 'a', at: 0 }));
    const [item] = await store.outgoing(1);
    if (item) await store.published([{ item, revision: far }]);
    expect(await store.read.listed('network')).toMatchObject([{ revision: far, document: { name: long } }]);
    expect(await store.transaction((unit) => unit.seen(`${long}/${long}/${'k'.repeat(128)}`))).toBe(false);
  });

  it('says what is wrong with the address, the login or the rights, and never the password', async () => {
    const at = (change: (url: URL) => void): string => {
      const url = new URL(server.url);
      change(url);
      return String(url);
    };
    const nowhere = openPostgres({ service: 'x', url: at((url) => { url.pathname = '/nowhere'; url.password = 'very-secret'; }) });
    await expect(nowhere).rejects.toThrow(DatabaseRefused);
    await expect(nowhere).rejects.toMatchObject({ message: expect.stringMatching(/"nowhere" does not exist/), fix: expect.stringMatching(/Create the database/) });
    await expect(nowhere).rejects.not.toMatchObject({ message: expect.stringContaining('very-secret') });
    await expect(openPostgres({ service: 'x', url: at((url) => (url.username = 'stranger')) })).rejects.toMatchObject({ fix: expect.stringMatching(/PGPASSFILE/) });
    server.query('create role guest login');
    await expect(openPostgres({ service: 'x', url: at((url) => (url.username = 'guest')) })).rejects.toMatchObject({ fix: expect.stringMatching(/Grant/) });
  });
});

describe('two processes of one service', () => {
  it('work one after the other: the second waits, says for whom, and goes on when the first ends', async () => {
    const service = newService();
    const first = await openPostgres({ url: server.url, service });
    const { said, log } = listening();
    let there = false;
    const second = openPostgres({ url: server.url, service, log }).then((store) => ((there = true), store));
    await until(async () => expect(said.join()).toMatch(new RegExp(`waiting for .*another process works on the schema osier_${service}: osier-${service} from`)));
    await put(first, 1);
    expect(there).toBe(false);
    await first.close();
    const store = await second;
    opened.push(store);
    expect(await store.read.list('network')).toHaveLength(1);
  });

  it('of which the active one was cut off, and the other took over: the first can commit nothing, and learns that it has to start anew', async () => {
    const service = newService();
    let lostTo: string | undefined;
    const first = await open(service, { onLost: (by) => (lostTo = by) });
    await put(first, 1);
    const second = open(service);
    // The first is in the middle of a transaction when it is cut off, and the second takes over before the first is back.
    let taken: Store | undefined;
    const cutOff = first.transaction(async (unit) => {
      await unit.put(network(2), { intentId: 'late', at: 0 });
      cut(service);
      taken = await second;
      await put(taken, 3);
    });
    await expect(cutOff).rejects.toThrow(StoreUnavailable);
    await expect(put(first, 4)).rejects.toThrow(StoreUnavailable);
    await taken?.close();
    await expect(put(first, 4)).rejects.toThrow(/worked on the schema .* in between/);
    expect(JSON.parse(lostTo ?? '{}')).toMatchObject({ pid: process.pid });
    const after = await open(service);
    expect((await after.read.list('network')).map((d) => d.name)).toEqual(['net-1', 'net-3']);
  });

  it('stop waiting when they are told to', async () => {
    const service = newService();
    await open(service);
    const abort = new AbortController();
    const waiting = openPostgres({ url: server.url, service, signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    await expect(waiting).rejects.toThrow(/abort/i);
  });
});

describe('a database that goes away', () => {
  it('in the middle of a transaction: that one fails as temporary, what was committed stays, and the next goes on', async () => {
    const service = newService();
    const lost: string[] = [];
    const store = await open(service, { onLost: (by) => lost.push(by) });
    await put(store, 1);
    const failing = store.transaction(async (unit) => {
      await unit.put(network(2), { intentId: 'b', at: 0 });
      cut(service);
    });
    await expect(failing).rejects.toThrow(StoreUnavailable);
    await until(() => put(store, 3));
    expect((await store.read.list('network')).map((d) => d.name)).toEqual(['net-1', 'net-3']);
    expect(lost).toEqual([]);
  });

  it('by a kill of all its processes: every use fails as temporary and at once, and goes on when it is back, with all that was committed', async () => {
    const store = await open(newService());
    await put(store, 1);
    await server.kill();
    const begun = performance.now();
    for (const use of [() => put(store, 2), () => store.outgoing(1), () => store.read.list('network'), () => store.known.list('node'), () => store.mark('m')]) {
      await expect(use()).rejects.toThrow(StoreUnavailable);
    }
    expect(performance.now() - begun).toBeLessThan(4_000);
    await server.start();
    await until(() => put(store, 3));
    expect((await store.read.list('network')).map((d) => d.name)).toEqual(['net-1', 'net-3']);
    expect(await store.outgoing(10)).toHaveLength(2);
  });

  it('over and over under load: what was committed is there, what was refused is not, and nothing is there twice', async () => {
    const service = newService();
    const store = await open(service);
    const committed: number[] = [];
    let working = true;
    const load = (async () => {
      for (let n = 1; working; n++) {
        const done = await put(store, n).then(() => true, (error: unknown) => {
          if (!(error instanceof StoreUnavailable)) throw error;
          return false;
        });
        if (done) committed.push(n);
        else await sleep(5);
      }
    })();
    for (let i = 0; i < 2; i++) {
      await sleep(100);
      await server.kill();
      await server.start();
      const before = committed.length;
      await until(async () => expect(committed.length).toBeGreaterThan(before));
    }
    working = false;
    await load;
    const found = (await store.read.list('network')).map((d) => Number(d.name.slice(4)));
    // A commit whose answer was lost may be there: that is what the inbox is for. What was answered must be.
    expect(committed.filter((n) => !found.includes(n))).toEqual([]);
    expect(found.length - committed.length).toBeLessThanOrEqual(2);
    expect((await store.outgoing(100_000)).length).toBe(found.length);
  });

  it('while it is opened: waits for it', async () => {
    const service = newService();
    await server.stop();
    const { said, log } = listening();
    const opening = open(service, { log });
    await until(async () => expect(said.join()).toMatch(/waiting for .*cannot be reached/));
    await server.start();
    await put(await opening, 1);
  });
});

describe('what a statement does wrong', () => {
  it('is not called temporary', async () => {
    const store = await open(newService());
    const twice = store.transaction(async (unit) => {
      await unit.put(network(1, { name: 'n' }), { intentId: 'a', at: 0 });
      await unit.put(network(2, { name: 'n' }), { intentId: 'a', at: 0 });
    });
    await expect(twice).rejects.toThrow(/unique/);
    await expect(twice).rejects.not.toThrow(StoreUnavailable);
    expect(await put(store, 3)).toMatchObject({ version: 1 });
  });
});
