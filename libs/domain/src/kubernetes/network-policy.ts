import { contains, parseBlock } from '../net/address.ts';
import type { Direction, Peer, Policy, PortMatch, Rule, TagSelector } from '../rules/model.ts';
import { builtInSelector, checkSelector, isOpaque, selectorOf } from './label-selector.ts';
import { checkBuiltInMetadata, type Manifest, objectSchema } from './metadata.ts';
import { dnsSubdomain, portName } from './names.ts';
import { isObject, type Json, type Report, shown } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** NetworkPolicy, networking.k8s.io/v1: a built-in kind, so its form is what decodes and the rest is checked by code. */
const protocols = ['TCP', 'UDP', 'SCTP'];
const text = { type: 'string' } as const;
const ports: Schema = { type: 'array', nullIsEmpty: true, items: { type: 'object', fields: { protocol: text, port: { type: 'intOrString' }, endPort: { type: 'integer' } } } };
const peers: Schema = {
  type: 'array', nullIsEmpty: true,
  items: {
    type: 'object',
    fields: {
      podSelector: builtInSelector, namespaceSelector: builtInSelector,
      ipBlock: { type: 'object', fields: { cidr: text, except: { type: 'array', nullIsEmpty: true, items: text } } },
    },
  },
};
export const networkPolicySchema: ObjectSchema = objectSchema({
  spec: {
    type: 'object',
    fields: {
      podSelector: builtInSelector, policyTypes: { type: 'array', nullIsEmpty: true, items: text },
      ingress: { type: 'array', nullIsEmpty: true, items: { type: 'object', fields: { ports, from: peers } } },
      egress: { type: 'array', nullIsEmpty: true, items: { type: 'object', fields: { ports, to: peers } } },
    },
  },
});

const directions = [['ingress', 'from', 'Ingress'], ['egress', 'to', 'Egress']] as const;
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map((item) => (isObject(item) ? item : {})) : []);
const specOf = ({ value }: Manifest): Json => (isObject(value['spec']) ? value['spec'] : {});

/** `warn` hears what is accepted and should not be written so. */
export function checkNetworkPolicy(manifest: Manifest, report: Report, warn: Report): void {
  checkBuiltInMetadata(manifest, 'Namespaced', dnsSubdomain, report);
  const spec = specOf(manifest);
  checkSelector(spec['podSelector'], 'spec.podSelector', report);
  for (const [direction, side] of directions) {
    list(spec[direction]).forEach((rule, r) => {
      list(rule['ports']).forEach((port, i) => checkPort(port, `spec.${direction}[${r}].ports[${i}]`, report));
      list(rule[side]).forEach((peer, i) => checkPeer(peer, `spec.${direction}[${r}].${side}[${i}]`, report, warn));
    });
  }
  const types = Array.isArray(spec['policyTypes']) ? spec['policyTypes'] : [];
  if (types.length > 2) return report('spec.policyTypes', `may not have more than two items, and has ${types.length}`);
  types.forEach((type, i) => {
    if (type !== 'Ingress' && type !== 'Egress') report(`spec.policyTypes[${i}]`, `${shown(type)} is not supported; supported are "Egress", "Ingress"`);
  });
}

const outOfRange = (port: number): string | undefined => (port >= 1 && port <= 65535 ? undefined : `must be between 1 and 65535, inclusive, and is ${port}`);

function checkPort(value: Json, path: string, report: Report): void {
  const { protocol, port, endPort } = value;
  if (typeof protocol === 'string' && !protocols.includes(protocol)) report(`${path}.protocol`, `${shown(protocol)} is not supported; supported are "SCTP", "TCP", "UDP"`);
  const wrong = typeof port === 'number' ? outOfRange(port) : typeof port === 'string' ? portName(port) : undefined;
  if (wrong !== undefined) report(`${path}.port`, wrong);
  if (typeof endPort !== 'number') return;
  if (typeof port === 'string') return report(`${path}.endPort`, 'may not be given where `port` is a name');
  if (typeof port !== 'number') return report(`${path}.endPort`, 'may not be given without `port`');
  if (endPort < port) report(`${path}.endPort`, `must be greater than or equal to \`port\`, which is ${port}, and is ${endPort}`);
  const beyond = outOfRange(endPort);
  if (beyond !== undefined) report(`${path}.endPort`, beyond);
}

function checkPeer(peer: Json, path: string, report: Report, warn: Report): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  checkSelector(podSelector, `${path}.podSelector`, report);
  checkSelector(namespaceSelector, `${path}.namespaceSelector`, report);
  if (isObject(ipBlock)) checkIpBlock(ipBlock, `${path}.ipBlock`, report, warn);
  const given = [podSelector, namespaceSelector, ipBlock].filter((one) => one !== undefined && one !== null).length;
  if (given === 0) report(path, 'must specify a peer: podSelector, namespaceSelector or ipBlock');
  else if (given > 1 && ipBlock !== undefined && ipBlock !== null) report(path, 'may not specify both ipBlock and another peer');
}

function checkIpBlock(value: Json, path: string, report: Report, warn: Report): void {
  if (typeof value['cidr'] !== 'string' || value['cidr'] === '') return report(`${path}.cidr`, 'is required');
  const whole = checkCidr(value['cidr'], `${path}.cidr`, report, warn);
  const excepts = Array.isArray(value['except']) ? value['except'] : [];
  excepts.forEach((except, i) => {
    if ((typeof except !== 'string' && except !== null) || whole === undefined) return;
    const at = `${path}.except[${i}]`;
    const part = checkCidr(except ?? '', at, report, warn);
    if (part === undefined) return;
    if (!contains(whole.block, part.block) || whole.written >= part.written) report(at, `${shown(except)} must be a strict subset of \`cidr\`, which is ${value['cidr']}`);
  });
}

function checkCidr(value: string, path: string, report: Report, warn: Report): ReturnType<typeof parseBlock> {
  const parsed = parseBlock(value);
  if (parsed === undefined) report(path, `${shown(value)} must be a CIDR such as 10.9.8.0/24 or 2001:db8::/64`);
  else if (parsed.oddity === 'leading zeros') warn(path, `${shown(value)} must not have leading zeros in address or prefix length`);
  else if (parsed.oddity === 'IPv4-mapped') warn(path, `${shown(value)} must not be an IPv4-mapped IPv6 address`);
  else if (parsed.oddity === 'host bits') warn(path, `${shown(value)} must not have bits set beyond the prefix length`);
  return parsed;
}

/** The directions that a policy is about: as it says, else ingress, and egress where it has rules for it. */
export function policyTypes(spec: Json): Direction[] {
  const given = Array.isArray(spec['policyTypes']) ? spec['policyTypes'] : [];
  if (given.length === 0) return list(spec['egress']).length > 0 ? ['ingress', 'egress'] : ['ingress'];
  return directions.filter(([, , type]) => given.includes(type)).map(([direction]) => direction);
}

/** Of a valid one. All NetworkPolicies of a pod add up: each isolates, any rule of any of them allows. */
export function networkPolicyOf(manifest: Manifest): Policy {
  const spec = specOf(manifest);
  const types = policyTypes(spec);
  const rules = (direction: Direction, side: 'from' | 'to'): Rule[] =>
    (types.includes(direction) ? list(spec[direction]) : []).map((rule, i): Rule => ({
      name: `${direction}[${i}]`, action: 'Allow', ports: portsOf(rule['ports']), peers: peersOf(rule[side], manifest.namespace),
    }));
  return {
    tier: 'NetworkPolicy', priority: 0, kind: 'NetworkPolicy', name: `${manifest.namespace}/${manifest.name}`, isolates: types,
    ...(list(spec['policyTypes']).length === 0 && types.includes('egress') ? { isolatesByRules: ['egress'] as const } : {}),
    subject: { type: 'parties', scope: manifest.namespace, scopeTags: [], tags: conditions(spec['podSelector']) },
    ingress: rules('ingress', 'from'), egress: rules('egress', 'to'),
  };
}

/** Built-in selectors are validated, so none is opaque. */
function conditions(selector: unknown): TagSelector {
  const found = selectorOf(selector, '');
  return isOpaque(found) ? [] : found;
}

/** No list, or an empty one: every port. */
function portsOf(value: unknown): PortMatch[] | undefined {
  const given = list(value);
  if (given.length === 0) return undefined;
  return given.map(({ protocol, port, endPort }): PortMatch => {
    const of = typeof protocol === 'string' ? protocol : 'TCP';
    if (typeof port === 'string') return { protocol: of, name: port };
    return typeof port === 'number' ? { protocol: of, first: port, last: typeof endPort === 'number' ? endPort : port } : { protocol: of };
  });
}

/** No list, or an empty one: everybody, also from outside. */
function peersOf(value: unknown, namespace: string): Peer[] | undefined {
  const given = list(value);
  if (given.length === 0) return undefined;
  return given.map(({ podSelector, namespaceSelector, ipBlock }): Peer => {
    if (isObject(ipBlock)) return blockOf(ipBlock);
    const tags = conditions(podSelector);
    return isObject(namespaceSelector)
      ? { type: 'parties', scopeTags: conditions(namespaceSelector), tags }
      : { type: 'parties', scope: namespace, scopeTags: [], tags };
  });
}

function blockOf(value: Json): Peer {
  const block = parseBlock(String(value['cidr']));
  if (block === undefined) throw new Error('an ipBlock that was not validated');
  const except = (Array.isArray(value['except']) ? value['except'] : []).map((text) => parseBlock(String(text))?.block);
  return { type: 'block', block: block.block, except: except.filter((one) => one !== undefined) };
}
