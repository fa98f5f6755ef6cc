import type { AnyDocument } from '@osier/contracts/document';
import { documentRow, outboxRow } from '../dump/rows.ts';
import { type Changes, holdsOf, type OutboxEntry } from '../source.ts';
import { type Insert, insertion } from './insert.ts';
import type { Sql } from './source.ts';

/** How each table is filled, built once for a database. What is there already under the same key is replaced where that is said. */
export function insertions() {
  return {
    inbox: insertion((sql, rows) => sql.insertInto('inbox').values(rows as never)),
    entities: insertion((sql, rows) => sql.insertInto('entities').values(rows as never).onConflict((on) => on.column('id').doUpdateSet((row) => ({
      name: row.ref('excluded.name'), parent: row.ref('excluded.parent'), phase: row.ref('excluded.phase'),
      document: row.ref('excluded.document'), name_key: row.ref('excluded.name_key'), version: row.ref('excluded.version'), holds: row.ref('excluded.holds'),
    })))),
    history: insertion((sql, rows) => sql.insertInto('history').values(rows as never)),
    outbox: insertion((sql, rows) => sql.insertInto('outbox').values(rows as never)),
    waiting: insertion((sql, rows) => sql.insertInto('waiting').values(rows as never)
      .onConflict((on) => on.column('awaits').doUpdateSet((row) => ({ deadline_at: row.ref('excluded.deadline_at'), content: row.ref('excluded.content') })))),
    known: insertion((sql, rows) => sql.insertInto('known').values(rows as never).onConflict((on) => on.columns(['kind', 'id']).doUpdateSet((row) => ({
      name: row.ref('excluded.name'), parent: row.ref('excluded.parent'), phase: row.ref('excluded.phase'),
      document: row.ref('excluded.document'), name_key: row.ref('excluded.name_key'), revision: row.ref('excluded.revision'),
    })))),
    marks: insertion((sql, rows) => sql.insertInto('marks').values(rows as never).onConflict((on) => on.column('name').doUpdateSet((row) => ({ value: row.ref('excluded.value') })))),
  } satisfies Record<string, Insert>;
}
export type Insertions = ReturnType<typeof insertions>;

/** The last of each id; tombstones first, since they give names back that others of the same transaction may take. */
function lastOfEach<T extends { document: AnyDocument }>(items: readonly T[]): T[] {
  const last = [...new Map(items.map((item) => [`${item.document.kind}/${item.document.id}`, item])).values()];
  return [...last.filter((i) => i.document.phase === 'deleted'), ...last.filter((i) => i.document.phase !== 'deleted')];
}

async function writeVersions(sql: Sql, into: Insertions, versions: readonly AnyDocument[]): Promise<void> {
  for (const document of versions) {
    if (document.version === 1) continue;
    await sql.updateTable('history').set({ valid_to: document.updatedAt }).where('id', '=', document.id).where('version', '=', document.version - 1).execute();
  }
  await into.entities(sql, lastOfEach(versions.map((document) => ({ document })))
    .map(({ document }) => ({ ...documentRow(document), version: document.version, published_revision: 0, holds: holdsOf(document) ?? null })));
  const following = new Map(versions.map((d) => [`${d.id}/${d.version - 1}`, d.updatedAt]));
  await into.history(sql, versions.map((d) => ({
    id: d.id, version: d.version, document: JSON.stringify(d), valid_from: d.updatedAt, valid_to: following.get(`${d.id}/${d.version}`) ?? null, revision: null,
  })));
}

export const writeOutbox = (sql: Sql, into: Insertions, entries: readonly OutboxEntry[]): Promise<void> => into.outbox(sql, entries.map((entry) => ({ ...outboxRow(entry) })));

export const writeMarks = (sql: Sql, into: Insertions, marks: ReadonlyMap<string, string>): Promise<void> =>
  into.marks(sql, [...marks].map(([name, value]) => ({ name, value })));

/** Writes all that a unit of work has gathered. The caller has the transaction open. */
export async function writeChanges(sql: Sql, into: Insertions, changes: Changes, now: number): Promise<void> {
  await into.inbox(sql, changes.seen.map((key) => ({ key, at: now })));
  await writeVersions(sql, into, changes.versions);
  await writeOutbox(sql, into, changes.outbox);
  if (changes.taken.length > 0) await sql.deleteFrom('waiting').where('awaits', 'in', [...changes.taken]).execute();
  await into.waiting(sql, changes.waits.map((w) => ({ awaits: w.awaits, deadline_at: w.deadlineAt, content: JSON.stringify(w) })));
  await into.known(sql, lastOfEach(changes.learned).map(({ document, revision }) => ({ ...documentRow(document), revision })));
  await writeMarks(sql, into, changes.marks);
}
