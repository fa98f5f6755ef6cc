import type { Spec } from '@osier/contracts/kinds';
import { nameSchema, type Selector } from '@osier/contracts/names';
import type { PeerSpec, PortSpec } from '@osier/contracts/policy';
import { addressText, type Block } from '../net/address.ts';
import type { Direction, NodePeer, Opaque, Party, PartySelector, Peer, Policy, PortMatch, Rule, TagSelector, World } from '../rules/model.ts';
import { selects } from '../rules/selector.ts';
import { namespaceLabel } from './workloads.ts';

/**
 * The objects of a cluster as Osier's documents. A cluster is one environment, since its namespaces reach each other unless a policy says otherwise; the
 * labels of a namespace become tags of each of its endpoints, so that a selector of namespaces is one of endpoints. A NetworkPolicy becomes a policy of the
 * environment; the kinds of a whole cluster become policies of the project, for this environment only.
 */
export interface Documents {
  readonly endpoints: readonly EndpointOf[];
  readonly policies: readonly { readonly name: string; readonly spec: Spec<'policy'> }[];
  readonly projectPolicies: readonly { readonly name: string; readonly spec: Spec<'project-policy'> }[];
  /** What has no meaning in an environment of IPv4 without nodes and without an outside, a line each. */
  readonly leftOut: readonly string[];
  /** What cannot be carried over as it is meant. Whoever finds any uses nothing of the rest. */
  readonly problems: readonly { readonly kind: string; readonly name: string; readonly field: string; readonly reason: string; readonly fix: string }[];
}
/** `path`: as Kubernetes names it, `shop/web`. */
export interface EndpointOf { readonly name: string; readonly path: string; readonly tags: Readonly<Record<string, string>>; readonly ports: readonly { readonly name?: string; readonly protocol: 'TCP' | 'UDP' | 'SCTP'; readonly port: number }[]; readonly address?: string }

export interface Conversion {
  /** Name of the environment. */
  readonly environment: string;
  /** At least eight characters of a name, the same for the same text. */
  readonly digest: (text: string) => string;
}

/** `team` → `namespace/team`, `example.com/team` → `namespace.example.com/team`: no two keys become one. */
const namespaceKey = (key: string): string => (key.includes('/') ? `namespace.${key}` : `namespace/${key}`);
const isNamespaceKey = (key: string): boolean => /^namespace[./]/.test(key);
/** The tag by which an endpoint carries the name of its namespace. */
export const namespaceTag = namespaceKey(namespaceLabel);

export function documentsOf(world: World, { environment, digest }: Conversion): Documents {
  const [leftOut, problems]: [string[], Documents['problems'][number][]] = [[], []];
  const scopeTags = new Map(world.scopes.map(({ name, tags }) => [name, tags]));
  const endpoints = world.parties.flatMap((party): EndpointOf[] => {
    if (party.host === true || party.ended === true) {
      leftOut.push(`${party.name}: ${party.ended === true ? 'it has ended' : 'it is in the network of its node, which no environment holds'}`);
      return [];
    }
    const strange = Object.keys(party.tags).find(isNamespaceKey);
    if (strange !== undefined) problems.push({ kind: 'pod', name: party.name, field: `metadata.labels.${strange}`, reason: 'would be taken for a label of its namespace', fix: 'Give the label a key that does not begin with "namespace".' });
    const ownTags = Object.entries(scopeTags.get(party.scope) ?? {}).map(([key, value]) => [namespaceKey(key), value]);
    const v4 = party.addresses.find(({ family }) => family === 4);
    return [{
      name: nameIn(party.scope, party.name.slice(party.scope.length + 1), digest), path: party.name, tags: { ...party.tags, ...Object.fromEntries(ownTags) as Record<string, string> },
      ports: portsOfParty(party), ...(v4 === undefined ? {} : { address: addressText(v4) }),
    }];
  });
  const policies: { name: string; spec: Spec<'policy'> }[] = [];
  const projectPolicies: { name: string; spec: Spec<'project-policy'> }[] = [];
  for (const policy of world.policies) {
    const refuse = ({ field, why }: Opaque): void => void problems.push({ kind: policy.kind, name: policy.name, field, reason: why, fix: 'Correct it, or leave the policy out.' });
    if (policy.subject.type === 'opaque') {
      refuse(policy.subject);
      continue;
    }
    const translator = new Translator(world, policy, refuse, (what) => leftOut.push(`${policy.kind} ${policy.name}: ${what}`));
    const [ingress, egress] = [translator.rules('ingress'), translator.rules('egress')];
    const common = {
      description: `${policy.kind} ${policy.name}`, appliesTo: selectorOf(policy.subject),
      ...(ingress.length > 0 ? { ingress: ingress.map(({ peers, ...rule }) => ({ ...rule, ...(peers === undefined ? {} : { from: peers }) })) } : {}),
      ...(egress.length > 0 ? { egress: egress.map(({ peers, ...rule }) => ({ ...rule, ...(peers === undefined ? {} : { to: peers }) })) } : {}),
    };
    if (policy.tier === 'NetworkPolicy') {
      const [namespace = ''] = policy.name.split('/');
      policies.push({ name: nameIn(namespace, policy.name.slice(namespace.length + 1), digest), spec: { ...common, priority: 1000, isolates: [...policy.isolates] } });
    } else {
      projectPolicies.push({
        name: nameOfCluster(environment, policy.kind, policy.name, digest),
        spec: { ...common, priority: policy.priority, tier: policy.tier === 'Baseline' ? 'Baseline' : 'Admin', scope: { environments: [environment] } },
      });
    }
  }
  return { endpoints, policies, projectPolicies, leftOut: [...new Set(leftOut)], problems };
}

/** The name in an environment of what Kubernetes has in a namespace, where two namespaces may have the same: `web` of the namespace default, `shop--web` of another. */
export const nameIn = (namespace: string, name: string, digest: Conversion['digest']): string =>
  joined(namespace === 'default' ? [name] : [namespace, name], `${namespace}/${name}`, digest);
const nameOfCluster = (environment: string, kind: string, name: string, digest: Conversion['digest']): string =>
  joined([environment, name, kind.replace(/[^A-Z]/g, '').toLowerCase()], `${environment}/${kind}/${name}`, digest);
/** What could be read as another name, or is none of Osier's, ends in a digest of what it stands for. */
function joined(parts: readonly string[], whole: string, digest: Conversion['digest']): string {
  const plain = parts.join('--');
  if (!parts.some((part) => part.includes('--')) && nameSchema.safeParse(plain).success) return plain;
  return `${plain.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-/, '').slice(0, 50)}--${digest(whole).slice(0, 8)}`;
}

type Ports = EndpointOf['ports'][number];
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const isProtocol = (text: string): text is Ports['protocol'] => (protocols as readonly string[]).includes(text);
const portsOfParty = ({ ports }: Party): Ports[] =>
  ports.flatMap(({ name, protocol, port }): Ports[] => (isProtocol(protocol) ? [{ ...(name === '' ? {} : { name }), protocol, port }] : []));

/** A rule without its direction's word for the peers. */
interface RuleOf { readonly name: string; readonly action: Rule['action']; readonly peers?: PeerSpec[]; readonly ports?: PortSpec[] }

class Translator {
  private readonly world: World;
  private readonly policy: Policy;
  private readonly refuse: (opaque: Opaque) => void;
  private readonly leaveOut: (what: string) => void;
  constructor(world: World, policy: Policy, refuse: (opaque: Opaque) => void, leaveOut: (what: string) => void) {
    this.world = world;
    this.policy = policy;
    this.refuse = refuse;
    this.leaveOut = leaveOut;
  }

  /** A rule whose peers nobody can be is not there; that of a NetworkPolicy isolates all the same, since `isolates` says so. */
  rules(direction: Direction): RuleOf[] {
    const names = new Set<string>();
    return this.policy[direction].flatMap((rule, i): RuleOf[] => {
      const peers = rule.peers?.flatMap((peer) => this.peerOf(peer));
      if (peers?.length === 0 || rule.ports?.length === 0) return [];
      const name = nameSchema.safeParse(rule.name).success && !names.has(rule.name) ? rule.name : `${direction}-${i}`;
      names.add(name);
      return [{ name, action: rule.action, ...(peers === undefined ? {} : { peers }), ...(rule.ports === undefined ? {} : { ports: rule.ports.flatMap(portOf) }) }];
    });
  }

  private peerOf(peer: Peer): PeerSpec[] {
    switch (peer.type) {
      case 'parties': return [{ endpoints: selectorOf(peer) }];
      case 'block': return this.blockOf(peer.block, peer.except);
      case 'nodes': return this.nodesOf(peer);
      case 'group': throw new Error('a group in a policy of Kubernetes');
      case 'opaque':
        if (peer.among === 'outside') this.leaveOut(`${peer.field} means nobody here: ${peer.why}`);
        else this.refuse(peer);
        return [];
    }
  }
  private blockOf(block: Block, except: readonly Block[]): PeerSpec[] {
    if (block.family === 6) {
      this.leaveOut(`the block ${textOf(block)} means nobody here: endpoints have IPv4 addresses only`);
      return [];
    }
    return [{ cidr: textOf(block), ...(except.length === 0 ? {} : { except: except.map(textOf) }) }];
  }
  private nodesOf({ tags }: NodePeer): PeerSpec[] {
    const addresses = this.world.nodes.filter((node) => selects(tags, node.tags)).flatMap((node) => node.addresses).filter(({ family }) => family === 4);
    if (addresses.length === 0) this.leaveOut('a peer by nodes means nobody here: no Node with an IPv4 address and these labels was given');
    return addresses.map((address) => ({ cidr: `${addressText(address)}/32` }));
  }
}

const textOf = (block: Block): string => `${addressText(block)}/${block.length}`;

/** A port by name without a protocol means it of every protocol. */
function portOf(port: PortMatch): PortSpec[] {
  const those = port.protocol === undefined ? protocols : protocols.filter((one) => one === port.protocol);
  return those.map((protocol): PortSpec => {
    if ('name' in port) return { protocol, portName: port.name };
    if (!('first' in port)) return { protocol };
    return { protocol, port: port.first, ...(port.last === port.first ? {} : { endPort: port.last }) };
  });
}

/** Of endpoints, by the tags that they have of their namespace and their own. */
function selectorOf({ scope, scopeTags, tags }: PartySelector): Selector {
  const all: TagSelector = [
    ...(scope === undefined ? [] : [{ key: namespaceTag, operator: 'In' as const, values: [scope] }]),
    ...scopeTags.map((condition) => ({ ...condition, key: namespaceKey(condition.key) })), ...tags,
  ];
  const matchTags: Record<string, string> = {};
  const matchExpressions: NonNullable<Selector['matchExpressions']> = [];
  for (const condition of all) {
    const [value, ...more] = 'values' in condition ? condition.values : [];
    if (condition.operator === 'In' && value !== undefined && more.length === 0 && !Object.hasOwn(matchTags, condition.key)) matchTags[condition.key] = value;
    else matchExpressions.push('values' in condition ? { ...condition, values: [...condition.values] } : { key: condition.key, operator: condition.operator });
  }
  return { ...(Object.keys(matchTags).length > 0 ? { matchTags } : {}), ...(matchExpressions.length > 0 ? { matchExpressions } : {}) };
}
