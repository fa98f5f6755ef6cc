import type { Format, Io } from './io.ts';

/** Columns padded to their widest cell, two spaces between them; the last one as it is. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd()).join('\n');
}

export const toJson = (value: unknown): string => JSON.stringify(value, undefined, 2);

/** One YAML document for each value. */
export async function toYaml(values: readonly unknown[]): Promise<string> {
  const { stringify } = await import('yaml');
  return values.map((value) => stringify(value, { lineWidth: 0 })).join('---\n');
}

/** Prints `value` in the format asked for; `items` are its YAML documents, `human` its text. */
export async function print(io: Io, format: Format, value: unknown, items: readonly unknown[], human: () => string): Promise<void> {
  io.out(format === 'json' ? toJson(value) : format === 'yaml' ? await toYaml(items) : human());
}
