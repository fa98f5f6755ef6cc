import type { Action, Direction, Policy, PortMatch, Rule } from '../rules/model.ts';
import { egressPeerSchema, ingressPeerSchema, nameLength, noNamesOutside, partiesOf, peerOf, policyStatus, subjectSchema } from './cluster-peers.ts';
import { checkMetadata, type Manifest, objectSchema } from './metadata.ts';
import { dnsSubdomain } from './names.ts';
import { isObject, type Json, type Report } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** AdminNetworkPolicy and BaselineAdminNetworkPolicy, policy.networking.k8s.io/v1alpha1: custom resources, checked by their definitions. */
const limits = { rules: 100, peers: 100, ports: 100, priority: 1000 } as const;
const bothSelectors = ['namespaceSelector', 'podSelector'];
/** The definition says A-z, and means it. */
const domainName = /^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$/;
const port = { type: 'integer', min: 1, max: 65535 } as const;
const text = { type: 'string' } as const;

const ports: Schema = {
  type: 'array', minItems: 1, maxItems: limits.ports,
  items: {
    type: 'object', oneOf: true,
    fields: {
      portNumber: { type: 'object', required: ['port'], fields: { protocol: text, port } },
      portRange: { type: 'object', required: ['start', 'end'], fields: { protocol: text, start: port, end: port } },
      namedPort: text,
    },
  },
};

/** The baseline knows no domain names. */
function rulesSchema(direction: Direction, actions: readonly string[], domains: RegExp | undefined): Schema {
  const [side, peer] = direction === 'ingress' ? ['from', ingressPeerSchema(bothSelectors)] as const : ['to', egressPeerSchema(bothSelectors, domains)] as const;
  return {
    type: 'array', maxItems: limits.rules,
    items: {
      type: 'object', required: ['action', side],
      fields: { name: { type: 'string', maxLength: nameLength }, action: { type: 'string', values: actions }, [side]: { type: 'array', minItems: 1, maxItems: limits.peers, items: peer }, ports },
      ...(direction === 'egress' ? { rule: noNamesOutside('ports', 'namedPort') } : {}),
    },
  };
}

const schema = (required: readonly string[], fields: ObjectSchema['fields'], actions: readonly string[], domains?: RegExp): ObjectSchema => objectSchema({
  spec: {
    type: 'object', required: [...required, 'subject'],
    fields: { ...fields, subject: subjectSchema(bothSelectors), ingress: rulesSchema('ingress', actions, domains), egress: rulesSchema('egress', actions, domains) },
  },
  status: policyStatus,
}, ['metadata', 'spec']);

export const adminNetworkPolicySchema = schema(['priority'], { priority: { type: 'integer', min: 0, max: limits.priority } }, ['Allow', 'Deny', 'Pass'], domainName);
export const baselineAdminNetworkPolicySchema = schema([], {}, ['Allow', 'Deny']);

export const checkAdminNetworkPolicy = (manifest: Manifest, report: Report): void => checkMetadata(manifest, 'Cluster', dnsSubdomain, report);
/** There is one, and it has one name. */
export function checkBaselineAdminNetworkPolicy(manifest: Manifest, report: Report): void {
  let inOrder = true;
  checkMetadata(manifest, 'Cluster', dnsSubdomain, (path, reason) => {
    inOrder &&= path !== 'metadata.name';
    report(path, reason);
  });
  if (inOrder && manifest.name !== 'default') report('metadata.name', 'must be "default": there is only one BaselineAdminNetworkPolicy');
}

const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

function portOf(value: Json): PortMatch {
  const { portNumber: number, portRange: range, namedPort } = value;
  const protocol = (of: Json): string => (typeof of['protocol'] === 'string' ? of['protocol'] : 'TCP');
  if (isObject(number)) return { protocol: protocol(number), first: Number(number['port']), last: Number(number['port']) };
  if (isObject(range)) return { protocol: protocol(range), first: Number(range['start']), last: Number(range['end']) };
  return { name: String(namedPort) };
}

/** Rules of the cluster-wide kinds, whose only difference is how they write ports. */
export function clusterRules(spec: Json, direction: Direction, portsIn: (rule: Json) => PortMatch[] | undefined): Rule[] {
  const side = direction === 'ingress' ? 'from' : 'to';
  return objects(spec[direction]).map((rule, r): Rule => ({
    name: typeof rule['name'] === 'string' && rule['name'] !== '' ? rule['name'] : `${direction}[${r}]`,
    action: (rule['action'] === 'Accept' ? 'Allow' : rule['action']) as Action,
    ports: portsIn(rule),
    peers: objects(rule[side]).flatMap((peer, p) => peerOf(peer, `spec.${direction}[${r}].${side}[${p}]`)),
  }));
}

/** Behind every ClusterNetworkPolicy of the tier: the two kinds say nothing of each other. */
const afterAll = 1001;

export function adminNetworkPolicyOf(manifest: Manifest): Policy {
  const spec = isObject(manifest.value['spec']) ? manifest.value['spec'] : {};
  const baseline = manifest.kind === 'BaselineAdminNetworkPolicy';
  const portsIn = (rule: Json): PortMatch[] | undefined => (Array.isArray(rule['ports']) ? objects(rule['ports']).map(portOf) : undefined);
  return {
    tier: baseline ? 'Baseline' : 'Admin', priority: baseline ? afterAll : Number(spec['priority']), kind: manifest.kind, name: manifest.name, isolates: [],
    subject: partiesOf(isObject(spec['subject']) ? spec['subject'] : {}, 'spec.subject'),
    ingress: clusterRules(spec, 'ingress', portsIn), egress: clusterRules(spec, 'egress', portsIn),
  };
}
