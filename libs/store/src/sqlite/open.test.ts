import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { network, scope, storeContract } from '../contract.ts';
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
