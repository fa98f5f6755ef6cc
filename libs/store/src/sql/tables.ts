import { defineEntity, p } from '@mikro-orm/core';
import type { InferKyselyDB } from '@mikro-orm/sql';

/** A service's own database. Documents are JSON text; the columns beside them are what is searched by. Times are milliseconds since the epoch, or RFC 3339 where a document has them. */
const documentColumns = {
  domain: p.string(), project: p.string(), environment: p.string(),
  name: p.string(), parent: p.string(),
  phase: p.string(),
  document: p.text(),
};

const Entity = defineEntity({
  name: 'entities',
  properties: {
    /** Unique among all that the service owns. */
    id: p.string().primary(), kind: p.string(),
    ...documentColumns,
    /** `<kind>/<scope>/<name>` while it is not deleted, and so unique; null of a tombstone. */
    name_key: p.string().nullable().unique(),
    version: p.integer(), published_revision: p.integer(),
  },
  indexes: [{ properties: ['kind', 'domain', 'project', 'environment'] }, { properties: ['kind', 'parent'] }],
});
/** Copies of other services' entities. */
const Known = defineEntity({
  name: 'known',
  properties: {
    /** Owners may give one id to two things that belong together, as a lease and its endpoint. */
    kind: p.string().primary(), id: p.string().primary(),
    ...documentColumns,
    /** Not unique: the owner sees to that, and a projection must never get stuck on it. */
    name_key: p.string().nullable().index(),
    revision: p.integer(),
  },
  indexes: [{ properties: ['kind', 'domain', 'project', 'environment'] }, { properties: ['kind', 'parent'] }],
});
const History = defineEntity({
  name: 'history',
  properties: {
    id: p.string().primary(), version: p.integer().primary(),
    document: p.text(), valid_from: p.string(), valid_to: p.string().nullable(), revision: p.integer().nullable(),
  },
});
const Inbox = defineEntity({ name: 'inbox', properties: { key: p.string().primary(), at: p.bigint('number').index() } });
/** What is still to be published. A state row names a version in history; the others carry their content. */
const Outbox = defineEntity({
  name: 'outbox',
  properties: {
    row: p.integer().primary().autoincrement(),
    type: p.string(), entity: p.string().nullable(), version: p.integer().nullable(), content: p.text().nullable(), traceparent: p.string().nullable(),
  },
});
const Waiting = defineEntity({ name: 'waiting', properties: { awaits: p.string().primary(), deadline_at: p.bigint('number').index(), content: p.text() } });
const Mark = defineEntity({ name: 'marks', properties: { name: p.string().primary(), value: p.text() } });

export const tables = [Entity, Known, History, Inbox, Outbox, Waiting, Mark];
export type Tables = InferKyselyDB<typeof Entity | typeof Known | typeof History | typeof Inbox | typeof Outbox | typeof Waiting | typeof Mark>;
