import type { CompiledQuery, InsertQueryBuilder, InsertResult } from 'kysely';
import type { Sql } from './source.ts';

/** Rows of one statement: few sizes, so that each is built and prepared once. To build one for as many rows as there are costs more than to execute it. SQLite takes at most 32,766 parameters. */
const sizes = [256, 64, 16, 4, 1] as const;

export type Row = Readonly<Record<string, string | number | null>>;
type Build = (sql: Sql, rows: Row[]) => Pick<InsertQueryBuilder<never, never, InsertResult>, 'compile'>;
export type Insert = (sql: Sql, rows: readonly Row[]) => Promise<void>;

/** An insert of any number of rows, which all have the fields of the first, in its order. Belongs to one database: the words differ. */
export function insertion(build: Build): Insert {
  const built = new Map<number, CompiledQuery>();
  return async (sql, rows) => {
    const fields = Object.keys(rows[0] ?? {});
    for (let done = 0; done < rows.length; ) {
      const size = sizes.find((one) => one <= rows.length - done) ?? 1;
      const part = rows.slice(done, done + size);
      const query = built.get(size) ?? build(sql, part).compile();
      built.set(size, query);
      await sql.executeQuery({ ...query, parameters: part.flatMap((row) => fields.map((field) => row[field])) });
      done += size;
    }
  };
}
