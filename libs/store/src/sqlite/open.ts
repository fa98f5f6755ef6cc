import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, SqliteDriver } from '@mikro-orm/sql';
import { migrate } from '../schema.ts';
import { sqlStore } from '../sql/store.ts';
import { defineTables } from '../sql/tables.ts';
import type { Store } from '../store.ts';
import { CachingSqliteDialect } from './dialect.ts';
import { Initial } from './migrations/0001-initial.ts';
import { Holds } from './migrations/0002-holds.ts';

/** In the order in which they run; a name once released never changes. */
export const migrations = [{ name: '0001-initial', class: Initial }, { name: '0002-holds', class: Holds }];
/** SQLite's integers have 64 bits, and its texts are ordered by their bytes. */
export const tables = [...defineTables({ whole: 'integer' })];

/**
 * Opens a service's database, making or migrating it. WAL, and a commit is on the disk when it returns (`synchronous=FULL`,
 * https://www.sqlite.org/pragma.html#pragma_synchronous): the databases are the truth of the platform.
 * `file`: a path, or `:memory:`.
 */
export async function openSqlite(options: { file: string; now?: () => number }): Promise<Store> {
  const orm = await MikroORM.init({
    driver: SqliteDriver,
    dbName: options.file,
    driverOptions: new CachingSqliteDialect(options.file),
    entities: tables,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, allOrNothing: true, silent: true },
    discovery: { warnWhenNoEntities: false },
  });
  const connection = orm.em.getConnection();
  for (const pragma of ['journal_mode = wal', 'synchronous = full', 'busy_timeout = 5000']) await connection.execute(`pragma ${pragma}`);
  try {
    await migrate(orm, migrations, options.file);
  } catch (error) {
    await orm.close();
    throw error;
  }
  return sqlStore(orm, options.now ? { now: options.now } : {});
}
