import type { Spec } from '@osier/contracts/kinds';
import type { Selector } from '@osier/contracts/names';
import { addressText, parseBlock } from '@osier/domain/net/address';
import type { AppPolicy } from './application.ts';
import { asList, asMap, asText, dig, ManifestError, type ManifestObject, textMap } from './manifests.ts';
import { protocolOf } from './workloads.ts';

type PolicySpec = Spec<'policy'>;
type Ports = NonNullable<NonNullable<PolicySpec['ingress']>[number]['ports']>;
/** A rule without its direction's word for the peers. */
interface Rule { readonly action: 'Allow'; readonly peers?: Peer[]; readonly ports?: Ports }
type Peer = { endpoints: Selector } | { cidr: string; except?: string[] };
type Direction = 'ingress' | 'egress';

/**
 * NetworkPolicy (networking.k8s.io/v1) → a security policy that isolates the directions of `policyTypes` and allows what its rules name.
 * `policyTypes` left out means Ingress, and Egress too where there are egress rules.
 */
export function policyOf(object: ManifestObject): AppPolicy {
  const spec = asMap(object.value.spec) ?? {};
  const appliesTo = selectorOf(object, 'spec.podSelector', spec.podSelector);
  const isolates = directionsOf(object, spec);
  const rules = (direction: Direction): Rule[] => asList(spec[direction]).map((rule, index) => ruleOf(object, `spec.${direction}[${index}]`, asMap(rule) ?? {}, direction === 'ingress' ? 'from' : 'to'));
  const ingress = isolates.includes('ingress') ? rules('ingress') : [];
  const egress = isolates.includes('egress') ? rules('egress') : [];
  return {
    name: object.name,
    spec: {
      appliesTo, priority: 1000, isolates,
      ...(ingress.length > 0 ? { ingress: ingress.map(({ peers, ...rule }) => ({ ...rule, ...(peers === undefined ? {} : { from: peers }) })) } : {}),
      ...(egress.length > 0 ? { egress: egress.map(({ peers, ...rule }) => ({ ...rule, ...(peers === undefined ? {} : { to: peers }) })) } : {}),
    },
  };
}

function directionsOf(object: ManifestObject, spec: Readonly<Record<string, unknown>>): Direction[] {
  const types = asList(spec.policyTypes);
  if (types.length === 0) return asList(spec.egress).length > 0 ? ['ingress', 'egress'] : ['ingress'];
  return types.map((type, index) => {
    if (type === 'Ingress') return 'ingress';
    if (type === 'Egress') return 'egress';
    throw new ManifestError(object, `spec.policyTypes[${index}]`, `"${String(type)}" is neither Ingress nor Egress`, 'Use Ingress, Egress or both.');
  });
}

function ruleOf(object: ManifestObject, field: string, rule: Readonly<Record<string, unknown>>, word: 'from' | 'to'): Rule {
  const [peers, ports] = [asList(rule[word]), asList(rule.ports)];
  return {
    action: 'Allow',
    ...(peers.length === 0 ? {} : { peers: peers.map((peer, index) => peerOf(object, `${field}.${word}[${index}]`, peer)) }),
    ...(ports.length === 0 ? {} : { ports: ports.map((port, index) => portOf(object, `${field}.ports[${index}]`, asMap(port) ?? {})) }),
  };
}

function peerOf(object: ManifestObject, field: string, value: unknown): Peer {
  const peer = asMap(value) ?? {};
  if (peer.ipBlock !== undefined) {
    const except = asList(dig(peer.ipBlock, 'except')).map((one, index) => blockOf(object, `${field}.ipBlock.except[${index}]`, one));
    return { cidr: blockOf(object, `${field}.ipBlock.cidr`, dig(peer.ipBlock, 'cidr')), ...(except.length === 0 ? {} : { except }) };
  }
  if (peer.namespaceSelector !== undefined) throw new ManifestError(object, `${field}.namespaceSelector`, 'peers of other namespaces are not carried yet', 'Select peers of the same namespace (podSelector).');
  if (peer.podSelector === undefined) throw new ManifestError(object, field, 'the peer has no podSelector', 'Select the peers by their labels.');
  return { endpoints: selectorOf(object, `${field}.podSelector`, peer.podSelector) };
}

function blockOf(object: ManifestObject, field: string, value: unknown): string {
  const block = typeof value === 'string' ? parseBlock(value)?.block : undefined;
  if (block === undefined) throw new ManifestError(object, field, `${JSON.stringify(value)} is no CIDR`, 'Write it as 10.0.0.0/24.');
  if (block.family === 6) throw new ManifestError(object, field, 'IPv6 is not carried yet', 'Leave the block out.');
  return `${addressText(block)}/${block.length}`;
}

function portOf(object: ManifestObject, field: string, port: Readonly<Record<string, unknown>>): Ports[number] {
  const protocol = protocolOf(object, `${field}.protocol`, port.protocol);
  if (port.port === undefined) return { protocol };
  if (typeof port.port === 'string') return { protocol, portName: port.port };
  if (typeof port.port !== 'number') throw new ManifestError(object, `${field}.port`, `${JSON.stringify(port.port)} is no port`, 'Give its number or its name.');
  return typeof port.endPort === 'number' ? { protocol, port: port.port, endPort: port.endPort } : { protocol, port: port.port };
}

function selectorOf(object: ManifestObject, field: string, value: unknown): Selector {
  const matchTags = textMap(dig(value, 'matchLabels'));
  const expressions = asList(dig(value, 'matchExpressions')).map((entry, index) => expressionOf(object, `${field}.matchExpressions[${index}]`, asMap(entry) ?? {}));
  return { ...(Object.keys(matchTags).length > 0 ? { matchTags } : {}), ...(expressions.length > 0 ? { matchExpressions: expressions } : {}) };
}

function expressionOf(object: ManifestObject, field: string, entry: Readonly<Record<string, unknown>>): NonNullable<Selector['matchExpressions']>[number] {
  const [key, operator] = [asText(entry.key), entry.operator];
  if (key === undefined) throw new ManifestError(object, `${field}.key`, 'is missing', 'Give the key of a label.');
  if (operator === 'In' || operator === 'NotIn') return { key, operator, values: asList(entry.values).map(String) };
  if (operator === 'Exists' || operator === 'DoesNotExist') return { key, operator };
  throw new ManifestError(object, `${field}.operator`, `"${String(operator)}" is not an operator`, 'Use In, NotIn, Exists or DoesNotExist.');
}
