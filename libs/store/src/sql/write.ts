import type { AnyDocument } from '@osier/contracts/document';
import { type Changes, holdsOf, nameKey, type OutboxEntry } from '../source.ts';
import type { Sql } from './source.ts';

/** Rows of one insert: SQLite takes at most 32,766 parameters in a statement. */
const rowsPerInsert = 500;

async function inChunks<T>(rows: readonly T[], write: (chunk: T[]) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < rows.length; i += rowsPerInsert) await write(rows.slice(i, i + rowsPerInsert));
}

const documentRow = (document: AnyDocument) => ({
  id: document.id, kind: document.kind, domain: document.domain, project: document.project, environment: document.environment,
  name: document.name, parent: document.parent, phase: document.phase, document: JSON.stringify(document), name_key: nameKey(document) ?? null,
});

/** The last of each id; tombstones first, since they give names back that others of the same transaction may take. */
function lastOfEach<T extends { document: AnyDocument }>(items: readonly T[]): T[] {
  const last = [...new Map(items.map((item) => [`${item.document.kind}/${item.document.id}`, item])).values()];
  return [...last.filter((i) => i.document.phase === 'deleted'), ...last.filter((i) => i.document.phase !== 'deleted')];
}

async function writeVersions(sql: Sql, versions: readonly AnyDocument[]): Promise<void> {
  for (const document of versions) {
    if (document.version === 1) continue;
    await sql.updateTable('history').set({ valid_to: document.updatedAt }).where('id', '=', document.id).where('version', '=', document.version - 1).execute();
  }
  await inChunks(lastOfEach(versions.map((document) => ({ document }))), (chunk) =>
    sql.insertInto('entities').values(chunk.map(({ document }) => ({ ...documentRow(document), version: document.version, published_revision: 0, holds: holdsOf(document) ?? null })))
      .onConflict((on) => on.column('id').doUpdateSet((row) => ({
        name: row.ref('excluded.name'), parent: row.ref('excluded.parent'), phase: row.ref('excluded.phase'),
        document: row.ref('excluded.document'), name_key: row.ref('excluded.name_key'), version: row.ref('excluded.version'), holds: row.ref('excluded.holds'),
      }))).execute());
  const following = new Map(versions.map((d) => [`${d.id}/${d.version - 1}`, d.updatedAt]));
  await inChunks(versions, (chunk) =>
    sql.insertInto('history').values(chunk.map((d) => ({
      id: d.id, version: d.version, document: JSON.stringify(d), valid_from: d.updatedAt, valid_to: following.get(`${d.id}/${d.version}`) ?? null, revision: null,
    }))).execute());
}

function outboxRow(entry: OutboxEntry) {
  const none = { entity: null, version: null, content: null, traceparent: null };
  if (entry.type === 'state') return { ...none, type: 'state', entity: entry.id, version: entry.version, traceparent: entry.traceparent ?? null };
  if (entry.type === 'intent') return { ...none, type: 'intent', content: JSON.stringify(entry.child), traceparent: entry.traceparent ?? null };
  return { ...none, type: 'outcome', content: JSON.stringify(entry.open) };
}
export const writeOutbox = (sql: Sql, entries: readonly OutboxEntry[]): Promise<void> =>
  inChunks(entries, (chunk) => sql.insertInto('outbox').values(chunk.map(outboxRow)).execute());

export const writeMarks = (sql: Sql, marks: ReadonlyMap<string, string>): Promise<void> =>
  inChunks([...marks], (chunk) =>
    sql.insertInto('marks').values(chunk.map(([name, value]) => ({ name, value })))
      .onConflict((on) => on.column('name').doUpdateSet((row) => ({ value: row.ref('excluded.value') }))).execute());

/** Writes all that a unit of work has gathered. The caller has the transaction open. */
export async function writeChanges(sql: Sql, changes: Changes, now: number): Promise<void> {
  await inChunks(changes.seen, (chunk) => sql.insertInto('inbox').values(chunk.map((key) => ({ key, at: now }))).execute());
  await writeVersions(sql, changes.versions);
  await writeOutbox(sql, changes.outbox);
  if (changes.taken.length > 0) await sql.deleteFrom('waiting').where('awaits', 'in', [...changes.taken]).execute();
  await inChunks(changes.waits, (chunk) =>
    sql.insertInto('waiting').values(chunk.map((w) => ({ awaits: w.awaits, deadline_at: w.deadlineAt, content: JSON.stringify(w) })))
      .onConflict((on) => on.column('awaits').doUpdateSet((row) => ({ deadline_at: row.ref('excluded.deadline_at'), content: row.ref('excluded.content') }))).execute());
  await inChunks(lastOfEach(changes.learned), (chunk) =>
    sql.insertInto('known').values(chunk.map(({ document, revision }) => ({ ...documentRow(document), revision })))
      .onConflict((on) => on.columns(['kind', 'id']).doUpdateSet((row) => ({
        name: row.ref('excluded.name'), parent: row.ref('excluded.parent'), phase: row.ref('excluded.phase'),
        document: row.ref('excluded.document'), name_key: row.ref('excluded.name_key'), revision: row.ref('excluded.revision'),
      }))).execute());
  await writeMarks(sql, changes.marks);
}
