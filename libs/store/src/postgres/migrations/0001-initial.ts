import { Migration } from '@mikro-orm/migrations';

/** Compared by bytes, whatever the order of the database is: the same in SQLite and in JavaScript. */
const text = 'text collate "C"';
const documentColumns = ['domain', 'project', 'environment', 'name', 'parent', 'phase', 'document'].map((name) => `"${name}" ${text} not null`).join(', ') + `, "name_key" ${text} null`;
const searchedBy = (table: string): string[] => [
  `create index "${table}_kind_domain_project_environment_index" on "${table}" ("kind", "domain", "project", "environment");`,
  `create index "${table}_kind_parent_index" on "${table}" ("kind", "parent");`,
];

export class Initial extends Migration {
  override up(): void {
    const statements = [
      `create table "entities" ("id" ${text} not null primary key, "kind" ${text} not null, ${documentColumns}, "version" int not null, "published_revision" bigint not null);`,
      'alter table "entities" add constraint "entities_name_key_unique" unique ("name_key");',
      ...searchedBy('entities'),
      `create table "known" ("kind" ${text} not null, "id" ${text} not null, ${documentColumns}, "revision" bigint not null, primary key ("kind", "id"));`,
      'create index "known_name_key_index" on "known" ("name_key");',
      ...searchedBy('known'),
      `create table "history" ("id" ${text} not null, "version" int not null, "document" ${text} not null, "valid_from" ${text} not null, "valid_to" ${text} null, "revision" bigint null, primary key ("id", "version"));`,
      `create table "inbox" ("key" ${text} not null primary key, "at" bigint not null);`,
      'create index "inbox_at_index" on "inbox" ("at");',
      `create table "outbox" ("row" bigserial primary key, "type" ${text} not null, "entity" ${text} null, "version" int null, "content" ${text} null, "traceparent" ${text} null);`,
      `create table "waiting" ("awaits" ${text} not null primary key, "deadline_at" bigint not null, "content" ${text} not null);`,
      'create index "waiting_deadline_at_index" on "waiting" ("deadline_at");',
      `create table "marks" ("name" ${text} not null primary key, "value" ${text} not null);`,
    ];
    for (const statement of statements) this.addSql(statement);
  }
}
