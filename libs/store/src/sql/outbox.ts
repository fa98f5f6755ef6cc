import type { AnyDocument } from '@osier/contracts/document';
import type { ChildIntent } from '@osier/domain/decision';
import type { OutboxEntry } from '../source.ts';
import type { OpenOutcome, Outgoing } from '../store.ts';
import type { Sql } from './source.ts';
import { writeOutbox } from './write.ts';

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

export async function recordPublished(sql: Sql, items: readonly { item: Outgoing; revision: number }[]): Promise<void> {
  for (const { item, revision } of items) {
    if (item.type !== 'state') continue;
    const { id, version } = item.document;
    await sql.updateTable('history').set({ revision }).where('id', '=', id).where('version', '=', version).execute();
    await sql.updateTable('entities').set({ published_revision: revision }).where('id', '=', id).where('published_revision', '<', revision).execute();
  }
  await sql.deleteFrom('outbox').where('row', 'in', items.map(({ item }) => item.row)).execute();
}

/** In the order in which they were first published; what else waits goes after them, since outcomes name their revisions. */
export async function enqueueAll(sql: Sql): Promise<number> {
  const others = await sql.selectFrom('outbox').selectAll().where('type', '!=', 'state').orderBy('row').execute();
  const entities = await sql.selectFrom('entities').select(['id', 'version', 'published_revision']).orderBy('published_revision').orderBy('id').execute();
  await sql.deleteFrom('outbox').execute();
  await sql.updateTable('entities').set({ published_revision: 0 }).execute();
  await sql.updateTable('known').set({ revision: 0 }).execute();
  const states: OutboxEntry[] = [...entities.filter((e) => e.published_revision > 0), ...entities.filter((e) => e.published_revision === 0)]
    .map(({ id, version }) => ({ type: 'state', id, version }));
  await writeOutbox(sql, states);
  for (const { type, entity, version, content, traceparent } of others) await sql.insertInto('outbox').values({ type, entity, version, content, traceparent }).execute();
  return entities.length;
}
