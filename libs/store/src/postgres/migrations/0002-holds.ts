import { Migration } from '@mikro-orm/migrations';

export class Holds extends Migration {
  override up(): void {
    this.addSql('alter table "entities" add column "holds" text collate "C" null;');
    this.addSql(`update "entities" set "holds" = ("document"::jsonb #>> '{spec,node}') || '/' || ("document"::jsonb #>> '{spec,attachment,containerId}') where "kind" = 'endpoint' and "phase" = 'active';`);
    this.addSql('create index "entities_kind_holds_index" on "entities" ("kind", "holds");');
  }
}
