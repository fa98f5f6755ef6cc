import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { LabPaths } from '@osier/lab/paths';
import { readSpecs } from '@osier/lab/supervisor/spec';
import { findPostgres, startPostgres } from '@osier/store/postgres-server';
import { chosenStore } from '@osier/testing/stores';

/** Where the services of a lab keep their databases, by OSIER_TEST_STORE: SQLite unless it says postgres. */
export interface Kept { readonly env: Readonly<Record<string, string>>; remove(): Promise<void> }

export async function startKeeping(): Promise<Kept> {
  if (chosenStore('sqlite') !== 'postgres') return { env: {}, remove: async () => undefined };
  const server = await startPostgres();
  return { env: { OSIER_DATABASE_URL: server.url }, remove: () => server.remove() };
}

/** Where the services keep what they have committed; a lab, for one. */
export interface Databases { readonly paths: LabPaths | { data(service: string): string } }

/** What a service has committed, read by the database's own means and none of Osier's. */
export function select<T>(lab: Databases, service: string, sql: string): T[] {
  const url = ('processes' in lab.paths ? readSpecs(lab.paths) : []).find((spec) => spec.name === service)?.env['OSIER_DATABASE_URL'];
  return url === undefined ? fromSqlite(join(lab.paths.data(service), `${service}.db`), sql) : fromPostgres(url, `osier_${service}`, sql);
}

function fromSqlite<T>(file: string, sql: string): T[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare(sql).all() as T[];
  } finally {
    database.close();
  }
}

function fromPostgres<T>(url: string, schema: string, sql: string): T[] {
  const all = `set search_path to ${schema}; select coalesce(json_agg(t), '[]') from (${sql}) t`;
  const ran = spawnSync(join(findPostgres(), 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', url], { input: all, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 30_000 });
  if (ran.status !== 0) throw new Error(`psql: ${ran.error?.message ?? ran.stderr}`);
  return JSON.parse(ran.stdout) as T[];
}
