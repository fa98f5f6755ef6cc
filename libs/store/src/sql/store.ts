import type { IsolationLevel } from '@mikro-orm/core';
import type { MikroORM, SqlEntityManager } from '@mikro-orm/sql';
import type { AnyDocument } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { as, asAll, type DocumentSource } from '../source.ts';
import type { At, CommittedReader, Listed, Page, Store, Version, Where } from '../store.ts';
import { Unit } from '../unit.ts';
import { dumpSql, loadSql } from './dump.ts';
import { enqueueAll, readOutbox, recordPublished } from './outbox.ts';
import { listed, listedAt, lookups, type Sql, sqlOf, sqlSource } from './source.ts';
import { insertions, writeChanges, writeMarks } from './write.ts';

function reader(source: DocumentSource): Pick<CommittedReader, 'get' | 'byName' | 'list'> {
  return {
    get: async (kind, id) => {
      const row = await source.get(kind, id);
      return row?.document.phase === 'active' ? as(row.document) : undefined;
    },
    byName: async (kind, scope, name) => as(await source.byName(kind, scope, name)),
    list: async (kind, where) => asAll(await source.list(kind, where ?? {})),
  };
}

async function history(sql: Sql, id: string): Promise<Version[]> {
  const rows = await sql.selectFrom('history').selectAll().where('id', '=', id).orderBy('version').execute();
  return rows.map((row) => ({
    document: JSON.parse(row.document) as AnyDocument, validFrom: row.valid_from,
    ...(row.valid_to === null ? {} : { validTo: row.valid_to }), ...(row.revision === null ? {} : { revision: row.revision }),
  }));
}

export interface SqlStoreOptions {
  readonly now?: () => number;
  /** Runs every use of the database: to say in the store's terms what went wrong. Long work calls `alive` as it gets on. */
  readonly guard?: <T>(work: (alive: () => void) => Promise<T>) => Promise<T>;
  /** For databases that let several in at a time. */
  readonly isolation?: `${IsolationLevel}`;
  /** What is to be done besides, in the same transaction, when rows were written under numbers of their own. */
  readonly afterLoad?: (em: SqlEntityManager) => Promise<void>;
}

/** The same object, each of its methods run by `guard`. */
function guarded<T extends object>(target: T, guard: NonNullable<SqlStoreOptions['guard']>): T {
  const methods = Object.entries(target).map(([name, value]) =>
    [name, typeof value === 'function' ? (...args: unknown[]) => guard(() => (value as (...args: unknown[]) => Promise<unknown>)(...args)) : value]);
  return Object.fromEntries(methods) as T;
}

/** The store over any SQL database that MikroORM speaks; opened and migrated by the folder of its driver. */
export function sqlStore(orm: MikroORM, options: SqlStoreOptions = {}): Store {
  const now = options.now ?? Date.now;
  const guard: NonNullable<SqlStoreOptions['guard']> = options.guard ?? ((work) => work(() => undefined));
  const em = orm.em.fork() as SqlEntityManager;
  const sql = sqlOf(em);
  const ready = lookups(sql);
  const into = insertions();
  const source = sqlSource(sql, ready);
  const isolation = options.isolation ? { isolationLevel: options.isolation as IsolationLevel } : {};
  const transactional = <T>(work: (sql: Sql, em: SqlEntityManager) => Promise<T>): Promise<T> =>
    em.fork().transactional((inner) => work(sqlOf(inner as SqlEntityManager), inner as SqlEntityManager), isolation);
  const read: CommittedReader = {
    ...reader(source.own),
    revisionOf: async (id) =>
      (await sql.selectFrom('entities').select('published_revision').where('id', '=', id).executeTakeFirst())?.published_revision ?? 0,
    listed: async <K extends Kind>(kind: K, where: Where = {}, page?: Page) => (await listed(sql, kind, where, page)) as unknown as Listed<K>[],
    listedAt: async <K extends Kind>(at: At, kind: K, where: Where = {}, page?: Page) => (await listedAt(sql, at, kind, where, page)) as unknown as Listed<K>[],
    history: (id) => history(sql, id),
  };
  const store: Omit<Store, 'read' | 'known' | 'dump' | 'load' | 'close'> = {
    transaction: (work) =>
      transactional(async (inner) => {
        const unit = new Unit(sqlSource(inner, ready));
        const result = await work(unit);
        await writeChanges(inner, into, unit.changes(), now());
        return result;
      }),
    outgoing: (limit) => transactional((inner) => readOutbox(inner, limit)),
    published: async (items, marks = new Map()) => {
      if (items.length === 0 && marks.size === 0) return;
      await transactional(async (inner) => {
        if (items.length > 0) await recordPublished(inner, items);
        await writeMarks(inner, into, marks);
      });
    },
    republishAll: () => transactional((inner) => enqueueAll(inner, into)),
    pruneInbox: async (before) => void (await sql.deleteFrom('inbox').where('at', '<', before).execute()),
    mark: (name) => source.mark(name),
    setMark: async (name, value) =>
      void (await sql.insertInto('marks').values({ name, value }).onConflict((on) => on.column('name').doUpdateSet({ value })).execute()),
  };
  const whole: Pick<Store, 'dump' | 'load'> = {
    dump: (take) => guard((alive) => transactional((inner) => dumpSql(inner, take, alive))),
    load: (rows, marks) => guard((alive) => transactional(async (inner, innerEm) => {
      const counts = await loadSql(inner, rows, marks, alive);
      await options.afterLoad?.(innerEm);
      return counts;
    })),
  };
  return { ...guarded(store, guard), ...whole, read: guarded(read, guard), known: guarded(reader(source.known), guard), close: () => orm.close() };
}
