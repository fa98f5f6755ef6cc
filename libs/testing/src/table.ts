/** `status.address` of a document; a list is joined by commas, what is not there is `-`. */
function field(document: unknown, path: string): string {
  const value = path.split('.').reduce<unknown>((at, part) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined), document);
  if (value === undefined || value === '') return '-';
  if (Array.isArray(value)) return value.map(String).join(',');
  if (typeof value === 'object' && value !== null) return Object.entries(value).map(([key, one]) => `${key}=${String(one)}`).join(',') || '-';
  return String(value);
}

/** Lines of columns, sorted, one space wide: how tables are compared, whatever their layout. */
export const tableOf = (documents: readonly unknown[], columns: readonly string[]): string[] =>
  documents.map((document) => columns.map((column) => field(document, column)).join(' ')).sort();

export const linesOf = (text: string): string[] =>
  text.split('\n').map((line) => line.trim().replace(/\s+/g, ' ')).filter((line) => line !== '').sort();
