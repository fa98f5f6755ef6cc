import type { MikroORM } from '@mikro-orm/core';

/** The database was written by a newer Osier than this one. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
  readonly code = 'newer-schema';
  readonly reason: string;
  readonly path: string;
  readonly fix = 'Run the version of Osier that wrote it, or restore a backup from before the upgrade.';
  constructor(database: string, unknown: readonly string[]) {
    super(`The database ${database} has a newer schema than this version of Osier knows (${unknown.join(', ')}).`);
    this.reason = this.message;
    this.path = database;
  }
}

/** Brings the schema forward, or throws NewerSchema before anything is touched. `database`: what a person calls it. */
export async function migrate(orm: Pick<MikroORM, 'migrator'>, migrations: readonly { readonly name: string }[], database: string): Promise<void> {
  const known = new Set(migrations.map((m) => m.name));
  const unknown = (await orm.migrator.getExecuted()).map((m) => m.name).filter((name) => !known.has(name));
  if (unknown.length > 0) throw new NewerSchema(database, unknown);
  await orm.migrator.up();
}
