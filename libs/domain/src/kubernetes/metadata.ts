import { checkLabels, dnsLabel, qualifiedName } from './names.ts';
import { isObject, type Json, type Report } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** An object of a manifest. */
export interface Manifest { readonly apiVersion: string; readonly kind: string; readonly namespace: string; readonly name: string; /** The name is a prefix, of which a server makes one that nobody else has. */ readonly generated?: true; readonly value: Json }

/** In UTF-8. */
const bytesIn = (text: string): number => [...text].reduce((sum, character) => sum + (character < '\u0080' ? 1 : character < '\u0800' ? 2 : character.length === 1 ? 3 : 4), 0);
const strings = { type: 'map', values: { type: 'string' } } as const;
const text = { type: 'string' } as const;
const whole = { type: 'integer', min: -(2 ** 63), max: 2 ** 63 } as const;
const flag = { type: 'boolean' } as const;
const time: Schema = { type: 'string', rule: (value) => (isTime(value) ? undefined : `${JSON.stringify(value)} is not a time such as 2026-01-31T09:30:00Z`) };
/** RFC 3339, with what the parser of Go forgives. */
function isTime(value: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)([.,]\d+)?(Z|[+-](\d\d):(\d\d))$/.exec(value);
  if (match === null) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const [zoneHour, zoneMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
  return isDay && hour < 24 && minute < 60 && second < 60 && zoneHour <= 24 && zoneMinute < 60;
}
const atMost = (bytes: number): Extract<Schema, { type: 'string' }> => ({ type: 'string', rule: (value) => (bytesIn(value) > bytes ? `may not be longer than ${bytes} bytes, and has ${bytesIn(value)}` : undefined) });
const printable = (bytes: number): Schema => {
  const short = atMost(bytes);
  return { type: 'string', rule: (value) => (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u.test(value) ? short.rule?.(value) : 'must have only characters that can be printed') };
};
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
        fields: { manager: printable(128), operation: { type: 'string', values: ['Apply', 'Update'] }, apiVersion: text, time, fieldsType: { type: 'string', values: ['', 'FieldsV1'] }, fieldsV1: { type: 'any' }, subresource: atMost(256) },
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
  // What is appended are five letters and digits, so that a prefix may end with what a name may not; a long one is cut.
  const wrongPrefix = generated ? nameRule(prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix) ?? nameRule(`${prefix.slice(0, 58)}abcde`) : undefined;
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
  checkOwners(value['ownerReferences'], report);
  if (isObject(value['labels'])) checkLabels(value['labels'], 'metadata.labels', report);
  if (!isObject(value['annotations'])) return;
  let size = 0;
  for (const [key, item] of Object.entries(value['annotations'])) {
    const wrong = qualifiedName(key.toLowerCase());
    if (wrong !== undefined) report('metadata.annotations', wrong);
    size += bytesIn(key) + (typeof item === 'string' ? bytesIn(item) : 0);
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
function checkOwners(value: unknown, report: Report): void {
  const owners = (Array.isArray(value) ? value : []).map((one) => (isObject(one) ? one : {}));
  owners.forEach(({ apiVersion, kind }, i) => {
    if (typeof apiVersion !== 'string' || apiVersion === '') return;
    if (apiVersion.split('/').length > 2 || apiVersion.endsWith('/')) report(`metadata.ownerReferences[${i}].apiVersion`, `${JSON.stringify(apiVersion)} is not a version; write group/version, or v1`);
    else if (apiVersion === 'v1' && kind === 'Event') report(`metadata.ownerReferences[${i}]`, 'an Event owns nothing');
  });
  if (owners.filter(({ controller }) => controller === true).length > 1) report('metadata.ownerReferences', 'only one of the owners may be the controller');
}
/** Of built-in kinds only: a name of one's own has a prefix. */
function checkStandardFinalizers({ value }: Manifest, report: Report): void {
  const list = isObject(value['metadata']) && Array.isArray(value['metadata']['finalizers']) ? value['metadata']['finalizers'] : [];
  list.forEach((name: unknown, i) => {
    if (typeof name === 'string' && !name.includes('/') && !standardFinalizers.includes(name)) report(`metadata.finalizers[${i}]`, `${JSON.stringify(name)} is no standard finalizer, and has no prefix such as example.com/`);
  });
}

/** The same of a kind that is built in. */
export function checkBuiltInMetadata(...[manifest, scoped, nameRule, report]: Parameters<typeof checkMetadata>): void {
  checkMetadata(manifest, scoped, nameRule, report);
  checkStandardFinalizers(manifest, report);
}

/** Labels as they are, what is not a string left out: it has been reported. */
export function labelsOf(value: unknown): Record<string, string> {
  const labels = isObject(value) && isObject(value['labels']) ? value['labels'] : {};
  return Object.fromEntries(Object.entries(labels).map(([key, item]): [string, string] => [key, typeof item === 'string' ? item : '']));
}
