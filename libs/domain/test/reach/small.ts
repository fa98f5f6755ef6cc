import { checkObject, worldOf } from '../../src/kubernetes/cluster.ts';
import { type IndexedWorld, indexWorld } from '../../src/rules/index-world.ts';

/** Small clusters for tables: what a case is about stands in it, and nothing else. */
export type Manifest = Record<string, unknown>;
export interface PodOptions { labels?: Record<string, string>; ips?: string[]; node?: string; host?: boolean; ports?: Manifest[] }

/** `shop/web`, labelled app: web unless it says otherwise. */
export function pod(path: string, { labels, ips = [], node, host, ports = [] }: PodOptions = {}): Manifest {
  const [namespace, name = ''] = path.split('/');
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels: labels ?? { app: name.replace(/-\d+$/, '') } },
    spec: { containers: [{ name: 'c', ports }], ...(node === undefined ? {} : { nodeName: node }), ...(host === true ? { hostNetwork: true } : {}) },
    ...(ips.length === 0 ? {} : { status: { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } }),
  };
}
export const node = (name: string, ...ips: string[]): Manifest => ({ apiVersion: 'v1', kind: 'Node', metadata: { name }, status: { addresses: ips.map((address) => ({ type: 'InternalIP', address })) } });
export function netpol(path: string, podSelector: Manifest, spec: Manifest): Manifest {
  const [namespace, name] = path.split('/');
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name }, spec: { podSelector, ...spec } };
}
export const admin = (name: string, priority: number, spec: Manifest): Manifest => ({ apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: 'AdminNetworkPolicy', metadata: { name }, spec: { priority, subject: { namespaces: {} }, ...spec } });
export const app = (...names: string[]): Manifest => (names.length === 1 ? { matchLabels: { app: names[0] } } : { matchExpressions: [{ key: 'app', operator: 'In', values: names }] });

export function worldIn(...objects: Manifest[]): IndexedWorld {
  const checked = objects.map(checkObject);
  const problems = checked.flatMap(({ manifest, problems: found }) => found.filter(({ warning }) => warning !== true).map(({ path, reason }) => `${manifest.kind} ${manifest.name} ${path} ${reason}`));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return indexWorld(worldOf(checked.map(({ manifest }) => manifest)));
}
