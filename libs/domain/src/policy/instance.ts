import type { Direction, Peer, Policy as ModelPolicy, Rule } from '../rules/model.ts';
import { tagOf } from '../rules/selector.ts';
import { graceOf } from './grace.ts';
import { isAnyone, type Matcher, matcherOf, type NamedPort } from './matcher.ts';
import type { Member, Policy, RuleInfo } from './model.ts';
import { protocolsOf, type Region, regionsOf } from './region.ts';

/** One rule of one direction, as it is for one subject. */
export interface SubjectRule {
  /** One rule may be several of these, for ports by name. */
  readonly info: RuleInfo;
  /** Texts of matchers. Undefined: anyone. */
  readonly peers: readonly string[] | undefined;
  /** Undefined: every protocol and port. */
  readonly regions: readonly Region[] | undefined;
}
/** A policy as it is for the subjects that look alike to it. */
export interface Instance {
  readonly policy: Policy;
  readonly ingress: readonly SubjectRule[];
  readonly egress: readonly SubjectRule[];
  readonly matchers: ReadonlyMap<string, Matcher>;
}
/** What the rules of a policy take from their subject: tags that a peer must have the same of, and ports that it declares. */
export interface Reads { readonly same: readonly { readonly of: 'scope' | 'party'; readonly key: string }[]; readonly ports: readonly string[]; /** Names of ports of the peers. */ readonly peerPorts: readonly string[] }
const readsNothing: Reads = { same: [], ports: [], peerPorts: [] };

const namesIn = (rules: readonly Rule[]): string[] => [...new Set(rules.flatMap(({ ports }) => (ports ?? []).flatMap((port) => ('name' in port ? [port.name] : []))))].sort();
export function readsOf({ ingress, egress }: ModelPolicy): Reads {
  const same = new Map<string, Reads['same'][number]>();
  for (const { peers } of [...ingress, ...egress]) for (const peer of peers ?? []) if (peer.type === 'parties') for (const one of peer.same ?? []) same.set(`${one.of} ${one.key}`, one);
  const [ports, peerPorts] = [namesIn(ingress), namesIn(egress)];
  return same.size + ports.length + peerPorts.length === 0 ? readsNothing : { same: [...same.values()], ports, peerPorts };
}
/** Subjects of one view are one to the policy; empty where it takes nothing from them. */
export function viewOf(reads: Reads, subject: Member): string {
  if (reads.same.length + reads.ports.length === 0) return '';
  const ports = subject.ports.filter(({ name }) => reads.ports.includes(name)).map(({ name, protocol, port }) => `${name} ${protocol} ${port}`);
  return JSON.stringify([reads.same.map(({ of, key }) => tagOf(of === 'scope' ? subject.scopeTags : subject.tags, key) ?? null), ports.sort()]);
}

/** `declared`: the ports that anyone declares under a name, each once. */
export function instantiate(policy: Policy, subject: Member, environment: string, declared: (name: string) => readonly NamedPort[]): Instance {
  const matchers = new Map<string, Matcher>();
  const peersOf = (peers: readonly Peer[] | undefined, port?: NamedPort): readonly string[] | undefined => {
    const found: string[] = [];
    for (const peer of peers ?? [{ type: 'parties', scopeTags: [], tags: [] }] satisfies Peer[]) {
      const matcher = matcherOf(peer, subject, port);
      if (matcher === undefined) continue;
      if (isAnyone(matcher, environment)) return undefined;
      matchers.set(matcher.text, matcher);
      found.push(matcher.text);
    }
    return found;
  };
  const read = (direction: Direction): SubjectRule[] => policy[direction].flatMap((rule, index): SubjectRule[] => {
    const { action } = rule;
    const info: RuleInfo = {
      policyId: policy.id, policyPath: policy.name, index, direction, action, name: rule.name, priority: policy.priority, tier: policy.tier, ...graceOf(policy, action),
    };
    if (rule.ports === undefined) return [{ info, peers: peersOf(rule.peers), regions: undefined }];
    const regions = rule.ports.flatMap((port) => ('name' in port ? [] : regionsOf(port)));
    const split: SubjectRule[] = [{ info, peers: peersOf(rule.peers), regions }];
    for (const match of rule.ports) {
      if (!('name' in match)) continue;
      const fits = (p: NamedPort): boolean => p.name === match.name && (match.protocol === undefined || p.protocol === match.protocol);
      const regionOf = (p: NamedPort): Region[] => protocolsOf(p.protocol).map((protocol) => ({ protocol, port: p.port }));
      // The port is the destination's: the subject's own, or that of a peer who declares it.
      if (direction === 'ingress') regions.push(...subject.ports.filter(fits).flatMap(regionOf));
      else for (const port of declared(match.name).filter(fits)) split.push({ info, peers: peersOf(rule.peers, port), regions: regionOf(port) });
    }
    return split.filter((one) => one.regions?.length !== 0);
  });
  const [ingress, egress] = [read('ingress'), read('egress')];
  return { policy, ingress, egress, matchers };
}

export const portKey = ({ protocol, port }: Pick<NamedPort, 'protocol' | 'port'>): string => `${protocol} ${port}`;
