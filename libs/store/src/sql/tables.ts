import { defineEntity, p } from '@mikro-orm/core';
import type { InferKyselyDB } from '@mikro-orm/sql';

/** What differs between databases in how a column is declared. */
export interface ColumnTypes {
  /** Of 64 bits: revisions, and the rows of the outbox. */
  readonly whole: string;
  /** Order of texts by their bytes, where that is not the database's only one. */
  readonly collation?: string;
}

/** A service's own database. Documents are JSON text; the columns beside them are what is searched by. Times are milliseconds since the epoch, or RFC 3339 where a document has them. */
export function defineTables({ whole, collation }: ColumnTypes) {
  const text = () => (collation === undefined ? p.text() : p.text().collation(collation));
  const wholeNumber = () => p.integer().columnType(whole);
  const documentColumns = {
    domain: text(), project: text(), environment: text(),
    name: text(), parent: text(),
    phase: text(),
    document: text(),
  };

  const Entity = defineEntity({
    name: 'entities',
    properties: {
      /** Unique among all that the service owns. */
      id: text().primary(), kind: text(),
      ...documentColumns,
      /** `<kind>/<scope>/<name>` while it is not deleted, and so unique; null of a tombstone. */
      name_key: text().nullable().unique(),
      version: p.integer(), published_revision: wholeNumber(),
      /** What only one owner may use at a time, `holdsOf`; null of what holds nothing, or nothing any more. */
      holds: text().nullable(),
    },
    indexes: [{ properties: ['kind', 'domain', 'project', 'environment'] }, { properties: ['kind', 'parent'] }, { properties: ['kind', 'holds'] }],
  });
  /** Copies of other services' entities. */
  const Known = defineEntity({
    name: 'known',
    properties: {
      /** Owners may give one id to two things that belong together, as a lease and its endpoint. */
      kind: text().primary(), id: text().primary(),
      ...documentColumns,
      /** Not unique: the owner sees to that, and a projection must never get stuck on it. */
      name_key: text().nullable().index(),
      revision: wholeNumber(),
    },
    indexes: [{ properties: ['kind', 'domain', 'project', 'environment'] }, { properties: ['kind', 'parent'] }],
  });
  const History = defineEntity({
    name: 'history',
    properties: {
      id: text().primary(), version: p.integer().primary(),
      document: text(), valid_from: text(), valid_to: text().nullable(), revision: wholeNumber().nullable(),
    },
  });
  const Inbox = defineEntity({ name: 'inbox', properties: { key: text().primary(), at: p.bigint('number').index() } });
  /** What is still to be published. A state row names a version in history; the others carry their content. */
  const Outbox = defineEntity({
    name: 'outbox',
    properties: {
      row: wholeNumber().primary().autoincrement(),
      type: text(), entity: text().nullable(), version: p.integer().nullable(), content: text().nullable(), traceparent: text().nullable(),
    },
  });
  const Waiting = defineEntity({ name: 'waiting', properties: { awaits: text().primary(), deadline_at: p.bigint('number').index(), content: text() } });
  const Mark = defineEntity({ name: 'marks', properties: { name: text().primary(), value: text() } });
  return [Entity, Known, History, Inbox, Outbox, Waiting, Mark] as const;
}

export type Tables = InferKyselyDB<ReturnType<typeof defineTables>[number]>;
