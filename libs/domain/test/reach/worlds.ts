import type { Random } from './random.ts';
import type { Asked } from './oracle.ts';

/** Random clusters: small pools of labels, addresses and ports, so that rules meet what they are about, and their borders. */
export interface Obj { apiVersion: string; kind: string; metadata: { name: string; namespace?: string; labels?: Record<string, string> }; spec?: unknown; status?: unknown }

const keys = ['app', 'env', 'tier', 'example.com/team', 'constructor'];
const values = ['a', 'b', 'c', ''];
export const namespaces = ['x', 'y', 'z', 'shop'];
const portNames = ['http', 'dns', 'db'];
const portNumbers = [53, 79, 80, 81, 443, 5432];
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const nodeNames = ['node-1', 'node-2'];
const blocks4 = ['0.0.0.0/0', '10.0.0.0/8', '10.0.1.0/24', '10.0.1.0/28', '10.0.1.8/31', '10.0.1.3/32', '192.0.2.0/24', '128.0.0.0/1', '10.0.1.77/25'];
/** Spellings that an API server takes from a NetworkPolicy, and no other. */
const oddBlocks = ['010.0.01.0/024', '::ffff:10.0.1.0/120', '::FFFF:10.0.1.8/127', 'fd00:0000:0:0001::9/0126', '::ffff:0:0/95'];
const blocks6 = ['::/0', 'fd00::/8', 'fd00:0:0:1::/64', 'fd00:0:0:1::/124', 'fd00:0:0:1::8/127', 'fd00:0:0:1::3/128', '2001:db8::/32', '8000::/1', '2001:DB8:0:0::/63'];
const excepts: Record<string, string[]> = {
  '0.0.0.0/0': ['10.0.0.0/8', '10.0.1.4/30', '192.0.2.128/25'], '10.0.0.0/8': ['10.0.1.0/28', '10.0.1.3/32'], '10.0.1.0/24': ['10.0.1.0/25', '10.0.1.9/32'],
  '::/0': ['fd00::/8', 'fd00:0:0:1::4/126'], 'fd00::/8': ['fd00:0:0:1::/124'], 'fd00:0:0:1::/64': ['fd00:0:0:1::/65', 'fd00:0:0:1::9/128'],
};
const outside = ['192.0.2.1', '192.0.2.128', '10.0.1.15', '10.0.1.16', '10.0.2.0', '127.255.255.255', '128.0.0.0', '203.0.113.9', '2001:db8::1', '2001:db8:0:1::5', 'fd00::1', '7fff::1', '9000::1', 'fd00:0:0:2::1'];

const labels = (r: Random): Record<string, string> => Object.fromEntries(r.some(keys, 40).map((key) => [key, r.pick(values)]));

function selector(r: Random, namespaced = false): object {
  if (r.chance(20)) return {};
  if (namespaced && r.chance(25)) return { matchLabels: { 'kubernetes.io/metadata.name': r.pick(namespaces) } };
  const expression = (): object => {
    const operator = r.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
    return { key: r.pick(keys), operator, ...(operator.endsWith('In') ? { values: [r.pick(values), ...r.some(values, 30)] } : r.chance(30) ? { values: [] } : {}) };
  };
  const made: Record<string, unknown> = {};
  if (r.chance(55)) made['matchLabels'] = Object.fromEntries([r.pick(keys), ...r.some(keys, 10)].map((key) => [key, r.pick(values)]));
  if (r.chance(55)) made['matchExpressions'] = Array.from({ length: 1 + r.int(2) }, expression);
  return made;
}

export function namespace(r: Random, name: string): Obj {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...(r.chance(80) ? { labels: labels(r) } : {}) } };
}

export function node(r: Random, name: string, i: number): Obj {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: labels(r) }, status: { addresses: [{ type: 'Hostname', address: name }, { type: 'InternalIP', address: `10.0.1.${200 + i}` }, { type: 'InternalIP', address: `fd00:0:0:1::${(200 + i).toString(16)}` }] } };
}

export function pod(r: Random, name: string, ns: string, i: number): Obj {
  const containers = [{ name: 'c', ...(r.chance(85) ? { ports: r.some(portNames, 60).map((port) => ({ name: port, containerPort: r.pick(portNumbers), ...(r.chance(50) ? { protocol: r.pick(protocols) } : {}) })) } : {}) }];
  const spec = { containers, ...(r.chance(40) ? { nodeName: r.pick(nodeNames) } : {}) };
  const metadata = { name, namespace: ns, ...(r.chance(90) ? { labels: labels(r) } : {}) };
  if (r.chance(10)) {
    const kind = r.pick(['Deployment', 'StatefulSet', 'DaemonSet']);
    return { apiVersion: 'apps/v1', kind, metadata: { name, namespace: ns, labels: labels(r) }, spec: { template: { metadata: { labels: labels(r) }, spec } } };
  }
  if (r.chance(7)) {
    const on = r.int(nodeNames.length);
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, hostNetwork: true, nodeName: nodeNames[on] }, status: { podIP: `10.0.1.${200 + on}`, podIPs: [{ ip: `10.0.1.${200 + on}` }, { ip: `fd00:0:0:1::${(200 + on).toString(16)}` }] } };
  }
  const ips = [`10.0.1.${i}`, `fd00:0:0:1::${i.toString(16)}`].filter(() => r.chance(80));
  const status = ips.length === 0 ? {} : { status: { podIP: ips[0], ...(ips.length > 1 || r.chance(60) ? { podIPs: ips.map((ip) => ({ ip })) } : {}) } };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec, ...status };
}

const list = <T>(r: Random, most: number, make: () => T): T[] => Array.from({ length: r.int(most + 1) }, make);

export function networkPolicy(r: Random, name: string): Obj {
  const port = (): object => {
    const of = r.chance(70) ? { protocol: r.pick(protocols) } : {};
    if (r.chance(15)) return of;
    if (r.chance(30)) return { ...of, port: r.pick(portNames) };
    const first = r.pick(portNumbers);
    return { ...of, port: first, ...(r.chance(30) ? { endPort: first + r.int(3) } : {}) };
  };
  const peer = (): object => {
    if (r.chance(35)) {
      const cidr = r.pick(r.chance(10) ? oddBlocks : r.chance(50) ? blocks4 : blocks6);
      return { ipBlock: { cidr, ...(excepts[cidr] !== undefined && r.chance(60) ? { except: r.some(excepts[cidr], 60) } : {}) } };
    }
    const shape = r.int(3);
    return { ...(shape !== 1 ? { podSelector: selector(r) } : {}), ...(shape !== 0 ? { namespaceSelector: selector(r, true) } : {}) };
  };
  const rule = (side: string): object | null => (r.chance(3) ? null : { ...(r.chance(75) ? { [side]: list(r, 3, peer) } : {}), ...(r.chance(65) ? { ports: list(r, 3, port) } : {}) });
  const types = r.pick([undefined, undefined, [], ['Ingress'], ['Egress'], ['Ingress', 'Egress'], ['Egress', 'Ingress'], ['Ingress', 'Ingress']]);
  return {
    apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace: r.pick(namespaces) },
    spec: {
      podSelector: selector(r), ...(types === undefined ? {} : { policyTypes: types }),
      ...(r.chance(70) ? { ingress: list(r, 3, () => rule('from')) } : {}), ...(r.chance(45) ? { egress: list(r, 3, () => rule('to')) } : {}),
    },
  };
}

function clusterPeer(r: Random, way: 'ingress' | 'egress'): { named: boolean; peer: object } {
  if (way === 'egress' && r.chance(30)) return { named: false, peer: { networks: [...new Set([r.pick(blocks4), r.pick(blocks6), ...r.some(blocks4, 10)])] } };
  if (way === 'egress' && r.chance(15)) return { named: false, peer: { nodes: selector(r) } };
  return { named: true, peer: r.chance(50) ? { namespaces: selector(r, true) } : { pods: { namespaceSelector: selector(r, true), podSelector: selector(r) } } };
}
const subject = (r: Random): object => (r.chance(50) ? { namespaces: selector(r, true) } : { pods: { namespaceSelector: selector(r, true), podSelector: selector(r) } });

function clusterRules(r: Random, way: 'ingress' | 'egress', actions: readonly string[], portList: (named: boolean) => object): object[] {
  return list(r, 4, () => {
    const peers = Array.from({ length: 1 + r.int(2) }, () => clusterPeer(r, way));
    return { action: r.pick(actions), ...(r.chance(50) ? { name: r.pick(['one', 'two', 'a rule']) } : {}), [way === 'ingress' ? 'from' : 'to']: peers.map(({ peer }) => peer), ...(r.chance(60) ? portList(peers.every(({ named }) => named)) : {}) };
  });
}
const clusterSpec = (r: Random, actions: readonly string[], portList: (named: boolean) => object): object => ({
  subject: subject(r), ...(r.chance(75) ? { ingress: clusterRules(r, 'ingress', actions, portList) } : {}), ...(r.chance(60) ? { egress: clusterRules(r, 'egress', actions, portList) } : {}),
});

export function adminPolicy(r: Random, name: string, baseline: boolean): Obj {
  const port = (named: boolean): object => {
    if (named && r.chance(30)) return { namedPort: r.pick(portNames) };
    const of = r.chance(70) ? { protocol: r.pick(protocols) } : {};
    const first = r.pick(portNumbers);
    return r.chance(60) ? { portNumber: { ...of, port: first } } : { portRange: { ...of, start: first, end: first + r.int(3) } };
  };
  const spec = clusterSpec(r, baseline ? ['Allow', 'Deny'] : ['Allow', 'Deny', 'Pass'], (named) => ({ ports: Array.from({ length: 1 + r.int(2) }, () => port(named)) }));
  return { apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: baseline ? 'BaselineAdminNetworkPolicy' : 'AdminNetworkPolicy', metadata: { name: baseline ? 'default' : name }, spec: { ...spec, ...(baseline ? {} : { priority: r.int(4) * 100 }) } };
}

export function clusterPolicy(r: Random, name: string): Obj {
  const protocol = (named: boolean): object => {
    if (named && r.chance(30)) return { destinationNamedPort: r.pick(portNames) };
    const first = r.pick(portNumbers);
    return { [r.pick(protocols).toLowerCase()]: { destinationPort: r.chance(60) ? { number: first } : { range: { start: first, end: first + 1 + r.int(3) } } } };
  };
  const spec = clusterSpec(r, ['Accept', 'Deny', 'Pass'], (named) => ({ protocols: Array.from({ length: 1 + r.int(2) }, () => protocol(named)) }));
  return { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', metadata: { name }, spec: { ...spec, tier: r.pick(['Admin', 'Baseline']), priority: r.int(4) * 100 } };
}

export function policy(r: Random, name: string): Obj {
  const die = r.int(100);
  return die < 50 ? networkPolicy(r, name) : die < 66 ? adminPolicy(r, name, false) : die < 80 ? adminPolicy(r, name, true) : clusterPolicy(r, name);
}

export function cluster(r: Random): Obj[] {
  const objects: Obj[] = [...namespaces.filter(() => r.chance(75)).map((name) => namespace(r, name)), ...nodeNames.filter(() => r.chance(80)).map((name, i) => node(r, name, i))];
  const pods = 4 + r.int(8);
  for (let i = 1; i <= pods; i++) objects.push(pod(r, `p${i}`, r.pick(namespaces), i));
  const policies = r.int(9);
  const made = Array.from({ length: policies }, (_, i) => policy(r, `policy-${i}`));
  return [...objects, ...made.filter((one, i) => one.metadata.name !== 'default' || made.findIndex((other) => other.metadata.name === 'default') === i)];
}

const isParty = ({ kind }: Obj): boolean => ['Pod', 'Deployment', 'StatefulSet', 'DaemonSet'].includes(kind);
export const parties = (objects: readonly Obj[]): string[] => objects.filter(isParty).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

export function probe(r: Random, objects: readonly Obj[]): Asked {
  const names = parties(objects);
  const ips = [...outside, '10.0.1.3', '10.0.1.200', 'fd00:0:0:1::4', 'fd00:0:0:1::c8'];
  const side = (): string => (names.length > 0 && r.chance(80) ? r.pick(names) : `ip:${r.pick(ips)}`);
  const [from, to] = [side(), side()];
  const addressed = [from, to].find((text) => text.startsWith('ip:'));
  const both = from.startsWith('ip:') && to.startsWith('ip:');
  const asked: Asked = { from, to: both && from.includes(':', 3) !== to.includes(':', 3) ? from : to, protocol: r.pick(protocols), port: r.pick([...portNumbers, 82, 444, 1]) };
  return addressed === undefined && r.chance(40) ? { ...asked, family: r.pick([4, 6] as const) } : asked;
}

export interface Change { readonly what: string; readonly before: Obj[]; readonly after: Obj[] }

/** One thing that happens to a cluster: labels change, something goes, something comes, a policy becomes another. */
export function change(r: Random, objects: readonly Obj[], step: number): Change {
  const before = [...objects];
  const at = r.int(Math.max(1, before.length));
  const target = before[at];
  const replaced = (what: string, by: Obj): Change => ({ what, before, after: before.map((one, i) => (i === at ? by : one)) });
  if (target !== undefined && r.chance(25)) return { what: `delete ${target.kind} ${target.metadata.name}`, before, after: before.filter((_, i) => i !== at) };
  if (target !== undefined && r.chance(50)) {
    if (target.kind === 'Pod' || target.kind === 'Namespace' || target.kind === 'Node') return replaced(`label ${target.kind} ${target.metadata.name}`, { ...target, metadata: { ...target.metadata, labels: labels(r) } });
    if (target.kind.endsWith('Policy')) {
      const other = target.kind === 'NetworkPolicy' ? networkPolicy(r, target.metadata.name) : target.kind === 'ClusterNetworkPolicy' ? clusterPolicy(r, target.metadata.name) : adminPolicy(r, target.metadata.name, target.kind.startsWith('Baseline'));
      return replaced(`change ${target.kind} ${target.metadata.name}`, other);
    }
  }
  const made = r.chance(50) ? pod(r, `new-${step}`, r.pick(namespaces), 30 + step) : policy(r, `new-${step}`);
  const after = before.filter((one) => one.kind !== made.kind || one.metadata.name !== made.metadata.name);
  return { what: `add ${made.kind} ${made.metadata.name}`, before, after: [...after, made] };
}
