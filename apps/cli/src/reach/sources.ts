import { kinds } from '@osier/contracts/kinds';
import { checkObject, objectsIn, worldOf } from '@osier/domain/kubernetes/cluster';
import type { Manifest } from '@osier/domain/kubernetes/metadata';
import type { World } from '@osier/domain/rules/model';
import { osierParty, osierPolicy } from '@osier/domain/rules/osier';
import { readDocuments, wishesOf, type Wish } from '../documents.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import type { Place } from '../place.ts';
import { type Located, parseManifests } from '../yaml.ts';

/** What is wrong with one field of one object, and where it stands. */
export interface ObjectProblem {
  readonly file: string;
  readonly line: number;
  /** Which document of its file, from 0. */
  readonly document: number;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** As an API server writes it. */
  readonly field: string;
  readonly reason: string;
}
/** `ignored`: objects that no verdict depends on, such as services. */
export interface Sources { readonly world: World; readonly problems: readonly ObjectProblem[]; readonly warnings: readonly ObjectProblem[]; readonly objects: number; readonly ignored: number }

const isManifest = ({ value }: Located): boolean => objectsIn(value).some((object) => typeof object === 'object' && object !== null && ('apiVersion' in object || 'metadata' in object));

/** Reads what -f names, as Kubernetes manifests or as Osier's own documents; they are different worlds and are not mixed. */
export async function readWorld(paths: readonly string[], io: Io, place: Place): Promise<Sources> {
  const documents = await readDocuments(paths, io, parseManifests);
  const good = documents.filter((document) => document.error === undefined);
  const manifests = good.filter(isManifest);
  if (manifests.length > 0 && manifests.length < good.length) {
    const [a, b] = [manifests[0], good.find((document) => !isManifest(document))];
    throw usage(`${a?.file}:${a?.lineOf('kind')} is a Kubernetes manifest and ${b?.file}:${b?.lineOf('kind')} is not.`, 'Ask about Kubernetes manifests or about Osier documents, one at a time.');
  }
  return manifests.length > 0 || good.length === 0 ? cluster(documents) : installation(documents, place);
}

function cluster(documents: readonly Located[]): Sources {
  const found: { problems: ObjectProblem[]; warnings: ObjectProblem[]; manifests: Manifest[] } = { problems: [], warnings: [], manifests: [] };
  const counted = new Map<string, number>();
  let [objects, ignored] = [0, 0];
  for (const at of documents) {
    const document = counted.get(at.file) ?? 0;
    counted.set(at.file, document + 1);
    const base = { file: at.file, document, kind: '', namespace: '', name: '' };
    if (at.error !== undefined) {
      found.problems.push({ ...base, line: at.lineOf(''), field: '', reason: `is not YAML: ${at.error}` });
      continue;
    }
    const items = objectsIn(at.value);
    items.forEach((item, i) => {
      const { manifest, problems, known } = checkObject(item);
      objects++;
      if (!known) ignored++;
      const prefix = Array.isArray(at.value) ? `[${i}].` : items.length === 1 && items[0] === at.value ? '' : `items[${i}].`;
      for (const { path, reason, warning } of problems) {
        const { kind, namespace, name } = manifest;
        (warning === true ? found.warnings : found.problems).push({ ...base, line: at.lineOf(`${prefix}${path}`), kind, namespace, name, field: path, reason });
      }
      found.manifests.push(manifest);
    });
  }
  const { problems, warnings, manifests } = found;
  const world = problems.length === 0 ? worldOf(manifests) : { scopes: [], parties: [], nodes: [], policies: [] };
  return { world, problems, warnings, objects, ignored };
}

function installation(documents: readonly Located[], place: Place): Sources {
  const { wishes, faulty } = wishesOf(documents, place, {});
  const problems = faulty.map(({ at, path, problem }): ObjectProblem => {
    const [kind = '', name = ''] = path === at.file ? [] : path.split(' ');
    const document = documents.filter((other) => other.file === at.file).indexOf(at);
    return { file: at.file, line: at.lineOf(problem.path), document, kind, namespace: '', name, field: problem.path, reason: `${problem.reason} ${problem.fix}`.trim() };
  });
  const environmentOf = (wish: Wish): string => `${wish.place.domain}/${wish.place.project}/${wish.place.environment}`;
  const of = <K extends 'endpoint' | 'policy'>(kind: K): Wish[] => wishes.filter((wish) => wish.kind === kind);
  const parties = of('endpoint').map((wish) => osierParty({ path: wish.path, environment: environmentOf(wish), spec: kinds.endpoint.spec.parse(wish.spec) }));
  const policies = of('policy').map((wish) => osierPolicy({ path: wish.path, environment: environmentOf(wish), spec: kinds.policy.spec.parse(wish.spec) }));
  const scopes = [...new Set(parties.map(({ scope }) => scope))].map((name) => ({ name, tags: {} }));
  return { world: { scopes, parties, policies, nodes: [] }, problems, warnings: [], objects: documents.length, ignored: documents.length - faulty.length - parties.length - policies.length };
}
