import { checkLabels, dnsLabel, qualifiedName } from './names.ts';
import { isObject, type Json, type Report } from './problem.ts';
import type { ObjectSchema } from './schema.ts';

/** An object of a manifest. */
export interface Manifest { readonly apiVersion: string; readonly kind: string; readonly namespace: string; readonly name: string; readonly value: Json }

const strings = { type: 'map', values: { type: 'string' } } as const;
const text = { type: 'string' } as const;
const metadata: ObjectSchema = {
  type: 'object',
  fields: {
    name: text, generateName: text, namespace: text, labels: strings, annotations: strings, uid: text, resourceVersion: text, selfLink: text,
    generation: { type: 'any' }, creationTimestamp: { type: 'any' }, deletionTimestamp: { type: 'any' }, deletionGracePeriodSeconds: { type: 'any' },
    ownerReferences: { type: 'any' }, finalizers: { type: 'array', items: text }, managedFields: { type: 'any' },
  },
};
const annotationsSize = 256 * 1024;

/** The form of a whole object: metadata is the same for all kinds. */
export const objectSchema = (fields: ObjectSchema['fields'], required: readonly string[] = []): ObjectSchema =>
  ({ type: 'object', fields: { apiVersion: text, kind: text, metadata, ...fields }, required });

/** What is wrong with the name, the namespace, labels and annotations. `nameRule`: what the kind calls a valid name. */
export function checkMetadata(manifest: Manifest, scoped: 'Namespaced' | 'Cluster', nameRule: (name: string) => string | undefined, report: Report): void {
  const value = isObject(manifest.value['metadata']) ? manifest.value['metadata'] : {};
  const generated = typeof value['generateName'] === 'string' && value['generateName'] !== '';
  if (value['name'] === undefined || value['name'] === null || value['name'] === '') {
    if (!generated) report('metadata.name', 'is required');
  } else if (typeof value['name'] === 'string') {
    const wrong = nameRule(value['name']);
    if (wrong !== undefined) report('metadata.name', wrong);
  }
  if (scoped === 'Namespaced' && typeof value['namespace'] === 'string' && value['namespace'] !== '') {
    const wrong = dnsLabel(value['namespace']);
    if (wrong !== undefined) report('metadata.namespace', wrong);
  }
  if (isObject(value['labels'])) checkLabels(value['labels'], 'metadata.labels', report);
  if (!isObject(value['annotations'])) return;
  let size = 0;
  for (const [key, item] of Object.entries(value['annotations'])) {
    const wrong = qualifiedName(key.toLowerCase());
    if (wrong !== undefined) report('metadata.annotations', wrong);
    size += key.length + (typeof item === 'string' ? item.length : 0);
  }
  if (size > annotationsSize) report('metadata.annotations', `may not be larger than ${annotationsSize} bytes together`);
}

/** Labels as they are, what is not a string left out: it has been reported. */
export function labelsOf(value: unknown): Record<string, string> {
  const labels = isObject(value) && isObject(value['labels']) ? value['labels'] : {};
  return Object.fromEntries(Object.entries(labels).map(([key, item]): [string, string] => [key, typeof item === 'string' ? item : '']));
}
