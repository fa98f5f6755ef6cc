import type { SqlEntityManager } from '@mikro-orm/sql';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { type DocumentSource, matches, nameKeyOf, type Source } from '../source.ts';
import type { Page, Waiting, Where } from '../store.ts';
import type { Tables } from './tables.ts';

export type Sql = ReturnType<typeof sqlOf>;
/** The typed query builder, inside the transaction of this entity manager if it has one. */
export function sqlOf(em: SqlEntityManager) {
  return em.getKysely<Tables>();
}

const parsed = (row: { document: string } | undefined): AnyDocument | undefined => (row ? (JSON.parse(row.document) as AnyDocument) : undefined);
const fields = ['domain', 'project', 'environment', 'parent', 'name'] as const;

function ownDocuments(sql: Sql): DocumentSource {
  return {
    async get(kind: Kind, id: string) {
      const row = await sql.selectFrom('entities').select(['document', 'published_revision']).where('id', '=', id).where('kind', '=', kind).executeTakeFirst();
      return row ? { document: JSON.parse(row.document) as AnyDocument, revision: row.published_revision } : undefined;
    },
    async byName(kind: Kind, scope: Scope, name: string) {
      return parsed(await sql.selectFrom('entities').select('document').where('name_key', '=', nameKeyOf(kind, scope, name)).executeTakeFirst());
    },
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

function knownDocuments(sql: Sql): DocumentSource {
  return {
    async get(kind: Kind, id: string) {
      const row = await sql.selectFrom('known').select(['document', 'revision']).where('id', '=', id).where('kind', '=', kind).executeTakeFirst();
      return row ? { document: JSON.parse(row.document) as AnyDocument, revision: row.revision } : undefined;
    },
    async byName(kind: Kind, scope: Scope, name: string) {
      const query = sql.selectFrom('known').select('document').where('name_key', '=', nameKeyOf(kind, scope, name));
      return parsed(await query.orderBy('revision', 'desc').executeTakeFirst());
    },
    async list(kind: Kind, where: Where) {
      let query = sql.selectFrom('known').select('document').where('kind', '=', kind).where('phase', '=', 'active');
      for (const field of fields) if (where[field] !== undefined) query = query.where(field, '=', where[field]);
      return (await query.orderBy('id').execute()).map((row) => JSON.parse(row.document) as AnyDocument).filter((document) => matches(document, where));
    },
  };
}

export function sqlSource(sql: Sql): Source {
  const waiting = (row: { content: string }): Waiting => JSON.parse(row.content) as Waiting;
  return {
    own: ownDocuments(sql),
    known: knownDocuments(sql),
    async seen(key) {
      return (await sql.selectFrom('inbox').select('key').where('key', '=', key).executeTakeFirst()) !== undefined;
    },
    async waitingFor(awaits) {
      const row = await sql.selectFrom('waiting').select('content').where('awaits', '=', awaits).executeTakeFirst();
      return row && waiting(row);
    },
    async overdue(now) {
      return (await sql.selectFrom('waiting').select('content').where('deadline_at', '<=', now).orderBy('deadline_at').limit(100).execute()).map(waiting);
    },
    async mark(name) {
      return (await sql.selectFrom('marks').select('value').where('name', '=', name).executeTakeFirst())?.value;
    },
  };
}
