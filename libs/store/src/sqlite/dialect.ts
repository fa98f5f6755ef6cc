import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { SqliteDialect } from 'kysely';

/** Statements that are kept ready; the least lately used goes first. Those of many rows have a text for each number of rows. */
export const keptStatements = 100;
const reads = /^\s*(select|pragma|explain|with)/i;
const returns = /\breturning\b/i;

/** node:sqlite as Kysely wants it (MikroORM's own, `NodeSqliteDialect`, prepares every statement anew: a third of what a short one costs). */
export class CachingSqliteDialect extends SqliteDialect {
  constructor(file: string) {
    super({ database: async () => open(file) });
  }
}

interface Prepared { readonly reader: boolean; all(params: readonly unknown[]): unknown[]; run(params: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint }; iterate(params: readonly unknown[]): IterableIterator<unknown> }

function open(file: string) {
  const database = new DatabaseSync(file);
  const kept = new Map<string, Prepared>();
  return {
    prepare: (sql: string): Prepared => {
      const found = kept.get(sql);
      if (found !== undefined) {
        kept.delete(sql);
        kept.set(sql, found);
        return found;
      }
      const made = prepared(database.prepare(sql), sql);
      kept.set(sql, made);
      if (kept.size > keptStatements) kept.delete(kept.keys().next().value as string);
      return made;
    },
    close: () => {
      kept.clear();
      database.close();
    },
  };
}

function prepared(statement: StatementSync, sql: string): Prepared {
  type Values = Parameters<StatementSync['all']>;
  return {
    reader: reads.test(sql) || returns.test(sql),
    all: (params) => statement.all(...(params as Values)),
    run: (params) => statement.run(...(params as Values)),
    iterate: (params) => statement.iterate(...(params as Values)),
  };
}
