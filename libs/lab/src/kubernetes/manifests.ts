import { LineCounter, parseAllDocuments } from 'yaml';

/** One object of a manifest file, with where it stands. */
export interface ManifestObject {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** A manifest that cannot be carried over as it is meant: names the file, the object and the field. Nothing is loaded then. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly fix: string;
  constructor(where: { file: string; line?: number; kind?: string; name?: string }, field: string, reason: string, fix: string) {
    const object = where.kind === undefined ? '' : ` ${where.kind} ${where.name ?? ''}`;
    super(`${where.file}${where.line === undefined ? '' : `:${where.line}`}${object}${field === '' ? '' : `, ${field}`}: ${reason}`);
    this.fix = fix;
  }
}

/** Every object of a file with any number of YAML documents; documents that hold only comments are none. */
export function readManifests(file: string, text: string): ManifestObject[] {
  const lines = new LineCounter();
  return parseAllDocuments(text, { lineCounter: lines }).flatMap((document) => {
    const error = document.errors[0];
    if (error !== undefined) throw new ManifestError({ file, line: error.linePos?.[0].line ?? 1 }, '', error.message.split('\n')[0] ?? 'not YAML', 'Correct the YAML.');
    const value = document.toJS() as unknown;
    if (value === null || value === undefined) return [];
    const line = lines.linePos(document.contents?.range?.[0] ?? 0).line;
    return objectsIn(file, line, value);
  });
}

function objectsIn(file: string, line: number, value: unknown): ManifestObject[] {
  const object = asMap(value);
  if (object === undefined || typeof object.kind !== 'string') throw new ManifestError({ file, line }, 'kind', 'a document is not a Kubernetes object: it has no kind', 'Keep only Kubernetes manifests in this folder.');
  if (object.kind === 'List') return asList(object.items).flatMap((item) => objectsIn(file, line, item));
  const name = asMap(object.metadata)?.name;
  if (typeof name !== 'string' || name === '') throw new ManifestError({ file, line, kind: object.kind }, 'metadata.name', 'the object has no name', 'Give it a name.');
  return [{ file, line, kind: object.kind, name, value: object }];
}

type Map_ = Readonly<Record<string, unknown>>;
export const asMap = (value: unknown): Map_ | undefined => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Map_) : undefined);
export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
/** The value under nested keys. */
export const dig = (value: unknown, ...keys: readonly string[]): unknown => keys.reduce<unknown>((inner, key) => asMap(inner)?.[key], value);
export function textMap(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asMap(value) ?? {}).map(([key, text]) => [key, String(text)]));
}
