import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { network, scope, storeContract } from '../contract.ts';
import { StoreUnavailable } from '../unavailable.ts';
import { NewerSchema } from '../schema.ts';
import { openSqlite, tables } from './open.ts';

const directory = mkdtempSync(join(tmpdir(), 'osier-store-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(directory, `${++files}.db`);

storeContract('SQLite', () => openSqlite({ file: newFile() }));

describe('a database file', () => {
  it('has everything again when it is opened again', async () => {
    const file = newFile();
    const first = await openSqlite({ file });
    await first.transaction((unit) => unit.put(network(1), { intentId: 'a', at: 0 }));
    await first.close();
    const second = await openSqlite({ file });
    expect(await second.read.byName('network', scope, 'net-1')).toMatchObject({ version: 1 });
    expect(await second.outgoing(10)).toHaveLength(1);
    await second.close();
  });

  it('is in WAL mode', async () => {
    const file = newFile();
    await (await openSqlite({ file })).close();
    const database = new DatabaseSync(file);
    expect(database.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' });
    database.close();
  });

  it('of a newer schema is refused, with the way out', async () => {
    const file = newFile();
    await (await openSqlite({ file })).close();
    const database = new DatabaseSync(file);
    database.exec("insert into mikro_orm_migrations (name) values ('0099-from-the-future')");
    database.close();
    const opening = openSqlite({ file });
    await expect(opening).rejects.toThrow(NewerSchema);
    await expect(opening).rejects.toMatchObject({ code: 'newer-schema', reason: expect.stringContaining('0099-from-the-future'), fix: expect.stringContaining('backup') });
  });

  it('has the tables that the code declares', async () => {
    const { MikroORM, NodeSqliteDialect, SqliteDriver } = await import('@mikro-orm/sql');
    const file = newFile();
    await (await openSqlite({ file })).close();
    const orm = await MikroORM.init({ driver: SqliteDriver, dbName: file, driverOptions: new NodeSqliteDialect(file), entities: tables });
    expect(await orm.schema.getUpdateSchemaSQL({ safe: true })).not.toMatch(/create|alter|drop/i);
    await orm.close();
  });
});

describe('what is committed', () => {
  const cause = { intentId: 'a', at: 0 };
  const soon = <T>(promise: Promise<T>): Promise<T | 'waits'> => Promise.race([promise, new Promise<'waits'>((resolve) => setTimeout(resolve, 30, 'waits'))]);
  /** A disk that takes its time: each sync ends when it is let. */
  async function slowly() {
    const file = newFile();
    const begun: { readonly file: string; end(error?: Error): void }[] = [];
    const store = await openSqlite({ file, sync: (fd) => new Promise((resolve, reject) => {
      begun.push({ file: readlinkSync(`/proc/self/fd/${fd}`), end: (error) => (error ? reject(error) : resolve()) });
    }) });
    return { file, begun, store };
  }

  it('is told when its log is on the disk, and gets out no sooner', async () => {
    const { file, begun, store } = await slowly();
    const putting = store.transaction((unit) => unit.put(network(1), cause));
    expect(await soon(putting)).toBe('waits');
    expect(begun.map((sync) => sync.file)).toEqual([`${realpathSync(file)}-wal`]);
    const going = store.outgoing(10);
    expect(await soon(going)).toBe('waits');
    begun[0]?.end();
    expect([await putting, await going]).toMatchObject([{ version: 1 }, [{ type: 'state' }]]);
    await store.close();
  });

  it('while the disk works waits for one more sync together, which begins after all of it', async () => {
    const { begun, store } = await slowly();
    const first = store.transaction((unit) => unit.put(network(1), cause));
    await soon(first);
    const later = [2, 3].map((n) => store.transaction((unit) => unit.put(network(n), cause)));
    await soon(Promise.all(later));
    begun[0]?.end();
    await first;
    expect(await soon(Promise.race(later))).toBe('waits');
    begun[1]?.end();
    await Promise.all(later);
    expect(begun).toHaveLength(2);
    await store.close();
  });

  it('of others, and what has been published, waits for no disk', async () => {
    const { begun, store } = await slowly();
    const putting = store.transaction((unit) => unit.put(network(1), cause));
    await soon(putting);
    begun[0]?.end();
    await putting;
    const items = await store.outgoing(10);
    await store.published(items.map((item) => ({ item, revision: 1 })), new Map([['highest', '1']]));
    await store.transaction((unit) => unit.learn({ ...network(2), version: 1, createdAt: '', updatedAt: '', intent: 'x' } as never, 7));
    expect(begun).toHaveLength(1);
    await store.close();
  });

  it('on a disk that refuses is never told, nor anything after it', async () => {
    const { begun, store } = await slowly();
    const putting = store.transaction((unit) => unit.put(network(1), cause));
    await soon(putting);
    begun[0]?.end(new Error('EIO'));
    await expect(putting).rejects.toThrow(StoreUnavailable);
    await expect(store.outgoing(10)).rejects.toThrow(/the disk did not take .*-wal: EIO; mend it/);
    await expect(store.transaction(async (unit) => unit.seen('a'))).rejects.toThrow(StoreUnavailable);
    expect(begun).toHaveLength(1);
    await store.close();
  });
});
