import { contains, type Address, type Family } from '../net/address.ts';
import { type IndexedWorld, type PartyClass, type TierRule, type TierRules } from './index-world.ts';
import type { Direction, Opaque, Party, PartySelector, Peer, Policy, PortMatch, Rule, Side } from './model.ts';
import { tagOf } from './selector.ts';
import { type Decided, type Decision, sentence, type Traffic, type Where } from './explain.ts';

/** A decision that depends on what cannot be evaluated. */
export class Undecidable extends Error {
  override readonly name = 'Undecidable';
  readonly policy: Policy;
  readonly field: string;
  constructor(policy: Policy, opaque: Opaque) {
    super(`${policy.kind} ${policy.name}, ${opaque.field}: ${opaque.why}`);
    this.policy = policy;
    this.field = opaque.field;
  }
}

export interface Ask { readonly from: Side; readonly to: Side; readonly protocol: string; readonly port: number | undefined; readonly family: Family | undefined }

/** Whether new traffic may begin, and whose rule says so: egress at the source, then ingress at the destination. */
export function decide(index: IndexedWorld, ask: Ask): Decision {
  const family = ask.family ?? commonFamily(ask.from, ask.to) ?? assumed(ask.from, ask.to);
  return whole({ ...ask, family }, judge(meet(index, ask.from, ask.to, family, true), ask.protocol, ask.port, { explain: true }));
}

/** Two sides and a family, ready to be asked for many ports: whether the peers of a rule match is found out once. */
export interface Meeting { readonly from: Side; readonly to: Side; readonly family: Family | undefined; readonly apart: Where | undefined; readonly egress: Named | undefined; readonly ingress: Named | undefined }
export interface Sides { readonly egress: Where | undefined; readonly ingress: Where | undefined; readonly self?: boolean }
export interface How { /** Also what only a sentence needs. */ readonly explain?: boolean; /** As if these rules were not there. */ readonly without?: ReadonlySet<Rule> }

/** `once`: it is asked for one port only, and remembers nothing. */
export function meet(index: IndexedWorld, from: Side, to: Side, family: Family | undefined, once = false): Meeting {
  const apart = segmentsApart(from, to);
  const named = (direction: Direction): Named | undefined => {
    const [subject, peer] = direction === 'egress' ? [from, to] : [to, from];
    if (subject.type === 'outside' || subject.host === true) return undefined;
    return { index, direction, subject, own: index.classOf(subject), peer, family, address: peer.addresses.find((a) => a.family === family), met: once ? undefined : new Map() };
  };
  return { from, to, family, apart, egress: apart === undefined ? named('egress') : undefined, ingress: apart === undefined ? named('ingress') : undefined };
}

export function judge({ from, to, family, apart, egress, ingress }: Meeting, protocol: string, port: number | undefined, how: How = {}): Sides {
  if (apart !== undefined) return { egress: apart, ingress: undefined };
  if (from === to) return { egress: undefined, ingress: undefined, self: true };
  const traffic: Traffic = { from, to, protocol, port, family };
  return { egress: egress && side(egress, traffic, how), ingress: ingress && side(ingress, traffic, how) };
}

/** What the rules of one direction make of a pair, before a port is asked for. `key` is the same where every port is decided alike; undefined where that depends on what cannot be evaluated. */
export function hear({ to, ...sides }: Meeting, direction: Direction): { readonly key: string | undefined; readonly ports: readonly PortMatch[] } | undefined {
  const named = sides[direction];
  if (named === undefined) return undefined;
  const ports: PortMatch[] = [];
  let [key, isNamed, isOpaque]: [string, boolean, boolean] = [isOwnNode(named.subject, named.peer) ? '=' : '', false, false];
  for (const { rules } of named.own[direction]) for (const tierRule of rules) {
    const found = met(named, tierRule);
    key += found === false ? '0' : '1';
    if (typeof found !== 'boolean') isOpaque = true;
    if (found === false || tierRule.rule.ports === undefined) continue;
    ports.push(...tierRule.rule.ports);
    isNamed ||= tierRule.rule.ports.some((port) => 'name' in port);
  }
  return { key: isOpaque ? undefined : `${named.own.id} ${key} ${isNamed && to.type === 'party' ? JSON.stringify(to.ports) : ''}`, ports };
}

/** Every rule whose peers match one of the two sides, or may, whatever its ports and whether its turn comes. */
export function* rulesBetween({ egress, ingress }: Meeting): Generator<TierRule & { readonly direction: Direction }> {
  for (const named of [egress, ingress]) {
    if (named === undefined) continue;
    for (const { rules } of named.own[named.direction]) for (const tierRule of rules) if (met(named, tierRule) !== false) yield { ...tierRule, direction: named.direction };
  }
}

/** The family that both sides have an address of; IPv4 where both are had. */
export function commonFamily(from: Side, to: Side): Family | undefined {
  const has = (of: Side, family: Family): boolean => of.addresses.some((address) => address.family === family);
  const pair = ([4, 6] as const).find((family) => has(from, family) && has(to, family));
  return pair ?? (from.addresses.length === 0 || to.addresses.length === 0 ? (from.addresses[0] ?? to.addresses[0])?.family : undefined);
}

/** Where no address says otherwise, traffic is IPv4. */
const assumed = (from: Side, to: Side): Family | undefined => (from.addresses.length === 0 && to.addresses.length === 0 ? 4 : undefined);

function segmentsApart(from: Side, to: Side): Where | undefined {
  if (from.type === 'outside' || to.type === 'outside') return undefined;
  const apart = (from.segment ?? []).find((mine, i) => to.segment?.[i] !== undefined && to.segment[i].name !== mine.name);
  return apart === undefined ? undefined : { action: 'Deny', tier: 'Network', policy: undefined, rule: apart.why, others: 0 };
}

/** What the policies of one side say. */
function side(named: Named, traffic: Traffic, how: How): Where {
  let left: Pick<Where, 'passed' | 'passing'> | undefined;
  for (const tier of named.own[named.direction]) {
    // A pod cannot cut itself off from its own node: NetworkPolicy says so of itself, the other kinds do not.
    if (tier.tier === 'NetworkPolicy' && isOwnNode(named.subject, named.peer)) continue;
    const found = inTier(named, traffic, tier, how);
    if (found === undefined) continue;
    if (!('left' in found)) return left === undefined ? found : { ...found, ...left };
    left = { passed: left?.passed ?? { policy: found.left.policy, rule: found.left.rule.name }, passing: [...(left?.passing ?? []), found.left.rule] };
  }
  return { action: 'Allow', tier: 'Default', policy: undefined, rule: 'default-allow', others: 0, ...left };
}

/** Whether one is the node of the other, or speaks with its address. */
export const isOwnNode = (subject: Party, peer: Side): boolean =>
  subject.node !== undefined && (peer.type === 'outside' ? peer.node?.name === subject.node : peer.host === true && peer.node === subject.node);

/** One side of a meeting: who is subject to policies, and whom they see. */
interface Named { readonly index: IndexedWorld; readonly direction: Direction; readonly subject: Party; readonly own: PartyClass; readonly peer: Side; readonly family: Family | undefined; readonly address: Address | undefined; readonly met: Map<Rule, boolean | Opaque> | undefined }

/** The first rule that matches, or that it passes; else the isolation of the tier; undefined: the next tier decides. */
function inTier(named: Named, traffic: Traffic, tier: TierRules, { explain, without }: How): Where | { readonly left: TierRule } | undefined {
  const found = tier.rules.find((candidate) => without?.has(candidate.rule) !== true && matches(named, traffic, candidate));
  if (found?.policy.subject.type === 'opaque') throw new Undecidable(found.policy, found.policy.subject);
  if (found !== undefined) return found.rule.action === 'Pass' ? { left: found } : { action: found.rule.action, tier: tier.tier, policy: found.policy, rule: found.rule.name, others: 0, by: found.rule };
  const isolating = without === undefined ? tier.isolating : tier.isolating.filter((policy) => stillIsolates(policy, named.direction, without));
  if (isolating[0] === undefined) return undefined;
  const near = explain !== true ? undefined : tier.rules.find(({ rule }) => rule.action === 'Allow' && rule.ports?.some(({ protocol }) => protocol === undefined || protocol === traffic.protocol) === true && (rule.peers === undefined || rule.peers.some((peer) => peer.type !== 'opaque' && peerMatches(named, peer))));
  return { action: 'Deny', tier: tier.tier, policy: isolating[0], rule: 'default-deny', others: isolating.length - 1, ...(near === undefined ? {} : { near }) };
}

const stillIsolates = (policy: Policy, direction: Direction, without: ReadonlySet<Rule>): boolean =>
  policy.isolatesByRules?.includes(direction) !== true || policy[direction].some((rule) => !without.has(rule));

function matches(named: Named, traffic: Traffic, tierRule: TierRule): boolean {
  if (!portsMatch(traffic, tierRule.rule)) return false;
  const found = met(named, tierRule);
  if (typeof found !== 'boolean') throw new Undecidable(tierRule.policy, found);
  return found;
}

function met(named: Named, { rule }: TierRule): boolean | Opaque {
  if (rule.peers === undefined) return true;
  const before = named.met?.get(rule);
  if (before !== undefined) return before;
  const now = peersMatch(named, rule.peers);
  named.met?.set(rule, now);
  return now;
}

/** What can be evaluated is asked first: a peer that cannot matters only where no other matches. */
function peersMatch(named: Named, peers: readonly Peer[]): boolean | Opaque {
  if (peers.some((peer) => peer.type !== 'opaque' && peerMatches(named, peer))) return true;
  return peers.find((peer): peer is Opaque => peer.type === 'opaque' && mayMatch(named, peer)) ?? false;
}
function mayMatch(named: Named, { among }: Opaque): boolean {
  if (among === 'outside') return !isPod(named.peer);
  return among === 'nodes' ? nodeOf(named) !== undefined : partyMatches(named, among);
}
const isPod = (peer: Side): boolean => peer.type === 'party' && peer.host !== true;

function peerMatches(named: Named, peer: Exclude<Peer, Opaque>): boolean {
  switch (peer.type) {
    case 'parties': return partyMatches(named, peer);
    case 'block': {
      const { address } = named;
      if (address === undefined) return isUnknown(named) && peer.block.length === 0 && peer.block.family === named.family && peer.except.length === 0;
      return contains(peer.block, address) && !peer.except.some((block) => contains(block, address));
    }
    case 'group': {
      const { peer: other, address } = named;
      if (isPod(other) && peer.parties.has(other.name)) return true;
      if (address !== undefined && peer.blocks.some((block) => contains(block, address)) && peer.except?.some((block) => contains(block, address)) !== true) return true;
      return peer.selectors?.some((selector) => partyMatches(named, selector)) === true;
    }
    case 'nodes': {
      const node = nodeOf(named);
      return node !== undefined && named.index.nodeSelected(peer.tags, node);
    }
  }
}

/** A pod whose address the manifests do not say has one all the same: what holds for every address holds for it. */
const isUnknown = ({ peer }: Named): boolean => peer.addresses.length === 0;

/** The node that the peer is, or whose address a host-networked pod speaks with. */
function nodeOf({ peer, index }: Named): ReturnType<IndexedWorld['node']> {
  if (peer.type === 'outside') return peer.node;
  return peer.host === true && peer.node !== undefined ? index.node(peer.node) : undefined;
}

function partyMatches({ index, own, peer }: Named, selector: PartySelector): boolean {
  if (peer.type === 'outside' || peer.host === true) return false;
  const other = index.classOf(peer);
  return index.inClass(selector, other) && (selector.same ?? []).every(({ of, key }) => {
    const [mine, theirs] = of === 'scope' ? [own.scopeTags, other.scopeTags] : [own.tags, other.tags];
    const value = tagOf(mine, key);
    return value !== undefined && value === tagOf(theirs, key);
  });
}

export const portsMatch = (traffic: Pick<Traffic, 'protocol' | 'port' | 'to'>, rule: Rule): boolean => rule.ports === undefined || rule.ports.some((port) => portMatches(traffic, port));

function portMatches({ protocol, port, to }: Pick<Traffic, 'protocol' | 'port' | 'to'>, match: PortMatch): boolean {
  if (match.protocol !== undefined && match.protocol !== protocol) return false;
  if ('name' in match) return to.type === 'party' && to.ports.some((p) => p.name === match.name && p.protocol === protocol && p.port === port);
  return !('first' in match) || (port !== undefined && port >= match.first && port <= match.last);
}

/** The direction that speaks for both: the first that denies, else the last that decided by a rule. */
export function speaking({ egress, ingress }: Sides): Direction {
  if (egress?.action === 'Deny') return 'egress';
  if (ingress?.action === 'Deny') return 'ingress';
  return ingress !== undefined && (ingress.policy !== undefined || egress?.policy === undefined) ? 'ingress' : egress !== undefined ? 'egress' : 'ingress';
}
export const passes = ({ egress, ingress }: Sides): boolean => egress?.action !== 'Deny' && ingress?.action !== 'Deny';
/** Where it was decided, of the direction that speaks. */
export const decidedAt = (sides: Sides): Where => sides[speaking(sides)] ?? { action: 'Allow', tier: 'Default', policy: undefined, rule: sides.self === true ? 'self' : 'default-allow', others: 0 };

/** Both sides in one answer. */
function whole(traffic: Traffic, sides: Sides): Decision {
  const decided = (direction: Direction): Decided | undefined => {
    const where = sides[direction];
    return where === undefined ? undefined : { ...place(where), reason: sentence(traffic, direction, where) };
  };
  const where = decidedAt(sides);
  return { ...place(where), reason: sentence(traffic, speaking(sides), where), egress: decided('egress'), ingress: decided('ingress') };
}
/** A decision without its sentence. */
export const place = (where: Where): Omit<Decided, 'reason'> => ({ verdict: where.action, tier: where.tier, policy: where.policy?.name ?? null, kind: where.policy?.kind ?? null, rule: where.rule });
