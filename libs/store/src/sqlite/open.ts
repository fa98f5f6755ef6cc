import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, NodeSqliteDialect, SqliteDriver } from '@mikro-orm/sql';
import { sqlStore } from '../sql/store.ts';
import { tables } from '../sql/tables.ts';
import type { Store } from '../store.ts';
import { Initial } from './migrations/0001-initial.ts';

/** In the order in which they run; a name once released never changes. */
const migrations = [{ name: '0001-initial', class: Initial }];

/** The database was written by a newer Osier than this one. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
  readonly code = 'newer-schema';
  readonly reason: string;
  readonly path: string;
  readonly fix = 'Run the version of Osier that wrote it, or restore a backup from before the upgrade.';
  constructor(file: string, unknown: readonly string[]) {
    super(`The database ${file} has a newer schema than this version of Osier knows (${unknown.join(', ')}).`);
    this.reason = this.message;
    this.path = file;
  }
}

/**
 * Opens a service's database, making or migrating it. WAL, and a commit is on the disk when it returns (`synchronous=FULL`,
 * https://www.sqlite.org/pragma.html#pragma_synchronous): the databases are the truth of the platform.
 * `file`: a path, or `:memory:`.
 */
export async function openSqlite(options: { file: string; now?: () => number }): Promise<Store> {
  const orm = await MikroORM.init({
    driver: SqliteDriver,
    dbName: options.file,
    driverOptions: new NodeSqliteDialect(options.file),
    entities: tables,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, allOrNothing: true, silent: true },
    discovery: { warnWhenNoEntities: false },
  });
  const connection = orm.em.getConnection();
  for (const pragma of ['journal_mode = wal', 'synchronous = full', 'busy_timeout = 5000']) await connection.execute(`pragma ${pragma}`);
  const known = new Set(migrations.map((m) => m.name));
  const unknown = (await orm.migrator.getExecuted()).map((m) => m.name).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    await orm.close();
    throw new NewerSchema(options.file, unknown);
  }
  await orm.migrator.up();
  return sqlStore(orm, options.now ? { now: options.now } : {});
}
