import { type Address, parseAddress } from '../net/address.ts';
import type { Node, Party, Scope } from '../rules/model.ts';
import { checkMetadata, labelsOf, type Manifest, metadataSchema, objectSchema } from './metadata.ts';
import { checkLabels, dnsLabel, dnsSubdomain, portName } from './names.ts';
import { isObject, type Json, type Report, shown } from './problem.ts';
import { check } from './schema.ts';

/** Where a workload keeps the template of its pods. A pod is its own. */
const templates: Readonly<Record<string, readonly string[]>> = {
  Pod: [], Deployment: ['spec', 'template'], StatefulSet: ['spec', 'template'], DaemonSet: ['spec', 'template'], ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'], Job: ['spec', 'template'], CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};
export const isWorkload = (kind: string): boolean => Object.hasOwn(templates, kind);

const at = (value: Json, path: readonly string[]): Json => path.reduce<Json>((of, key) => (isObject(of[key]) ? of[key] : {}), value);
const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
const templateOf = (manifest: Manifest): Json => at(manifest.value, templates[manifest.kind] ?? []);

/** Of kinds that are no policy: what is in them is looked into only where a verdict depends on it. */
export const unreadSchema = objectSchema({ spec: { type: 'any' }, status: { type: 'any' } });

/** Containers that listen while the pod runs: an init container only where it keeps running. */
const listening = (spec: Json): Json[] => [...objects(spec['containers']), ...objects(spec['initContainers']).filter((c) => c['restartPolicy'] === 'Always')];

/** Of workloads only what a verdict depends on is checked: metadata, labels of the template, ports, addresses. */
export function checkWorkload(manifest: Manifest, report: Report): void {
  checkMetadata(manifest, 'Namespaced', dnsSubdomain, report);
  const path = [...(templates[manifest.kind] ?? [])];
  const template = templateOf(manifest);
  if (path.length > 0 && template['metadata'] !== undefined && template['metadata'] !== null) {
    const field = [...path, 'metadata'].join('.');
    check(metadataSchema, template['metadata'], field, report);
    if (isObject(template['metadata']) && isObject(template['metadata']['labels'])) checkLabels(template['metadata']['labels'], `${field}.labels`, report);
  }
  objects(at(template, ['spec'])['containers']).forEach((container, c) => objects(container['ports']).forEach((port, p) => {
    const field = [...path, `spec.containers[${c}].ports[${p}]`].join('.');
    const { name, containerPort, protocol } = port;
    const wrong = typeof name === 'string' && name !== '' ? portName(name) : undefined;
    if (wrong !== undefined) report(`${field}.name`, wrong);
    if (typeof containerPort !== 'number' || !Number.isInteger(containerPort) || containerPort < 1 || containerPort > 65535) report(`${field}.containerPort`, `must be between 1 and 65535, inclusive, and is ${shown(containerPort)}`);
    if (typeof protocol === 'string' && !['TCP', 'UDP', 'SCTP'].includes(protocol)) report(`${field}.protocol`, `${shown(protocol)} is not supported; supported are "SCTP", "TCP", "UDP"`);
  }));
  addressTexts(manifest).forEach(([text, field]) => {
    if (parseAddress(text) === undefined) report(field, `${shown(text)} must be an IP address such as 10.9.8.7 or 2001:db8::ffff`);
  });
}

function addressTexts({ value }: Manifest): [string, string][] {
  const status = at(value, ['status']);
  const list = objects(status['podIPs']).flatMap((one, i): [string, string][] => (typeof one['ip'] === 'string' ? [[one['ip'], `status.podIPs[${i}].ip`]] : []));
  return typeof status['podIP'] === 'string' && status['podIP'] !== '' ? [...list, [status['podIP'], 'status.podIP']] : list;
}

function addressesOf(texts: readonly string[]): Address[] {
  const found = texts.map(parseAddress).filter((address) => address !== undefined);
  return found.filter((address, i) => found.findIndex((other) => other.family === address.family) === i);
}

/** A pod, or the one that stands for all replicas of a workload: they are alike to every policy. */
export function partyOf(manifest: Manifest): Party {
  const template = templateOf(manifest);
  const spec = at(template, ['spec']);
  return {
    type: 'party', name: `${manifest.namespace}/${manifest.name}`, scope: manifest.namespace, tags: labelsOf(template['metadata']),
    addresses: manifest.kind === 'Pod' ? addressesOf(addressTexts(manifest).map(([text]) => text)) : [],
    ports: listening(spec).flatMap((container) => objects(container['ports']).flatMap(({ name, protocol, containerPort }) => (typeof containerPort !== 'number' ? [] : [{
      name: typeof name === 'string' ? name : '', protocol: typeof protocol === 'string' ? protocol : 'TCP', port: containerPort,
    }]))),
    ...(typeof spec['nodeName'] === 'string' && spec['nodeName'] !== '' ? { node: spec['nodeName'] } : {}),
    ...(spec['hostNetwork'] === true ? { host: true } : {}),
    ...(manifest.kind === 'Pod' && ['Succeeded', 'Failed'].includes(String(at(manifest.value, ['status'])['phase'])) ? { ended: true } : {}),
  };
}

export const checkNamespace = (manifest: Manifest, report: Report): void => checkMetadata(manifest, 'Cluster', dnsLabel, report);
/** Every namespace has its name as a label, whatever it was made with. */
export const namespaceLabel = 'kubernetes.io/metadata.name';
export const scopeOf = (manifest: Manifest): Scope => ({ name: manifest.name, tags: { ...labelsOf(manifest.value['metadata']), [namespaceLabel]: manifest.name } });

export const checkNode = (manifest: Manifest, report: Report): void => checkMetadata(manifest, 'Cluster', dnsSubdomain, report);
export function nodeOf(manifest: Manifest): Node {
  const texts = objects(at(manifest.value, ['status'])['addresses']).map((one) => (typeof one['address'] === 'string' ? one['address'] : ''));
  return { name: manifest.name, tags: labelsOf(manifest.value['metadata']), addresses: texts.map(parseAddress).filter((address) => address !== undefined) };
}
