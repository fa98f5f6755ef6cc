import { describe, expect, it } from '@jest/globals';
import { migrations as postgres, tables as postgresTables } from '../postgres/open.ts';
import { migrations as sqlite, tables } from '../sqlite/open.ts';
import { forward, schemas } from './forward.ts';
import { columnsOf, dumpTables, type TableName } from './tables.ts';

describe('what a dump is made of', () => {
  it.each([['SQLite', tables], ['PostgreSQL', postgresTables]])('is every column of every table of %s, by the primary key', (_name, declared) => {
    const found = declared.map((entity) => entity as unknown as { meta: { tableName?: string; className: string; primaryKeys: string[]; properties: Record<string, unknown> } }).map(({ meta }) => meta);
    expect(Object.keys(dumpTables).sort()).toEqual(found.map((meta) => meta.className).sort());
    for (const meta of found) {
      const table = meta.className as TableName;
      expect([...columnsOf(table)].sort()).toEqual(Object.keys(meta.properties).sort());
    }
  });

  it('can be brought forward from every schema that there ever was', () => {
    expect(sqlite.map(({ name }) => name)).toEqual(schemas);
    expect(postgres.map(({ name }) => name)).toEqual(schemas);
  });
});

describe('a dump of an older schema', () => {
  const endpoint = { kind: 'endpoint', phase: 'active', spec: { node: 'node-1', attachment: { containerId: 'web', interface: 'eth0' } } };
  it('gets what the migrations since then give', () => {
    const row = { table: 'entities' as const, row: { id: 'x', document: JSON.stringify(endpoint) } };
    expect(forward('0001-initial')(row).row['holds']).toBe('node-1/web');
    expect(forward('0002-holds')(row)).toEqual(row);
    expect(forward('0001-initial')({ table: 'marks', row: { name: 'a', value: 'b' } })).toEqual({ table: 'marks', row: { name: 'a', value: 'b' } });
  });
  it('and one of a newer schema is refused, with the way out', () => {
    expect(() => forward('0099-from-the-future')).toThrow(expect.objectContaining({ name: 'UnknownSchema', message: expect.stringContaining('0099-from-the-future'), fix: expect.stringContaining('newer') }));
  });
});
