import type { PolicyKind, Spec } from '@osier/contracts/kinds';
import type { PeerSpec, PortSpec, RuleSpec } from '@osier/contracts/policy';
import { type Decision, refuse } from '../decision.ts';
import { groupsNamed } from '../rules/groups.ts';

/** What a schema cannot say of a policy: which fields go together, and that rules are named once, so that a flow record's rule is one rule. */
export function policyProblem<K extends PolicyKind>(kind: K, spec: Spec<K>): Decision | undefined {
  if ('isolates' in spec && new Set(spec.isolates).size !== (spec.isolates?.length ?? 0)) {
    return refuse('duplicate', 'spec.isolates', 'A direction is named twice.', 'Name each direction once.');
  }
  if (spec.drainSeconds !== undefined && spec.liveConnections !== 'drain') {
    return refuse('field-without-meaning', 'spec.drainSeconds', `Live connections are ${spec.liveConnections === 'keep' ? 'kept until they end by themselves' : 'cut at once'}.`, 'Give "liveConnections: drain", or remove "drainSeconds".');
  }
  const [group] = kind === 'policy' || kind === 'project-policy' ? [] : groupsNamed(spec);
  if (group !== undefined) return refuse('group-out-of-scope', group.field, `Groups belong to a project, and this is a ${kind}.`, 'Write out what the group holds, or make it a project-policy.');
  return rulesProblem('ingress', spec.ingress ?? []) ?? rulesProblem('egress', spec.egress ?? []);
}

function rulesProblem(direction: 'ingress' | 'egress', rules: readonly RuleSpec[]): Decision | undefined {
  for (const [index, rule] of rules.entries()) {
    const at = `spec.${direction}[${index}]`;
    const first = rules.findIndex((other) => other.name !== undefined && other.name === rule.name);
    if (rule.name !== undefined && first !== index) {
      return refuse('duplicate-rule-name', `${at}.name`, `"${rule.name}" is the name of rule ${first} already.`, 'Give each rule of a direction its own name, or none.');
    }
    const [side, peers] = 'from' in rule ? ['from', rule.from] : ['to', 'to' in rule ? rule.to : undefined];
    const problem = firstOf(peers, `${at}.${side}`, peerProblem) ?? portsProblem(rule.ports, `${at}.ports`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
function firstOf<T>(items: readonly T[] | undefined, at: string, problemOf: (item: T, at: string) => Decision | undefined): Decision | undefined {
  for (const [i, item] of (items ?? []).entries()) {
    const problem = problemOf(item, `${at}[${i}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const isNamed = <T extends object>(one: T, ...fields: (keyof T)[]): string[] => fields.filter((field) => one[field] !== undefined).map(String);
function peerProblem(peer: PeerSpec, at: string): Decision | undefined {
  const ways = [...(isNamed(peer, 'endpoints', 'matchSame').length > 0 ? ['endpoints'] : []), ...isNamed(peer, 'endpointGroup', 'addressGroup', 'cidr')];
  if (ways.length === 0) return refuse('missing-field', at, 'This names nobody.', 'Give one of endpoints, matchSame, endpointGroup, addressGroup or cidr; for everybody write "endpoints: {}".');
  if (ways.length > 1) return refuse('ambiguous', at, `This names its peers in ${ways.length} ways: ${ways.join(', ')}.`, 'Keep one of them, and write the others as peers of their own.');
  if (peer.except !== undefined && peer.cidr === undefined) return refuse('field-without-meaning', `${at}.except`, 'There is no cidr to make an exception from.', 'Give "cidr", or remove "except".');
  return undefined;
}

/** Also of the ports of a service group. */
export const portsProblem = (ports: readonly PortSpec[] | undefined, at: string): Decision | undefined => firstOf(ports, at, portProblem);
function portProblem(port: PortSpec, at: string): Decision | undefined {
  const [other] = port.serviceGroup === undefined ? [] : isNamed(port, 'protocol', 'port', 'endPort', 'portName', 'type', 'code');
  if (other !== undefined) return refuse('field-without-meaning', `${at}.${other}`, 'A service group says itself which ports it means.', `Remove "${other}", or write it as an item of its own.`);
  if (port.serviceGroup !== undefined) return undefined;
  if (port.protocol === undefined) return refuse('missing-field', `${at}.protocol`, 'A port is one of a protocol.', 'Give "protocol", such as TCP.');
  if (port.protocol === 'ICMP') {
    const [field] = isNamed(port, 'port', 'endPort', 'portName');
    if (field !== undefined) return refuse('port-without-meaning', `${at}.${field}`, 'ICMP has no ports.', `Remove "${field}", or name a protocol that has ports; types of ICMP are given by "type".`);
    return port.code !== undefined && port.type === undefined ? refuse('missing-field', `${at}.type`, 'A code is one of a type.', 'Give "type", or remove "code".') : undefined;
  }
  const [field] = isNamed(port, 'type', 'code');
  if (field !== undefined) return refuse('field-without-meaning', `${at}.${field}`, `${port.protocol} has no types and codes.`, `Remove "${field}", or name ICMP.`);
  if (port.portName !== undefined && (port.port ?? port.endPort) !== undefined) return refuse('ambiguous', `${at}.portName`, 'The port is given by number and by name.', 'Keep one of them.');
  if (port.endPort !== undefined && port.port === undefined) return refuse('missing-field', `${at}.port`, 'A range has a first port.', 'Give "port", or remove "endPort".');
  if (port.endPort !== undefined && port.port !== undefined && port.endPort < port.port) return refuse('out-of-range', `${at}.endPort`, `The range ends at ${port.endPort}, before it begins at ${port.port}.`, 'Exchange them.');
  return undefined;
}
