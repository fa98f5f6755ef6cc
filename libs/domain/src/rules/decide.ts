import { contains, type Address, type Family } from '../net/address.ts';
import { type IndexedWorld, type PartyClass, type TierRule, type TierRules } from './index-world.ts';
import type { Direction, Opaque, Party, PartySelector, Peer, Policy, PortMatch, Rule, Side, Tier } from './model.ts';
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
  const traffic: Traffic = { ...ask, family };
  const apart = segmentsApart(ask.from, ask.to);
  if (apart !== undefined) return whole(traffic, { egress: apart, ingress: undefined });
  if (ask.from === ask.to) return whole(traffic, { egress: undefined, ingress: undefined }, 'self');
  return whole(traffic, { egress: side(index, traffic, 'egress'), ingress: side(index, traffic, 'ingress') });
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

/** What the policies of one side say; undefined where no policy can select it. */
function side(index: IndexedWorld, traffic: Traffic, direction: Direction): Where | undefined {
  const [subject, peer] = direction === 'egress' ? [traffic.from, traffic.to] : [traffic.to, traffic.from];
  if (subject.type === 'outside' || subject.host === true) return undefined;
  const own = index.classOf(subject);
  const named: Named = { index, subject, own, peer, address: peer.addresses.find((a) => a.family === traffic.family), traffic };
  let passed: Pick<Where, 'passed'> = {};
  for (const tier of own[direction]) {
    // A pod cannot cut itself off from its own node: NetworkPolicy says so of itself, the other kinds do not.
    if (tier.tier === 'NetworkPolicy' && isOwnNode(subject, peer)) continue;
    const found = inTier(named, tier);
    if (found === undefined) continue;
    if (!('left' in found)) return { ...found, ...passed };
    passed = { passed: found.left, ...passed };
  }
  return { action: 'Allow', tier: 'Default', policy: undefined, rule: 'default-allow', others: 0, ...passed };
}

const isOwnNode = (subject: Party, peer: Side): boolean =>
  subject.node !== undefined && (peer.type === 'outside' ? peer.node?.name === subject.node : peer.host === true && peer.node === subject.node);

interface Named { readonly index: IndexedWorld; readonly subject: Party; readonly own: PartyClass; readonly peer: Side; readonly address: Address | undefined; readonly traffic: Traffic }

/** The first rule that matches, or that it passes; else the isolation of the tier; undefined: the next tier decides. */
function inTier(named: Named, tier: TierRules): Where | { readonly left: NonNullable<Where['passed']> } | undefined {
  const found = tier.rules.find((candidate) => matches(named, candidate));
  if (found?.policy.subject.type === 'opaque') throw new Undecidable(found.policy, found.policy.subject);
  if (found !== undefined) return found.rule.action === 'Pass' ? { left: { policy: found.policy, rule: found.rule.name } } : { action: found.rule.action, tier: tier.tier, policy: found.policy, rule: found.rule.name, others: 0 };
  const isolating = tier.isolating[0];
  if (isolating === undefined) return undefined;
  const near = tier.rules.find(({ rule }) => rule.action === 'Allow' && rule.ports !== undefined && (rule.peers === undefined || rule.peers.some((peer) => peer.type !== 'opaque' && peerMatches(named, peer))));
  return { action: 'Deny', tier: tier.tier, policy: isolating, rule: 'default-deny', others: tier.isolating.length - 1, ...(near === undefined ? {} : { near }) };
}

function matches(named: Named, { policy, rule }: TierRule): boolean {
  return portsMatch(named.traffic, rule) && (rule.peers === undefined || peersMatch(named, policy, rule.peers));
}

/** What can be evaluated is asked first: a peer that cannot matters only where no other matches. */
function peersMatch(named: Named, policy: Policy, peers: readonly Peer[]): boolean {
  if (peers.some((peer) => peer.type !== 'opaque' && peerMatches(named, peer))) return true;
  const opaque = peers.find((peer): peer is Opaque => peer.type === 'opaque' && !(peer.outsideOnly && isPod(named.peer)));
  if (opaque !== undefined) throw new Undecidable(policy, opaque);
  return false;
}
const isPod = (peer: Side): boolean => peer.type === 'party' && peer.host !== true;

function peerMatches(named: Named, peer: Exclude<Peer, Opaque>): boolean {
  switch (peer.type) {
    case 'parties': return partyMatches(named, peer);
    case 'block': {
      const { address } = named;
      if (address === undefined) return isUnknown(named) && peer.block.length === 0 && peer.block.family === named.traffic.family && peer.except.length === 0;
      return contains(peer.block, address) && !peer.except.some((block) => contains(block, address));
    }
    case 'group': {
      const { peer: other, address } = named;
      return (isPod(other) && peer.parties.has(other.name)) || (address !== undefined && peer.blocks.some((block) => contains(block, address)));
    }
    case 'nodes': {
      const node = named.peer.type === 'outside' ? named.peer.node : nodeOf(named);
      return node !== undefined && named.index.nodeSelected(peer.tags, node);
    }
  }
}

/** A pod whose address the manifests do not say has one all the same: what holds for every address holds for it. */
const isUnknown = ({ peer }: Named): boolean => peer.addresses.length === 0;

/** The node whose address a host-networked pod speaks with. */
const nodeOf = ({ peer, index }: Named): ReturnType<IndexedWorld['node']> =>
  peer.type === 'party' && peer.host === true && peer.node !== undefined ? index.node(peer.node) : undefined;

function partyMatches({ index, own, peer }: Named, selector: PartySelector): boolean {
  if (peer.type === 'outside' || peer.host === true) return false;
  const other = index.classOf(peer);
  return index.inClass(selector, other) && (selector.same ?? []).every(({ of, key }) => {
    const [mine, theirs] = of === 'scope' ? [own.scopeTags, other.scopeTags] : [own.tags, other.tags];
    const value = tagOf(mine, key);
    return value !== undefined && value === tagOf(theirs, key);
  });
}

const portsMatch = (traffic: Traffic, rule: Rule): boolean => rule.ports === undefined || rule.ports.some((port) => portMatches(traffic, port));

function portMatches({ protocol, port, to }: Traffic, match: PortMatch): boolean {
  if (match.protocol !== undefined && match.protocol !== protocol) return false;
  if ('name' in match) return to.type === 'party' && to.ports.some((p) => p.name === match.name && p.protocol === protocol && p.port === port);
  return !('first' in match) || (port !== undefined && port >= match.first && port <= match.last);
}

/** Both sides in one answer: the first that denies, else the last that decided by a rule. */
function whole(traffic: Traffic, sides: { egress: Where | undefined; ingress: Where | undefined }, only?: 'self'): Decision {
  const nobody: Where = { action: 'Allow', tier: 'Default', policy: undefined, rule: only ?? 'default-allow', others: 0 };
  const { egress, ingress } = sides;
  const denying = egress?.action === 'Deny' ? 'egress' : ingress?.action === 'Deny' ? 'ingress' : undefined;
  const speaking = denying ?? (ingress !== undefined && (ingress.policy !== undefined || egress?.policy === undefined) ? 'ingress' : egress !== undefined ? 'egress' : 'ingress');
  const decided = (direction: Direction): Decided | undefined => {
    const where = sides[direction];
    return where === undefined ? undefined : { ...place(where), reason: sentence(traffic, direction, where) };
  };
  const where = sides[speaking] ?? nobody;
  return { verdict: where.action, ...named(where), reason: sentence(traffic, speaking, where), egress: decided('egress'), ingress: decided('ingress') };
}
const named = (where: Where): { tier: Tier | 'Network' | 'Default'; policy: string | null; kind: string | null; rule: string } =>
  ({ tier: where.tier, policy: where.policy?.name ?? null, kind: where.policy?.kind ?? null, rule: where.rule });
const place = (where: Where): Omit<Decided, 'reason'> => ({ verdict: where.action, ...named(where) });
