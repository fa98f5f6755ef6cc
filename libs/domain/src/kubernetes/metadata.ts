import { checkLabels, dnsLabel, qualifiedName } from './names.ts';
import { isObject, type Json, type Report } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** An object of a manifest. */
export interface Manifest { readonly apiVersion: string; readonly kind: string; readonly namespace: string; readonly name: string; readonly value: Json }

const strings = { type: 'map', values: { type: 'string' } } as const;
const text = { type: 'string' } as const;
const whole = { type: 'integer', min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER } as const;
const flag = { type: 'boolean' } as const;
const time: Schema = { type: 'string', rule: (value) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value) ? undefined : `${JSON.stringify(value)} is not a time such as 2026-01-31T09:30:00Z`) };
const present: Schema = { type: 'string', rule: (value) => (value === '' ? 'must not be empty' : undefined) };
/** What metadata may hold, of an object and of a template. */
export const metadataSchema: ObjectSchema = {
  type: 'object',
  fields: {
    name: text, generateName: text, namespace: text, labels: strings, annotations: strings, uid: text, resourceVersion: text, selfLink: text,
    generation: { ...whole, min: 0 }, creationTimestamp: time, deletionTimestamp: time, deletionGracePeriodSeconds: whole,
    ownerReferences: { type: 'array', items: { type: 'object', required: ['apiVersion', 'kind', 'name', 'uid'], fields: { apiVersion: present, kind: present, name: present, uid: present, controller: flag, blockOwnerDeletion: flag } } },
    finalizers: { type: 'array', nullIsEmpty: true, items: text },
    managedFields: {
      type: 'array', items: {
        type: 'object', required: ['operation'],
        fields: { manager: text, operation: { type: 'string', values: ['Apply', 'Update'] }, apiVersion: text, time, fieldsType: text, fieldsV1: { type: 'any' }, subresource: text },
      },
    },
  },
};
const annotationsSize = 256 * 1024;

/** The form of a whole object: metadata is the same for all kinds. */
export const objectSchema = (fields: ObjectSchema['fields'], required: readonly string[] = []): ObjectSchema =>
  ({ type: 'object', fields: { apiVersion: text, kind: text, metadata: metadataSchema, ...fields }, required });

/** What is wrong with the name, the namespace, labels and annotations. `nameRule`: what the kind calls a valid name. */
export function checkMetadata(manifest: Manifest, scoped: 'Namespaced' | 'Cluster', nameRule: (name: string) => string | undefined, report: Report): void {
  const value = isObject(manifest.value['metadata']) ? manifest.value['metadata'] : {};
  const prefix = typeof value['generateName'] === 'string' ? value['generateName'] : '';
  const generated = prefix !== '';
  // What is appended begins with a letter or digit, so that a prefix may end with what a name may not.
  const wrongPrefix = generated ? nameRule(prefix.replace(/-$/, 'a')) : undefined;
  if (wrongPrefix !== undefined) report('metadata.generateName', wrongPrefix);
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
  checkFinalizers(value['finalizers'], report);
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

const standardFinalizers = ['foregroundDeletion', 'orphan', 'kubernetes'];
function checkFinalizers(value: unknown, report: Report): void {
  const names = (Array.isArray(value) ? value : []).map((name) => (typeof name === 'string' ? name : ''));
  for (const name of names) {
    const wrong = qualifiedName(name);
    if (wrong !== undefined) report('metadata.finalizers', wrong);
  }
  if (names.includes('orphan') && names.includes('foregroundDeletion')) report('metadata.finalizers', 'orphan and foregroundDeletion exclude each other');
}
/** Of built-in kinds only: a name of one's own has a prefix. */
export function checkStandardFinalizers({ value }: Manifest, report: Report): void {
  const list = isObject(value['metadata']) && Array.isArray(value['metadata']['finalizers']) ? value['metadata']['finalizers'] : [];
  list.forEach((name: unknown, i) => {
    if (typeof name === 'string' && !name.includes('/') && !standardFinalizers.includes(name)) report(`metadata.finalizers[${i}]`, `${JSON.stringify(name)} is no standard finalizer, and has no prefix such as example.com/`);
  });
}

/** Labels as they are, what is not a string left out: it has been reported. */
export function labelsOf(value: unknown): Record<string, string> {
  const labels = isObject(value) && isObject(value['labels']) ? value['labels'] : {};
  return Object.fromEntries(Object.entries(labels).map(([key, item]): [string, string] => [key, typeof item === 'string' ? item : '']));
}
