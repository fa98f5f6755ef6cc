/** A database as rows that any database takes: what a backup has of it. */
export type Cell = string | number | null;
export type Row = Readonly<Record<string, Cell>>;
export interface DumpRow { readonly table: TableName; readonly row: Row }

const document = ['domain', 'project', 'environment', 'name', 'parent', 'phase', 'document', 'name_key'] as const;
/** Every table with the columns of its primary key, by which its rows are ordered, and the others. A test compares this with the declared tables. */
export const dumpTables = {
  entities: { key: ['id'], rest: ['kind', ...document, 'version', 'published_revision', 'holds'] },
  known: { key: ['kind', 'id'], rest: [...document, 'revision'] },
  history: { key: ['id', 'version'], rest: ['document', 'valid_from', 'valid_to', 'revision'] },
  inbox: { key: ['key'], rest: ['at'] },
  outbox: { key: ['row'], rest: ['type', 'entity', 'version', 'content', 'traceparent'] },
  waiting: { key: ['awaits'], rest: ['deadline_at', 'content'] },
  marks: { key: ['name'], rest: ['value'] },
} as const satisfies Record<string, { readonly key: readonly string[]; readonly rest: readonly string[] }>;
export type TableName = keyof typeof dumpTables;
export const tableNames = Object.keys(dumpTables) as TableName[];
export const columnsOf = (table: TableName): readonly string[] => [...dumpTables[table].key, ...dumpTables[table].rest];

/** What is of a process or of this very installation, and of no copy of it. A load leaves the first as it is. */
export const processMark = 'active-process';
export const restoreMark = 'restore';
export const isDumped = ({ table, row }: DumpRow): boolean => table !== 'marks' || (row['name'] !== processMark && row['name'] !== restoreMark);

/** How many rows of each table there are. */
export type Counts = Readonly<Record<TableName, number>>;
export const noRows = (): Record<TableName, number> => Object.fromEntries(tableNames.map((name) => [name, 0])) as Record<TableName, number>;
