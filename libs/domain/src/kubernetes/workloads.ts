import { type Address, parseAddress } from '../net/address.ts';
import type { Node, Party, Scope } from '../rules/model.ts';
import { checkBuiltInMetadata, labelsOf, type Manifest, objectSchema } from './metadata.ts';
import { checkLabels, dnsLabel, dnsSubdomain, portName } from './names.ts';
import { isObject, type Json, type Report, shown } from './problem.ts';

/** Where a workload keeps the template of its pods. A pod is its own. */
const templates: Readonly<Record<string, readonly string[]>> = {
  Pod: [], Deployment: ['spec', 'template'], StatefulSet: ['spec', 'template'], DaemonSet: ['spec', 'template'], ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'], Job: ['spec', 'template'], CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

const at = (value: Json, path: readonly string[]): Json => path.reduce<Json>((of, key) => (isObject(of[key]) ? of[key] : {}), value);
const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
/** Items that are null count as empty ones. */
const items = (value: unknown): Json[] => (Array.isArray(value) ? value.map((item) => (isObject(item) ? item : {})) : []);
const templateOf = (manifest: Manifest): Json => at(manifest.value, templates[manifest.kind] ?? []);

/** Of kinds that are no policy: what is in them is looked into only where a verdict depends on it. */
export const unreadSchema = objectSchema({ spec: { type: 'any' }, status: { type: 'any' } });

/** Containers that listen while the pod runs: an init container only where it keeps running. */
const listening = (spec: Json): Json[] => [...objects(spec['containers']), ...objects(spec['initContainers']).filter((c) => c['restartPolicy'] === 'Always')];

/** Of workloads only what a verdict depends on is checked: metadata, labels of the template, ports, addresses. */
export function checkWorkload(manifest: Manifest, report: Report): void {
  checkBuiltInMetadata(manifest, 'Namespaced', dnsSubdomain, report);
  const path = templates[manifest.kind] ?? [];
  const template = templateOf(manifest);
  if (path.length > 0 && isObject(template['metadata']) && isObject(template['metadata']['labels'])) checkLabels(template['metadata']['labels'], [...path, 'metadata.labels'].join('.'), report);
  checkPodSpec(at(template, ['spec']), [...path, 'spec'].join('.'), report);
  addressTexts(manifest).forEach(([text, field]) => {
    if (parseAddress(text) === undefined) report(field, `${shown(text)} must be an IP address such as 10.9.8.7 or 2001:db8::ffff`);
  });
}

function checkPodSpec(spec: Json, path: string, report: Report): void {
  const node = spec['nodeName'];
  const wrong = typeof node === 'string' && node !== '' ? dnsSubdomain(node) : undefined;
  if (wrong !== undefined) report(`${path}.nodeName`, wrong);
  for (const field of ['containers', 'initContainers']) {
    objects(spec[field]).forEach((container, c) => {
      const at = `${path}.${field}[${c}]`;
      const restart = container['restartPolicy'];
      if (field === 'initContainers' && typeof restart === 'string' && !restartPolicies.includes(restart)) report(`${at}.restartPolicy`, `${shown(restart)} is not supported; supported are ${restartPolicies.map(shown).join(', ')}`);
      checkPorts(items(container['ports']), spec['hostNetwork'] === true, `${at}.ports`, report);
    });
  }
}
const restartPolicies = ['Always', 'Never', 'OnFailure'];

const isPort = (value: number): boolean => value >= 1 && value <= 65535;
function checkPorts(ports: readonly Json[], isHost: boolean, path: string, report: Report): void {
  const names = ports.map(({ name }) => name);
  ports.forEach(({ name, containerPort, hostPort, protocol }, p) => {
    const at = `${path}[${p}]`;
    const wrong = typeof name === 'string' && name !== '' ? portName(name) ?? (names.indexOf(name) < p ? `${shown(name)} is the name of another port of this container` : undefined) : undefined;
    if (wrong !== undefined) report(`${at}.name`, wrong);
    if (containerPort === undefined || containerPort === null) report(`${at}.containerPort`, 'is required');
    else if (typeof containerPort === 'number' && !isPort(containerPort)) report(`${at}.containerPort`, `must be between 1 and 65535, inclusive, and is ${containerPort}`);
    if (typeof hostPort === 'number' && hostPort !== 0) {
      if (!isPort(hostPort)) report(`${at}.hostPort`, `must be between 1 and 65535, inclusive, and is ${hostPort}`);
      else if (isHost && hostPort !== containerPort) report(`${at}.hostPort`, `must be the containerPort where hostNetwork is true, which is ${shown(containerPort)}, and is ${hostPort}`);
    }
    if (typeof protocol === 'string' && protocol !== '' && !['TCP', 'UDP', 'SCTP'].includes(protocol)) report(`${at}.protocol`, `${shown(protocol)} is not supported; supported are "SCTP", "TCP", "UDP"`);
  });
}

function addressTexts({ value }: Pick<Manifest, 'value'>): [string, string][] {
  const status = at(value, ['status']);
  const list = objects(status['podIPs']).flatMap((one, i): [string, string][] => (typeof one['ip'] === 'string' ? [[one['ip'], `status.podIPs[${i}].ip`]] : []));
  return typeof status['podIP'] === 'string' && status['podIP'] !== '' ? [...list, [status['podIP'], 'status.podIP']] : list;
}

function addressesOf(texts: readonly string[]): Address[] {
  const found = texts.map(parseAddress).filter((address) => address !== undefined);
  return found.filter((address, i) => found.findIndex((other) => other.family === address.family) === i);
}

/** Addresses of its node, as the status of a pod says them. */
export function nodeAddressesOf({ value }: Pick<Manifest, 'value'>): Address[] {
  const [status, spec] = [at(value, ['status']), at(value, ['spec'])];
  const hosts = [status['hostIP'], ...objects(status['hostIPs']).map((one) => one['ip']), ...(spec['hostNetwork'] === true ? addressTexts({ value }).map(([text]) => text) : [])];
  return hosts.map((text) => (typeof text === 'string' ? parseAddress(text) : undefined)).filter((address) => address !== undefined);
}

/** A pod, or the one that stands for all replicas of a workload: they are alike to every policy. */
export function partyOf(manifest: Manifest): Party {
  const template = templateOf(manifest);
  const spec = at(template, ['spec']);
  return {
    type: 'party', name: `${manifest.namespace}/${manifest.name}`, scope: manifest.namespace, tags: labelsOf(template['metadata']),
    addresses: manifest.kind === 'Pod' ? addressesOf(addressTexts(manifest).map(([text]) => text)) : [],
    ports: listening(spec).flatMap((container) => objects(container['ports']).flatMap(({ name, protocol, containerPort }) => (typeof containerPort !== 'number' ? [] : [{
      name: typeof name === 'string' ? name : '', protocol: typeof protocol === 'string' && protocol !== '' ? protocol : 'TCP', port: containerPort,
    }]))),
    ...(typeof spec['nodeName'] === 'string' && spec['nodeName'] !== '' ? { node: spec['nodeName'] } : {}),
    ...(spec['hostNetwork'] === true ? { host: true } : {}),
    ...(manifest.kind === 'Pod' && ['Succeeded', 'Failed'].includes(String(at(manifest.value, ['status'])['phase'])) ? { ended: true } : {}),
  };
}

export const checkNamespace = (manifest: Manifest, report: Report): void => checkBuiltInMetadata(manifest, 'Cluster', dnsLabel, report);
/** Every namespace has its name as a label, whatever it was made with. */
export const namespaceLabel = 'kubernetes.io/metadata.name';
export const scopeOf = (manifest: Manifest): Scope => ({ name: manifest.name, tags: { ...labelsOf(manifest.value['metadata']), [namespaceLabel]: manifest.name } });

export const checkNode = (manifest: Manifest, report: Report): void => checkBuiltInMetadata(manifest, 'Cluster', dnsSubdomain, report);
export function nodeOf(manifest: Manifest): Node {
  const texts = objects(at(manifest.value, ['status'])['addresses']).map((one) => (typeof one['address'] === 'string' ? one['address'] : ''));
  return { name: manifest.name, tags: labelsOf(manifest.value['metadata']), addresses: texts.map(parseAddress).filter((address) => address !== undefined) };
}
