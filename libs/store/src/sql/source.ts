import type { SqlEntityManager } from '@mikro-orm/sql';
import type { CompiledQuery } from 'kysely';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { type DocumentSource, matches, nameKeyOf, type Source } from '../source.ts';
import type { At, Page, Waiting, Where } from '../store.ts';
import type { Tables } from './tables.ts';

export type Sql = ReturnType<typeof sqlOf>;
/** The typed query builder, inside the transaction of this entity manager if it has one. */
export function sqlOf(em: SqlEntityManager) {
  return em.getKysely<Tables>();
}

/**
 * What is asked for each intent, put into the database's words once: to build a query costs several times what the database takes to answer it.
 * The values given here only mark places; `ask` has them in the same order.
 */
export function lookups(sql: Sql) {
  const entity = sql.selectFrom('entities').select(['document', 'published_revision as revision']);
  const known = sql.selectFrom('known').select(['document', 'revision']);
  return {
    entity: entity.where('id', '=', '').where('kind', '=', '').compile(),
    entityNamed: entity.where('name_key', '=', '').compile(),
    known: known.where('id', '=', '').where('kind', '=', '').compile(),
    knownNamed: known.where('name_key', '=', '').orderBy('revision', 'desc').limit(1).compile(),
    seen: sql.selectFrom('inbox').select('key').where('key', '=', '').compile(),
    waiting: sql.selectFrom('waiting').select('content').where('awaits', '=', '').compile(),
    seenAmong: bySize((marks) => sql.selectFrom('inbox').select('key').where('key', 'in', marks).compile()),
    entitiesNamed: bySize((marks) => sql.selectFrom('entities').select('document').where('name_key', 'in', marks).compile()),
    knownAmong: bySize((marks) => known.where('id', 'in', marks).where('kind', '=', '').compile()),
    mark: sql.selectFrom('marks').select('value').where('name', '=', '').compile(),
  };
}
export type Lookups = ReturnType<typeof lookups>;
async function ask<Row>(sql: Sql, lookup: CompiledQuery<Row>, ...values: readonly string[]): Promise<Row | undefined> {
  return (await sql.executeQuery<Row>({ ...lookup, parameters: lookup.parameters.map((value, place) => values[place] ?? value) })).rows[0];
}

/** Values of one statement. Fewer are filled up with the first, so that there are few different statements, which are built and prepared once. */
const sizes = [16, 64, 256] as const;
async function askMany<Row>(sql: Sql, lookup: (count: number) => CompiledQuery<Row>, keys: readonly string[], ...values: readonly string[]): Promise<Row[]> {
  const found: Row[] = [];
  for (let i = 0; i < keys.length; ) {
    const size = sizes.find((one) => one >= keys.length - i) ?? sizes[2];
    const part = keys.slice(i, i + size);
    const parameters = [...part, ...Array<string>(size - part.length).fill(part[0] as string), ...values];
    found.push(...(await sql.executeQuery<Row>({ ...lookup(size), parameters })).rows);
    i += part.length;
  }
  return found;
}
/** Built once for each size. */
function bySize<Row>(build: (marks: string[]) => CompiledQuery<Row>): (count: number) => CompiledQuery<Row> {
  const built = new Map<number, CompiledQuery<Row>>();
  return (count) => {
    const query = built.get(count) ?? build(Array<string>(count).fill(''));
    built.set(count, query);
    return query;
  };
}

const parsed = (row: { document: string } | undefined): AnyDocument | undefined => (row ? (JSON.parse(row.document) as AnyDocument) : undefined);
const fields = ['domain', 'project', 'environment', 'parent', 'name'] as const;

const withRevision = (row: { document: string; revision: number } | undefined) => (row ? { document: JSON.parse(row.document) as AnyDocument, revision: row.revision } : undefined);

function ownDocuments(sql: Sql, ready: Lookups): DocumentSource {
  return {
    get: async (kind: Kind, id: string) => withRevision(await ask(sql, ready.entity, id, kind)),
    byName: async (kind: Kind, scope: Scope, name: string) => parsed(await ask(sql, ready.entityNamed, nameKeyOf(kind, scope, name))),
    async list(kind: Kind, where: Where) {
      return (await listed(sql, kind, where)).map(({ document }) => document);
    },
  };
}

/** The entities of a kind that are not deleted, with their published revisions, by id. */
export async function listed(sql: Sql, kind: Kind, where: Where, page?: Page): Promise<{ document: AnyDocument; revision: number }[]> {
  let query = sql.selectFrom('entities').select(['document', 'published_revision']).where('kind', '=', kind).where('phase', '=', 'active');
  for (const field of fields) if (where[field] !== undefined) query = query.where(field, '=', where[field]);
  if (where.holds !== undefined) query = query.where('holds', '=', where.holds);
  if (page?.after !== undefined) query = query.where('id', '>', page.after);
  if (page) query = query.limit(page.limit);
  const rows = await query.orderBy('id').execute();
  return rows.map((row) => ({ document: JSON.parse(row.document) as AnyDocument, revision: row.published_revision }));
}

/** Their versions of then; what was deleted by then is left out. An entity's place and name never change, so it is looked for by those that it has now. */
export async function listedAt(sql: Sql, at: At, kind: Kind, where: Where, page?: Page): Promise<{ document: AnyDocument; revision: number }[]> {
  const versions = async (after: string | undefined) => {
    let query = sql.selectFrom('entities').innerJoin('history', 'history.id', 'entities.id').select(['history.id', 'history.document', 'history.revision']).where('entities.kind', '=', kind);
    for (const field of fields) if (where[field] !== undefined) query = query.where(`entities.${field}`, '=', where[field]);
    if ('time' in at) query = query.where('history.valid_from', '<=', at.time).where((or) => or.or([or('history.valid_to', 'is', null), or('history.valid_to', '>', at.time)]));
    else {
      query = query.where('history.revision', '<=', at.revision).where(({ not, exists, selectFrom }) => not(exists(
        selectFrom('history as later').select('later.id').whereRef('later.id', '=', 'history.id').whereRef('later.version', '>', 'history.version').where('later.revision', '<=', at.revision),
      )));
    }
    if (after !== undefined) query = query.where('entities.id', '>', after);
    if (page) query = query.limit(page.limit);
    return query.orderBy('entities.id').execute();
  };
  const found: { document: AnyDocument; revision: number }[] = [];
  for (let after = page?.after; ; ) {
    const rows = await versions(after);
    found.push(...rows.map((row) => ({ document: JSON.parse(row.document) as AnyDocument, revision: row.revision ?? 0 })).filter(({ document }) => document.phase === 'active'));
    if (page === undefined || rows.length < page.limit || found.length >= page.limit) return found.slice(0, page?.limit);
    after = rows.at(-1)?.id;
  }
}

function knownDocuments(sql: Sql, ready: Lookups): DocumentSource {
  return {
    get: async (kind: Kind, id: string) => withRevision(await ask(sql, ready.known, id, kind)),
    byName: async (kind: Kind, scope: Scope, name: string) => parsed(await ask(sql, ready.knownNamed, nameKeyOf(kind, scope, name))),
    async list(kind: Kind, where: Where) {
      let query = sql.selectFrom('known').select('document').where('kind', '=', kind).where('phase', '=', 'active');
      for (const field of fields) if (where[field] !== undefined) query = query.where(field, '=', where[field]);
      return (await query.orderBy('id').execute()).map((row) => JSON.parse(row.document) as AnyDocument).filter((document) => matches(document, where));
    },
  };
}

export function sqlSource(sql: Sql, ready: Lookups): Source {
  const waiting = (row: { content: string }): Waiting => JSON.parse(row.content) as Waiting;
  return {
    own: ownDocuments(sql, ready),
    known: knownDocuments(sql, ready),
    async seen(key) {
      return (await ask(sql, ready.seen, key)) !== undefined;
    },
    seenAmong: async (keys) => (await askMany(sql, ready.seenAmong, keys)).map(({ key }) => key),
    ownNamed: async (keys) => (await askMany(sql, ready.entitiesNamed, keys)).map((row) => JSON.parse(row.document) as AnyDocument),
    knownAmong: async (kind, ids) => (await askMany(sql, ready.knownAmong, ids, kind)).map((row) => ({ document: JSON.parse(row.document) as AnyDocument, revision: row.revision })),
    async waitingFor(awaits) {
      const row = await ask(sql, ready.waiting, awaits);
      return row && waiting(row);
    },
    async overdue(now) {
      return (await sql.selectFrom('waiting').select('content').where('deadline_at', '<=', now).orderBy('deadline_at').limit(100).execute()).map(waiting);
    },
    async mark(name) {
      return (await ask(sql, ready.mark, name))?.value;
    },
  };
}
