import { type Address, addressKey } from '../net/address.ts';
import type { Node, Party, Policy, Scope, World } from '../rules/model.ts';
import { adminNetworkPolicyOf, adminNetworkPolicySchema, baselineAdminNetworkPolicySchema, checkAdminNetworkPolicy, checkBaselineAdminNetworkPolicy } from './admin-network-policy.ts';
import { unknownKind } from './built-in.ts';
import { checkClusterNetworkPolicy, clusterNetworkPolicyOf, clusterNetworkPolicySchema } from './cluster-network-policy.ts';
import type { Manifest } from './metadata.ts';
import { checkNetworkPolicy, networkPolicyOf, networkPolicySchema } from './network-policy.ts';
import { nodeSchema, workloadSchema } from './pod-spec.ts';
import { type FieldProblem, isObject, type Json, type Report, shown } from './problem.ts';
import { check, type ObjectSchema } from './schema.ts';
import { checkNamespace, checkNode, checkWorkload, namespaceLabel, nodeAddressesOf, nodeOf, partyOf, scopeOf, unreadSchema } from './workloads.ts';

/** How one kind is checked and read. */
interface KindOf {
  readonly schema: ObjectSchema;
  readonly check: (manifest: Manifest, report: Report, warn: Report) => void;
  readonly read: (manifest: Manifest) => Partial<Record<'policy', Policy> & Record<'party', Party> & Record<'scope', Scope> & Record<'node', Node>>;
  readonly scoped: 'Namespaced' | 'Cluster';
}

const policyApi = 'policy.networking.k8s.io';
const kinds: Readonly<Record<string, KindOf>> = {
  'networking.k8s.io/v1 NetworkPolicy': { schema: networkPolicySchema, check: checkNetworkPolicy, read: (m) => ({ policy: networkPolicyOf(m) }), scoped: 'Namespaced' },
  [`${policyApi}/v1alpha1 AdminNetworkPolicy`]: { schema: adminNetworkPolicySchema, check: checkAdminNetworkPolicy, read: (m) => ({ policy: adminNetworkPolicyOf(m) }), scoped: 'Cluster' },
  [`${policyApi}/v1alpha1 BaselineAdminNetworkPolicy`]: { schema: baselineAdminNetworkPolicySchema, check: checkBaselineAdminNetworkPolicy, read: (m) => ({ policy: adminNetworkPolicyOf(m) }), scoped: 'Cluster' },
  [`${policyApi}/v1alpha2 ClusterNetworkPolicy`]: { schema: clusterNetworkPolicySchema, check: checkClusterNetworkPolicy, read: (m) => ({ policy: clusterNetworkPolicyOf(m) }), scoped: 'Cluster' },
  'v1 Namespace': { schema: unreadSchema, check: checkNamespace, read: (m) => ({ scope: scopeOf(m) }), scoped: 'Cluster' },
  'v1 Node': { schema: nodeSchema, check: checkNode, read: (m) => ({ node: nodeOf(m) }), scoped: 'Cluster' },
};
const workload: Omit<KindOf, 'schema'> = { check: checkWorkload, read: (m) => ({ party: partyOf(m) }), scoped: 'Namespaced' };
const workloads: ReadonlySet<string> = new Set(['v1 Pod', 'v1 ReplicationController', 'apps/v1 Deployment', 'apps/v1 StatefulSet', 'apps/v1 DaemonSet', 'apps/v1 ReplicaSet', 'batch/v1 Job', 'batch/v1 CronJob']);

function kindOf(apiVersion: string, kind: string): KindOf | undefined {
  if (workloads.has(`${apiVersion} ${kind}`)) return { ...workload, schema: workloadSchema(kind) };
  const key = `${apiVersion} ${kind}`;
  return Object.hasOwn(kinds, key) ? kinds[key] : undefined;
}

/** Kinds that decide about traffic as well: passing over one of them would make every verdict a guess. */
const decidesTraffic = (apiVersion: string, kind: string): boolean =>
  /NetworkPolicy|NetworkSet/i.test(kind) || (/^(crd\.)?projectcalico\.org\/|^cilium\.io\//.test(apiVersion) && /Policy|Tier/.test(kind)) || apiVersion.startsWith(`${policyApi}/`);

/** One object of a manifest: what it is, what is wrong with it. */
export interface Checked { readonly manifest: Manifest; readonly problems: readonly FieldProblem[]; readonly known: boolean }

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The objects in a document: itself, or the items of a list, as a kind or as it is. */
export function objectsIn(value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  if (!isObject(value) || !textOf(value['kind']).endsWith('List') || value['items'] === undefined) return [value];
  if (value['items'] === null) return [];
  if (!Array.isArray(value['items'])) return [value];
  const itemKind = textOf(value['kind']).slice(0, -'List'.length);
  return value['items'].map((item: unknown) => (itemKind === '' || !isObject(item) ? item : { apiVersion: value['apiVersion'], kind: itemKind, ...item }));
}

/** What an API server would say of one object. */
export function checkObject(value: unknown): Checked {
  const object: Json = isObject(value) ? value : {};
  const metadata = isObject(object['metadata']) ? object['metadata'] : {};
  const [apiVersion, kind] = [textOf(object['apiVersion']), textOf(object['kind'])];
  const problems: FieldProblem[] = [];
  const report: Report = (path, reason) => problems.push({ path, reason });
  const of = kindOf(apiVersion, kind);
  const generated = textOf(metadata['name']) === '' && textOf(metadata['generateName']) !== '';
  const name = textOf(metadata[generated ? 'generateName' : 'name']);
  const namespace = of?.scoped === 'Cluster' ? '' : textOf(metadata['namespace']) === '' ? 'default' : textOf(metadata['namespace']);
  const manifest: Manifest = { apiVersion, kind, name, ...(generated ? { generated } : {}), namespace, value: object };
  if (!isObject(value)) report('', `must be an object, not ${shown(value)}`);
  else if (kind === '') report('kind', 'is required');
  else if (apiVersion === '') report('apiVersion', 'is required');
  else if (of !== undefined) {
    check(of.schema, value, '', report);
    of.check(manifest, report, (path, reason) => problems.push({ path, reason, warning: true }));
  } else if (kind.endsWith('List') && Array.isArray(value['items'])) {
    report('kind', `a ${kind} inside of a list is no object; write its items into the list around it`);
  } else {
    const unknown = unknownKind(apiVersion, kind);
    if (unknown !== undefined) report('kind', unknown);
    else if (decidesTraffic(apiVersion, kind)) report('kind', `${kind} of ${apiVersion} decides about traffic and is not understood here; understood are ${Object.keys(kinds).filter((key) => key.endsWith('Policy')).join(', ')}`);
  }
  return { manifest, problems, known: of !== undefined };
}

/** The world of objects that were checked and found good. What stands twice counts as it stands last, as when applied in turn. */
export function worldOf(manifests: readonly Manifest[]): World {
  const last = new Map(manifests.map((m) => [`${m.apiVersion} ${m.kind} ${m.namespace} ${m.name}`, m]));
  const parts = [...last.values()].map((manifest) => ({ manifest, part: kindOf(manifest.apiVersion, manifest.kind)?.read(manifest) ?? {} }));
  const nodes = parts.flatMap(({ part }) => (part.node === undefined ? [] : [part.node]));
  const parties = uniquelyNamed(parts.flatMap(({ manifest, part }) => (part.party === undefined ? [] : [{ kind: manifest.kind, name: manifest.name, party: onNode(part.party, nodeAddressesOf(manifest), nodes) }])));
  const declared = new Map(parts.flatMap(({ part }) => (part.scope === undefined ? [] : [[part.scope.name, part.scope] as const])));
  for (const { scope } of parties) if (!declared.has(scope)) declared.set(scope, { name: scope, tags: { [namespaceLabel]: scope } });
  return {
    scopes: [...declared.values()], parties, nodes,
    policies: parts.flatMap(({ part }) => (part.policy === undefined ? [] : [part.policy])),
  };
}

/** The node is known by its name, or by an address of it. A host-networked pod speaks with the addresses of its node, whether its own status says so or not. */
function onNode(party: Party, addresses: readonly Address[], nodes: readonly Node[]): Party {
  const said = new Set(addresses.map(addressKey));
  const node = nodes.find((one) => (party.node === undefined ? one.addresses.some((address) => said.has(addressKey(address))) : one.name === party.node));
  if (node === undefined) return party;
  return { ...party, node: node.name, ...(party.host === true && party.addresses.length === 0 ? { addresses: node.addresses } : {}) };
}

/** `namespace/name`; where workloads of different kinds share it, `namespace/kind/name` for those that are no pod. */
function uniquelyNamed(found: readonly { readonly kind: string; readonly name: string; readonly party: Party }[]): Party[] {
  const count = new Map<string, number>();
  for (const { party } of found) count.set(party.name, (count.get(party.name) ?? 0) + 1);
  return found.map(({ kind, name, party }) => (count.get(party.name) === 1 || kind === 'Pod' ? party : { ...party, name: `${party.scope}/${kind.toLowerCase()}/${name}` }));
}
