import type { Scope } from '@osier/contracts/document';
import { type GroupKind, groupKinds, kinds, type PolicyKind, policyKinds, type Spec } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { checkObject, objectsIn, worldOf } from '@osier/domain/kubernetes/cluster';
import type { Manifest } from '@osier/domain/kubernetes/metadata';
import type { World } from '@osier/domain/rules/model';
import { portsProblem, policyProblem } from '@osier/domain/policy/validate';
import { groupsNamed, groupsOf } from '@osier/domain/rules/groups';
import { type OsierEndpoint, type OsierPolicy, osierParty, osierPolicy, scopeTagsOf } from '@osier/domain/rules/osier';
import { readDocuments, wishesOf } from '../documents.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import type { Place } from '../place.ts';
import { type Located, parseManifests } from '@osier/domain/manifests/yaml';

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
export interface Sources extends Read { readonly world: World; /** Groups that are named and not given, a line each. */ readonly unknown: readonly string[] }
interface Read { readonly problems: readonly ObjectProblem[]; readonly warnings: readonly ObjectProblem[]; readonly objects: number; readonly ignored: number }

interface At { readonly file: string; readonly line: number }
export type OsierGroup = Scope & { readonly path: string } & { readonly [K in GroupKind]: { readonly kind: K; readonly spec: Spec<K> } }[GroupKind];
/** An endpoint, policy or group of Osier, by its path. */
export type OsierObject = ({ readonly kind: 'endpoint' } & OsierEndpoint) | OsierPolicy | OsierGroup;
/** Kinds that a verdict depends on. */
export const decidingKinds = ['endpoint', ...policyKinds, ...groupKinds] as const;
/** Objects before they are a world, so that some can be put in the place of others. */
export type Objects =
  | { readonly source: 'kubernetes'; readonly items: readonly { readonly object: Manifest; readonly at: At }[] }
  | { readonly source: 'osier'; readonly items: readonly { readonly object: OsierObject; readonly at: At | undefined }[] };

const keyOf = (object: Manifest | OsierObject): string => ('path' in object ? `${object.kind} ${object.path}` : `${object.apiVersion} ${object.kind} ${object.namespace} ${object.name}`);
export const keysOf = (objects: Objects): string[] => objects.items.map(({ object }) => keyOf(object));

/** An object whose name is still to be made is never the same as another: the second of a prefix is `web-(2)`. */
function namedApart(object: Manifest, taken: { has(key: string): boolean }): Manifest {
  let one = object;
  for (let n = 2; one.generated === true && taken.has(keyOf(one)); n++) one = { ...object, name: `${object.name}(${n})` };
  return one;
}

/** `changed` in the place of what has the same identity, and what is in `deleted` gone. Both are of the source of `base`. */
export function replaced(base: Objects, changed: Objects, deleted: ReadonlySet<string>): Objects {
  const all = new Map<string, Objects['items'][number]>(base.items.map((item) => [keyOf(item.object), item]));
  for (const item of changed.items) {
    const object = 'generated' in item.object ? namedApart(item.object, all) : item.object;
    all.set(keyOf(object), { ...item, object } as Objects['items'][number]);
  }
  for (const key of deleted) all.delete(key);
  return { source: base.source, items: [...all.values()] } as Objects;
}

/** `shadows`: as if the shadow policies were in force. */
export function worldFrom(objects: Objects, o: { shadows?: boolean } = {}): World {
  if (objects.source === 'kubernetes') return worldOf(objects.items.map(({ object }) => object));
  const parties = objects.items.flatMap(({ object }) => (object.kind === 'endpoint' ? [osierParty(object)] : []));
  const groups = groupsIn(objects.items.map(({ object }) => object));
  const policies = objects.items.flatMap(({ object }) => (isPolicy(object) ? [osierPolicy(object, groups(object))] : []));
  return { scopes: [...new Set(parties.map(({ scope }) => scope))].map((name) => ({ name, tags: scopeTagsOf(name) })), parties, policies: policies.filter(({ shadow }) => o.shadows === true || shadow !== true), nodes: [] };
}

const isPolicy = (object: OsierObject): object is OsierPolicy => (policyKinds as readonly string[]).includes(object.kind);
const isGroup = (object: OsierObject): object is OsierGroup => (groupKinds as readonly string[]).includes(object.kind);
const groupKey = (kind: string, { domain, project }: Scope, name: string): string => `${kind} ${domain}/${project}/${name}`;
/** The groups of a policy's project. */
function groupsIn(objects: readonly OsierObject[]): (of: Scope) => ReturnType<typeof groupsOf> {
  const known = new Map<string, unknown>(objects.flatMap((object) => (isGroup(object) ? [[`${object.kind} ${object.path}`, object.spec] as const] : [])));
  return (of) => groupsOf(`${of.domain}/${of.project}`, <K extends GroupKind>(kind: K, name: string) => known.get(groupKey(kind, of, name)) as Spec<K> | undefined);
}
/** Groups that a policy names and nobody gives: a line each. */
export function unknownGroups(objects: Objects): string[] {
  if (objects.source === 'kubernetes') return [];
  const all = objects.items.map(({ object }) => object);
  const known = new Set(all.map((object) => `${object.kind} ${object.path}`));
  return all.flatMap((object) => (isPolicy(object) ? groupsNamed(object.spec).filter(({ kind, name }) => !known.has(groupKey(kind, object, name)))
    .map(({ kind, name, field }) => `${object.kind} ${object.path}, ${field}: the ${kind} "${name}" is not among what was read; nobody is let through by it`) : []));
}
/** What a service would refuse that no schema does. */
function objectProblem(object: OsierObject): ReturnType<typeof policyProblem> {
  if (isPolicy(object)) return policyProblem(object.kind, object.spec);
  return object.kind === 'service-group' ? portsProblem(object.spec.ports, 'spec.ports') : undefined;
}

/** Where a policy stands: `policies.yaml:12`. */
export function placesOf(objects: Objects): ReadonlyMap<string, string> {
  return new Map(objects.items.flatMap(({ object, at }): [string, string][] => {
    if (at === undefined) return [];
    const name = 'path' in object ? object.path : `${object.kind === 'NetworkPolicy' ? `${object.namespace}/` : ''}${object.name}`;
    return [[`${object.kind} ${name}`, `${at.file}:${at.line}`]];
  }));
}

const isManifest = ({ value }: Located): boolean => objectsIn(value).some((object) => typeof object === 'object' && object !== null && ('apiVersion' in object || 'metadata' in object));

/** Reads what -f names, as Kubernetes manifests or as Osier's own documents; they are different worlds and are not mixed. */
export async function readWorld(paths: readonly string[], io: Io, place: Place, o: { shadows?: boolean } = {}): Promise<Sources> {
  const { found, ...read } = await readObjects(paths, io, place);
  return { ...read, unknown: unknownGroups(found), world: read.problems.length === 0 ? worldFrom(found, o) : { scopes: [], parties: [], nodes: [], policies: [] } };
}

export async function readObjects(paths: readonly string[], io: Io, place: Place, defaults: Place = {}): Promise<Read & { readonly found: Objects }> {
  const documents = await readDocuments(paths, io, parseManifests);
  const good = documents.filter((document) => document.error === undefined);
  const manifests = good.filter(isManifest);
  if (manifests.length > 0 && manifests.length < good.length) {
    const [a, b] = [manifests[0], good.find((document) => !isManifest(document))];
    throw usage(`${a?.file}:${a?.lineOf('kind')} is a Kubernetes manifest and ${b?.file}:${b?.lineOf('kind')} is not.`, 'Ask about Kubernetes manifests or about Osier documents, one at a time.');
  }
  return manifests.length > 0 || good.length === 0 ? cluster(documents) : installation(documents, place, defaults);
}

function cluster(documents: readonly Located[]): Read & { found: Objects } {
  const found: { problems: ObjectProblem[]; warnings: ObjectProblem[]; manifests: { object: Manifest; at: At }[] } = { problems: [], warnings: [], manifests: [] };
  const counted = new Map<string, number>();
  const taken = new Set<string>();
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
      const object = namedApart(manifest, taken);
      taken.add(keyOf(object));
      found.manifests.push({ object, at: { file: at.file, get line() { return at.lineOf(prefix.replace(/\.$/, '')); } } });
    });
  }
  const { problems, warnings, manifests } = found;
  return { found: { source: 'kubernetes', items: manifests }, problems, warnings, objects, ignored };
}

/** Undefined: no verdict depends on it. */
export function osierObject(kind: string, scope: Scope, path: string, spec: unknown): OsierObject | undefined {
  const known = decidingKinds.find((one) => one === kind);
  if (known === undefined) return undefined;
  const parsed = kinds[known].spec.parse(spec);
  if (known === 'endpoint') return { kind: known, path, environment: `${scope.domain}/${scope.project}/${scope.environment}`, spec: parsed as Spec<'endpoint'> };
  return { kind: known, ...scope, path, spec: parsed as Spec<PolicyKind> } as OsierObject;
}

function installation(documents: readonly Located[], place: Place, defaults: Place): Read & { found: Objects } {
  const { wishes, faulty } = wishesOf(documents, place, defaults);
  const problems = faulty.map(({ at, path, problem }): ObjectProblem => {
    const [kind = '', name = ''] = path === at.file ? [] : path.split(' ');
    const document = documents.filter((other) => other.file === at.file).indexOf(at);
    return { file: at.file, line: at.lineOf(problem.path), document, kind, namespace: '', name, field: problem.path, reason: `${problem.reason} ${problem.fix}`.trim() };
  });
  const items = wishes.flatMap((wish): { object: OsierObject; at: At }[] => {
    const { domain = none, project = none, environment = none } = wish.place;
    const object = osierObject(wish.kind, { domain, project, environment }, wish.path, wish.spec);
    if (object === undefined) return [];
    const problem = objectProblem(object);
    if (problem?.result === 'refused') {
      const { path, reason, fix } = problem.problem;
      const document = documents.filter((other) => other.file === wish.at.file).indexOf(wish.at);
      problems.push({ file: wish.at.file, line: wish.at.lineOf(path), document, kind: wish.kind, namespace: '', name: wish.path, field: path, reason: `${reason} ${fix}` });
    }
    return [{ at: { file: wish.at.file, line: wish.at.lineOf('') }, object }];
  });
  return { found: { source: 'osier', items }, problems, warnings: [], objects: documents.length, ignored: documents.length - faulty.length - items.length };
}
