import { columnsOf, type Counts, type DumpRow, dumpTables, isDumped, noRows, processMark, type Row, type TableName, tableNames } from '../dump/tables.ts';
import type { Sql } from './source.ts';

/** Rows at a time. The widest table has 14 columns, and SQLite takes at most 32,766 parameters in a statement. */
const page = 500;

interface Expression { readonly eb: unique symbol }
/** The query builder over tables that are known by name only. */
interface Loose {
  selectFrom(table: TableName): Select;
  insertInto(table: TableName): { values(rows: readonly Row[]): { execute(): Promise<unknown> } };
  deleteFrom(table: TableName): Delete;
}
interface Delete { where(column: string, operator: string, value: string): Delete; execute(): Promise<unknown> }
interface Builder { (column: string, operator: string, value: unknown): Expression; and(all: readonly Expression[]): Expression; or(any: readonly Expression[]): Expression }
interface Select {
  select(columns: readonly string[]): Select;
  where(make: (eb: Builder) => Expression): Select;
  orderBy(column: string): Select;
  limit(rows: number): Select;
  execute(): Promise<Row[]>;
}
const loose = (sql: Sql): Loose => sql as unknown as Loose;

/** After this row in the order of the key: greater in its first column, or equal there and greater in the next. */
const after = (key: readonly string[], last: Row) => (eb: Builder): Expression =>
  eb.or(key.map((column, depth) => eb.and([...key.slice(0, depth).map((before) => eb(before, '=', last[before])), eb(column, '>', last[column])])));

/** All rows of all tables, by their keys. The caller has a transaction open that sees one state of the database. */
export async function dumpSql(sql: Sql, take: (rows: readonly DumpRow[]) => Promise<void>, alive: () => void): Promise<Counts> {
  const counts = noRows();
  for (const table of tableNames) {
    const { key } = dumpTables[table];
    for (let last: Row | undefined; ; ) {
      let query = loose(sql).selectFrom(table).select(columnsOf(table));
      if (last) query = query.where(after(key, last));
      for (const column of key) query = query.orderBy(column);
      const rows = await query.limit(page).execute();
      const found = rows.map((row) => ({ table, row })).filter(isDumped);
      counts[table] += found.length;
      if (found.length > 0) await take(found);
      alive();
      last = rows.at(-1);
      if (rows.length < page) break;
    }
  }
  return counts;
}

/** Replaces all that is there. The caller has the transaction open. */
export async function loadSql(sql: Sql, rows: AsyncIterable<readonly DumpRow[]>, marks: ReadonlyMap<string, string>, alive: () => void): Promise<Counts> {
  for (const table of tableNames) {
    const all = loose(sql).deleteFrom(table);
    await (table === 'marks' ? all.where('name', '!=', processMark) : all).execute();
  }
  const counts = noRows();
  const insert = async (table: TableName, some: readonly Row[]): Promise<void> => {
    for (let at = 0; at < some.length; at += page) await loose(sql).insertInto(table).values(some.slice(at, at + page)).execute();
    alive();
  };
  for await (const some of rows) {
    const loaded = some.filter(isDumped);
    for (const table of tableNames) {
      const of = loaded.filter((one) => one.table === table).map(({ row }) => only(table, row));
      counts[table] += of.length;
      await insert(table, of);
    }
  }
  await insert('marks', [...marks].map(([name, value]) => ({ name, value })));
  return counts;
}

/** A row with all of the table's columns. Throws where one is missing: nothing is left to a default. */
function only(table: TableName, row: Row): Row {
  return Object.fromEntries(columnsOf(table).map((column) => {
    const cell = row[column];
    if (cell === undefined) throw new Error(`a row of ${table} in the dump has no column ${column}`);
    return [column, cell];
  }));
}
