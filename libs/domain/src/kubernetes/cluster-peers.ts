import { parseBlock } from '../net/address.ts';
import type { Opaque, PartySelector, Peer } from '../rules/model.ts';
import { customSelector, isOpaque, selectorOf } from './label-selector.ts';
import { child, isObject, type Json, shown } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** What the cluster-wide kinds share: whom they select. Limits are those of their definitions, experimental fields among them. */
export const itemsPerPeer = 25;
const cidrLength = 43;
export const nameLength = 100;

/** Conditions are all that the status of these kinds has. An API server drops it from what is applied. */
const any = { type: 'any' } as const;
export const policyStatus: Schema = { type: 'names', fields: { conditions: { type: 'names', fields: { lastTransitionTime: any, message: any, observedGeneration: any, reason: any, status: any, type: any } } } };

export const namespacedPod = (required: readonly string[]): ObjectSchema =>
  ({ type: 'object', required, fields: { namespaceSelector: customSelector, podSelector: customSelector } });
export const subjectSchema = (required: readonly string[]): ObjectSchema =>
  ({ type: 'object', oneOf: true, fields: { namespaces: customSelector, pods: namespacedPod(required) } });

/** As CEL's isCIDR: bits beyond the prefix are allowed, other spellings are not. */
const isCidr = (value: string): string | undefined => {
  const parsed = parseBlock(value);
  return parsed !== undefined && (parsed.oddity === undefined || parsed.oddity === 'host bits') ? undefined : `${shown(value)} must be a CIDR such as 10.0.0.0/8 or fd00::/8`;
};
const networks: Schema = { type: 'array', set: true, minItems: 1, maxItems: itemsPerPeer, items: { type: 'string', maxLength: cidrLength, rule: isCidr } };
const domainNames = (pattern: RegExp): Schema => ({
  type: 'array', set: true, minItems: 1, maxItems: itemsPerPeer,
  items: { type: 'string', rule: (value) => (pattern.test(value) ? undefined : `${shown(value)} must be a domain name such as kubernetes.io or *.kubernetes.io`) },
});

export const ingressPeerSchema = subjectSchema;
/** `domainPattern`: what the definition calls a domain name, of those that know any. */
export const egressPeerSchema = (required: readonly string[], domainPattern: RegExp | undefined): ObjectSchema => ({
  type: 'object', oneOf: true,
  fields: { namespaces: customSelector, pods: namespacedPod(required), nodes: customSelector, networks, ...(domainPattern === undefined ? {} : { domainNames: domainNames(domainPattern) }) },
});

/** No peer of a rule with a port by name may be one that has no named ports. */
export const noNamesOutside = (ports: string, name: string) => (rule: Json): string | undefined => {
  const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
  const has = (of: Json, key: string): boolean => of[key] !== undefined && of[key] !== null;
  const outside = list(rule['to']).some((peer) => has(peer, 'networks') || has(peer, 'nodes') || has(peer, 'domainNames'));
  return outside && list(rule[ports]).some((port) => has(port, name))
    ? `networks, nodes and domainNames have no named ports: a rule with one of them may not use ${name}` : undefined;
};

/** Whom `namespaces` or `pods` select. Namespaces select all their pods. */
export function partiesOf(value: Json, path: string): PartySelector | Opaque {
  const pods = isObject(value['pods']) ? value['pods'] : undefined;
  const scopeTags = pods === undefined ? selectorOf(value['namespaces'], child(path, 'namespaces')) : selectorOf(pods['namespaceSelector'], `${path}.pods.namespaceSelector`);
  const tags = pods === undefined ? [] : selectorOf(pods['podSelector'], `${path}.pods.podSelector`);
  const [read, opaque] = [{ type: 'parties', scopeTags: isOpaque(scopeTags) ? [] : scopeTags, tags: isOpaque(tags) ? [] : tags } as const, [scopeTags, tags].find(isOpaque)];
  return opaque === undefined ? read : { ...opaque, among: read };
}

export function peerOf(value: Json, path: string): Peer[] {
  if (Array.isArray(value['networks'])) {
    return value['networks'].map((network): Peer => {
      const parsed = parseBlock(String(network));
      if (parsed === undefined) throw new Error('a network that was not validated');
      return { type: 'block', block: parsed.block, except: [] };
    });
  }
  if (isObject(value['nodes'])) {
    const tags = selectorOf(value['nodes'], child(path, 'nodes'));
    return [isOpaque(tags) ? { ...tags, among: 'nodes' } : { type: 'nodes', tags }];
  }
  if (Array.isArray(value['domainNames'])) {
    return [{ type: 'opaque', field: child(path, 'domainNames'), among: 'outside', why: 'rules by domain name are not evaluated; ask about a pod instead of an address, or write the rule with networks' }];
  }
  return [partiesOf(value, path)];
}
