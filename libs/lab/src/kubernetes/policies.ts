import type { Spec } from '@osier/contracts/kinds';
import type { Selector } from '@osier/contracts/names';
import { type AppPolicy, type AppWorkload, selects } from './application.ts';
import { asList, asMap, asText, dig, ManifestError, type ManifestObject, textMap } from './manifests.ts';
import { protocolOf } from './workloads.ts';

type PolicySpec = Spec<'policy'>;
type Ports = NonNullable<NonNullable<PolicySpec['ingress']>[number]['ports']>;
/** A rule without its direction's word for the peers. */
interface Rule { readonly action: 'Allow'; readonly peers?: { endpoints: Selector }[]; readonly ports?: Ports }
type Direction = 'ingress' | 'egress';

/**
 * NetworkPolicy (networking.k8s.io/v1) → a security policy that isolates the directions of `policyTypes` and allows what its rules name.
 * `policyTypes` left out means Ingress, and Egress too where there are egress rules.
 */
export function policyOf(object: ManifestObject, workloads: readonly AppWorkload[]): AppPolicy {
  const spec = asMap(object.value.spec) ?? {};
  const appliesTo = selectorOf(object, 'spec.podSelector', spec.podSelector);
  const isolates = directionsOf(object, spec);
  const subjects = workloads.filter((w) => selects(appliesTo, w.tags));
  const rules = (direction: Direction): Rule[] => asList(spec[direction]).flatMap((rule, index) =>
    ruleOf(object, `spec.${direction}[${index}]`, asMap(rule) ?? {}, direction === 'ingress' ? 'from' : 'to', (peers) => (direction === 'ingress' ? subjects : targets(peers, workloads))));
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

const targets = (peers: { endpoints: Selector }[] | undefined, workloads: readonly AppWorkload[]): readonly AppWorkload[] =>
  peers === undefined ? workloads : workloads.filter((w) => peers.some((peer) => selects(peer.endpoints, w.tags)));

/** Not one rule but none, where its named ports exist nowhere: a list of ports that is left empty would allow every port. */
function ruleOf(object: ManifestObject, field: string, rule: Readonly<Record<string, unknown>>, word: 'from' | 'to', listeners: (peers: { endpoints: Selector }[] | undefined) => readonly AppWorkload[]): Rule[] {
  const peerList = asList(rule[word]);
  const peers = peerList.length === 0 ? undefined : peerList.map((peer, index) => peerOf(object, `${field}.${word}[${index}]`, peer));
  const portList = asList(rule.ports);
  if (portList.length === 0) return [{ action: 'Allow', ...(peers === undefined ? {} : { peers }) }];
  const ports = portList.flatMap((port, index) => portsOf(object, `${field}.ports[${index}]`, asMap(port) ?? {}, listeners(peers)));
  return ports.length === 0 ? [] : [{ action: 'Allow', ...(peers === undefined ? {} : { peers }), ports }];
}

function peerOf(object: ManifestObject, field: string, value: unknown): { endpoints: Selector } {
  const peer = asMap(value) ?? {};
  if (peer.ipBlock !== undefined) throw new ManifestError(object, `${field}.ipBlock`, 'peers given by address are not carried yet', 'Select the peers by their labels (podSelector).');
  if (peer.namespaceSelector !== undefined) throw new ManifestError(object, `${field}.namespaceSelector`, 'peers of other namespaces are not carried yet', 'Select peers of the same namespace (podSelector).');
  if (peer.podSelector === undefined) throw new ManifestError(object, field, 'the peer has no podSelector', 'Select the peers by their labels.');
  return { endpoints: selectorOf(object, `${field}.podSelector`, peer.podSelector) };
}

/** A named port means whichever number the listening pods give it, each its own; so it may be several. */
function portsOf(object: ManifestObject, field: string, port: Readonly<Record<string, unknown>>, listeners: readonly AppWorkload[]): Ports {
  const protocol = protocolOf(object, `${field}.protocol`, port.protocol);
  if (port.endPort !== undefined) throw new ManifestError(object, `${field}.endPort`, 'ranges of ports are not carried yet', 'List the ports one by one.');
  if (port.port === undefined) return [{ protocol }];
  if (typeof port.port === 'number') return [{ protocol, port: port.port }];
  const named = listeners.flatMap((w) => w.ports.filter((p) => p.name === port.port && p.protocol === protocol).map((p) => ({ workload: w.name, port: p.port })));
  const numbers = [...new Set(named.map((n) => n.port))];
  if (numbers.length === 0) return [];
  // A pod without that name for its port must not be reached on the number either, and a number is all that a rule can say.
  const differing = listeners.some((w) => !w.ports.some((p) => p.name === port.port && p.protocol === protocol));
  if (numbers.length > 1 || differing) {
    throw new ManifestError(object, `${field}.port`, `"${String(port.port)}" is not the same port in all pods that it concerns`, 'Use the number of the port.');
  }
  return numbers.map((number) => ({ protocol, port: number }));
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
