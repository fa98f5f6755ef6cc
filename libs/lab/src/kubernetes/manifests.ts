import { checkObject, objectsIn } from '@osier/domain/kubernetes/cluster';
import type { Manifest } from '@osier/domain/kubernetes/metadata';
import { parseManifests } from '@osier/domain/manifests/yaml';

/** One object of a manifest file, with where it stands. */
export interface ManifestObject extends Manifest { readonly file: string; readonly line: number; /** Whether it can say anything about who may talk to whom. */ readonly known: boolean }

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

/** Every object of a file with any number of YAML documents, as an API server would take it; documents that hold only comments are none. */
export function readManifests(file: string, text: string): ManifestObject[] {
  return parseManifests(file, text).flatMap(({ value, error, lineOf }) => {
    const line = lineOf('');
    if (error !== undefined) throw new ManifestError({ file, line }, '', error, 'Correct the YAML.');
    return objectsIn(value).map((object): ManifestObject => {
      const { manifest, problems, known } = checkObject(object);
      const problem = problems.find(({ warning }) => warning !== true);
      const where = { file, line, ...(manifest.kind === '' ? {} : { kind: manifest.kind, name: manifest.name }) };
      if (problem !== undefined) throw new ManifestError(where, problem.path, problem.reason, 'An API server would refuse it too: osier reach --validate names everything of that kind.');
      if (manifest.name === '' || manifest.generated === true) throw new ManifestError(where, 'metadata.name', 'the object has no name of its own', 'Give it a name: what is loaded again must be known again.');
      return { ...manifest, file, line, known };
    });
  });
}

type Map_ = Readonly<Record<string, unknown>>;
export const asMap = (value: unknown): Map_ | undefined => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Map_) : undefined);
export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** The value under nested keys. */
export const dig = (value: unknown, ...keys: readonly string[]): unknown => keys.reduce<unknown>((inner, key) => asMap(inner)?.[key], value);
export function textMap(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asMap(value) ?? {}).map(([key, text]) => [key, String(text)]));
}
