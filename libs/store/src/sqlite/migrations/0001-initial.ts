import { Migration } from '@mikro-orm/migrations';

const documentColumns =
  '`domain` text not null, `project` text not null, `environment` text not null, `name` text not null, `parent` text not null, `phase` text not null, `document` text not null, `name_key` text null';
const searchedBy = (table: string): string[] => [
  `create index \`${table}_kind_domain_project_environment_index\` on \`${table}\` (\`kind\`, \`domain\`, \`project\`, \`environment\`);`,
  `create index \`${table}_kind_parent_index\` on \`${table}\` (\`kind\`, \`parent\`);`,
];

export class Initial extends Migration {
  override up(): void {
    const statements = [
      `create table \`entities\` (\`id\` text not null primary key, \`kind\` text not null, ${documentColumns}, \`version\` integer not null, \`published_revision\` integer not null);`,
      'create unique index `entities_name_key_unique` on `entities` (`name_key`);',
      ...searchedBy('entities'),
      `create table \`known\` (\`kind\` text not null, \`id\` text not null, ${documentColumns}, \`revision\` integer not null, primary key (\`kind\`, \`id\`));`,
      'create index `known_name_key_index` on `known` (`name_key`);',
      ...searchedBy('known'),
      'create table `history` (`id` text not null, `version` integer not null, `document` text not null, `valid_from` text not null, `valid_to` text null, `revision` integer null, primary key (`id`, `version`));',
      'create table `inbox` (`key` text not null primary key, `at` bigint not null);',
      'create index `inbox_at_index` on `inbox` (`at`);',
      'create table `outbox` (`row` integer not null primary key autoincrement, `type` text not null, `entity` text null, `version` integer null, `content` text null, `traceparent` text null);',
      'create table `waiting` (`awaits` text not null primary key, `deadline_at` bigint not null, `content` text not null);',
      'create index `waiting_deadline_at_index` on `waiting` (`deadline_at`);',
      'create table `marks` (`name` text not null primary key, `value` text not null);',
    ];
    for (const statement of statements) this.addSql(statement);
  }
}
