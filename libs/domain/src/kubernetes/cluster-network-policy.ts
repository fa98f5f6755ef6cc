import type { Direction, Policy, PortMatch } from '../rules/model.ts';
import { clusterRules } from './admin-network-policy.ts';
import { egressPeerSchema, ingressPeerSchema, nameLength, noNamesOutside, partiesOf, policyStatus, subjectSchema } from './cluster-peers.ts';
import { checkMetadata, type Manifest, objectSchema } from './metadata.ts';
import { dnsSubdomain } from './names.ts';
import { isObject, type Json, type Report } from './problem.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/** ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2: a custom resource, checked by its definition. */
const limits = { rules: 25, peers: 25, protocols: 25, priority: 1000 } as const;
const selectors = ['podSelector'];
/** The definition of 0.2.0 says A-z, and means it. */
const domainName = /^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$/;
const port = { type: 'integer', min: 1, max: 65535 } as const;
const transports = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const;

const range: ObjectSchema = {
  type: 'object', required: ['start', 'end'], fields: { start: port, end: port },
  rule: ({ start, end }) => (typeof start === 'number' && typeof end === 'number' && start >= end ? `start must be less than end, and ${start} is not less than ${end}` : undefined),
};
const transport: ObjectSchema = { type: 'object', minProperties: 1, fields: { destinationPort: { type: 'object', oneOf: true, fields: { number: port, range } } } };
const protocols: Schema = {
  type: 'array', minItems: 1, maxItems: limits.protocols,
  items: { type: 'object', oneOf: true, fields: { tcp: transport, udp: transport, sctp: transport, destinationNamedPort: { type: 'string' } } },
};

function rulesSchema(direction: Direction): Schema {
  const [side, peer] = direction === 'ingress' ? ['from', ingressPeerSchema(selectors)] as const : ['to', egressPeerSchema(selectors, domainName)] as const;
  return {
    type: 'array', maxItems: limits.rules,
    items: {
      type: 'object', required: ['action', side],
      fields: {
        name: { type: 'string', maxLength: nameLength }, action: { type: 'string', values: ['Accept', 'Deny', 'Pass'] },
        [side]: { type: 'array', minItems: 1, maxItems: limits.peers, items: peer }, protocols,
      },
      ...(direction === 'egress' ? { rule: noNamesOutside('protocols', 'destinationNamedPort') } : {}),
    },
  };
}

export const clusterNetworkPolicySchema: ObjectSchema = objectSchema({
  spec: {
    type: 'object', required: ['priority', 'subject', 'tier'],
    fields: {
      tier: { type: 'string', values: ['Admin', 'Baseline'] }, priority: { type: 'integer', min: 0, max: limits.priority },
      subject: subjectSchema(selectors), ingress: rulesSchema('ingress'), egress: rulesSchema('egress'),
    },
  },
  status: policyStatus,
}, ['metadata', 'spec']);

export const checkClusterNetworkPolicy = (manifest: Manifest, report: Report): void => checkMetadata(manifest, 'Cluster', dnsSubdomain, report);

function protocolOf(value: Json): PortMatch {
  for (const [field, protocol] of Object.entries(transports)) {
    const of = value[field];
    if (!isObject(of) || !isObject(of['destinationPort'])) continue;
    const { number, range: between } = of['destinationPort'];
    if (isObject(between)) return { protocol, first: Number(between['start']), last: Number(between['end']) };
    return { protocol, first: Number(number), last: Number(number) };
  }
  return { name: String(value['destinationNamedPort']) };
}

export function clusterNetworkPolicyOf(manifest: Manifest): Policy {
  const spec = isObject(manifest.value['spec']) ? manifest.value['spec'] : {};
  const portsIn = (rule: Json): PortMatch[] | undefined => (Array.isArray(rule['protocols']) ? rule['protocols'].filter(isObject).map(protocolOf) : undefined);
  return {
    tier: spec['tier'] === 'Baseline' ? 'Baseline' : 'Admin', priority: Number(spec['priority']), kind: manifest.kind, name: manifest.name, isolates: [],
    subject: partiesOf(isObject(spec['subject']) ? spec['subject'] : {}, 'spec.subject'),
    ingress: clusterRules(spec, 'ingress', portsIn), egress: clusterRules(spec, 'egress', portsIn),
  };
}
