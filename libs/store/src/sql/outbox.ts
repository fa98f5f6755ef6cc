import { sql as raw } from 'kysely';
import type { AnyDocument } from '@osier/contracts/document';
import type { ChildIntent } from '@osier/domain/decision';
import type { OutboxEntry } from '../source.ts';
import type { OpenOutcome, Outgoing } from '../store.ts';
import type { Sql } from './source.ts';
import { type Insertions, writeOutbox } from './write.ts';

async function revisionsOf(sql: Sql, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const rows = await sql.selectFrom('entities').select(['id', 'published_revision']).where('id', 'in', [...ids]).execute();
  return new Map(rows.map((row) => [row.id, row.published_revision]));
}

/** The first rows of the outbox, each with what it takes to publish it. */
export async function readOutbox(sql: Sql, limit: number): Promise<Outgoing[]> {
  const rows = await sql.selectFrom('outbox')
    .leftJoin('history', (on) => on.onRef('history.id', '=', 'outbox.entity').onRef('history.version', '=', 'outbox.version'))
    .select(['outbox.row', 'outbox.type', 'outbox.entity', 'outbox.content', 'outbox.traceparent', 'history.document'])
    .orderBy('outbox.row').limit(limit).execute();
  const opens = new Map(rows.filter((r) => r.type === 'outcome').map((r) => [r.row, JSON.parse(r.content ?? '') as OpenOutcome]));
  const ids = [...rows.map((r) => r.entity).filter((id) => id !== null), ...[...opens.values()].flatMap((open) => open.about)];
  const revisions = await revisionsOf(sql, [...new Set(ids)]);

  return rows.map(({ row, type, entity, content, traceparent, document }): Outgoing => {
    const trace = traceparent === null ? {} : { traceparent };
    const open = opens.get(row);
    if (open) return { type: 'outcome', row, open, revisions: new Map(open.about.map((id) => [id, revisions.get(id) ?? 0])) };
    if (type === 'intent') return { type: 'intent', row, child: JSON.parse(content ?? '') as ChildIntent, ...trace };
    if (document === null) throw new Error(`the outbox names a version of ${entity} that is not in history`);
    return { type: 'state', row, document: JSON.parse(document) as AnyDocument, publishedRevision: revisions.get(entity ?? '') ?? 0, ...trace };
  });
}

/** Rows of one statement. */
const atOnce = 500;

/**
 * Two statements for many rows, since each row by itself costs more than all else that is done with it. The columns of VALUES have the same names in all databases;
 * PostgreSQL takes them for texts, and SQLite finds nothing by an index that is compared with a cast within VALUES.
 */
export async function recordPublished(sql: Sql, items: readonly { item: Outgoing; revision: number }[]): Promise<void> {
  for (let i = 0; i < items.length; i += atOnce) {
    const chunk = items.slice(i, i + atOnce);
    const states = chunk.flatMap(({ item, revision }) => (item.type === 'state' ? [{ id: item.document.id, version: item.document.version, revision }] : []));
    if (states.length > 0) await recordRevisions(sql, states);
    await sql.deleteFrom('outbox').where('row', 'in', chunk.map(({ item }) => item.row)).execute();
  }
}

async function recordRevisions(sql: Sql, states: readonly { id: string; version: number; revision: number }[]): Promise<void> {
  const versions = raw.join(states.map((s) => raw`(${s.id}, ${s.version}, ${s.revision})`));
  await raw`update history set revision = cast(v.column3 as bigint) from (values ${versions}) as v where history.id = v.column1 and history.version = cast(v.column2 as integer)`.execute(sql);
  const highest = new Map<string, number>();
  for (const { id, revision } of states) highest.set(id, Math.max(revision, highest.get(id) ?? 0));
  const entities = raw.join([...highest].map(([id, revision]) => raw`(${id}, ${revision})`));
  await raw`update entities set published_revision = cast(v.column2 as bigint) from (values ${entities}) as v where entities.id = v.column1 and entities.published_revision < cast(v.column2 as bigint)`.execute(sql);
}

/** In the order in which they were first published; what else waits goes after them, since outcomes name their revisions. */
export async function enqueueAll(sql: Sql, into: Insertions): Promise<number> {
  const others = await sql.selectFrom('outbox').selectAll().where('type', '!=', 'state').orderBy('row').execute();
  const entities = await sql.selectFrom('entities').select(['id', 'version', 'published_revision']).orderBy('published_revision').orderBy('id').execute();
  await sql.deleteFrom('outbox').execute();
  await sql.updateTable('entities').set({ published_revision: 0 }).execute();
  await sql.updateTable('known').set({ revision: 0 }).execute();
  const states: OutboxEntry[] = [...entities.filter((e) => e.published_revision > 0), ...entities.filter((e) => e.published_revision === 0)]
    .map(({ id, version }) => ({ type: 'state', id, version }));
  await writeOutbox(sql, into, states);
  for (const { type, entity, version, content, traceparent } of others) await sql.insertInto('outbox').values({ type, entity, version, content, traceparent }).execute();
  return entities.length;
}
