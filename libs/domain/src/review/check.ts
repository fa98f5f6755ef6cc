import type { Family } from '../net/address.ts';
import { contains } from '../net/address.ts';
import { decide, meet, type Meeting, passes, Undecidable } from '../rules/decide.ts';
import type { Decision } from '../rules/explain.ts';
import type { IndexedWorld } from '../rules/index-world.ts';
import type { Side } from '../rules/model.ts';
import { selects } from '../rules/selector.ts';
import { blocksFor, everybody, familiesOf, groupsOf, type Member, ownNode, type Pairs, pairsOf } from './alike.ts';
import type { Assertion, Who } from './assertions.ts';
import { type PortRange, protocols, type Range, within, without } from './ports.ts';
import { type Span, spanner } from './spans.ts';

/** The packet that shows an assertion wrong, and what was decided about it. */
export interface Counterexample {
  readonly expected: 'allow' | 'deny';
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: number;
  readonly family: Family | undefined;
  readonly decision: Decision;
}
export type Outcome = { readonly assertion: Assertion } & (
  | { readonly result: 'holds'; readonly pairs: number; readonly exempt: number }
  | { readonly result: 'fails'; readonly pairs: number; readonly exempt: number; readonly wrong: number; readonly counterexample: Counterexample }
  | { readonly result: 'vacuous'; readonly reason: string; readonly fix: string }
  | { readonly result: 'undecidable'; readonly reason: string });

/** Families by which a side is meant: bit 1 IPv4, bit 2 IPv6; 0: it is not meant. */
type Meant = number;
const bitOf = (family: Family | undefined): Meant => (family === undefined ? 3 : family === 4 ? 1 : 2);

function meant(index: IndexedWorld, who: Who, { sides: [side], label }: Member): Meant {
  if (side === undefined) return 0;
  if (who.type === 'outside') return side.type === 'outside' && side.node === undefined ? 3 : 0;
  const { block } = who;
  if (block !== undefined) return side.type === 'party' && (side.host === true || side.ended === true) ? 0 : side.addresses.some((address) => contains(block, address)) ? bitOf(block.family) : 0;
  if (side.type === 'outside') return 0;
  const among = (texts: readonly string[] | undefined, name: string): boolean => texts === undefined || texts.some((text) => name === text || name.endsWith(`/${text}`));
  const scopeTags = index.classOf(side).scopeTags;
  return among(who.scopes, side.scope) && among(who.names, label) && selects(who.tags, side.tags) && selects(who.scopeTags, scopeTags) ? 3 : 0;
}
const anyMeant = (index: IndexedWorld, list: readonly Who[], member: Member): Meant => list.reduce((mask, who) => mask | meant(index, who, member), 0);

interface Marked { readonly from: Meant; readonly to: Meant }

/** Who says what passes, if not the rules: of these sides, one by one. */
export interface Witness {
  readonly knows: (side: Side) => boolean;
  readonly spansOf: (meeting: Meeting, assertion: Assertion) => ReadonlyMap<string, readonly Span[]>;
}

/** Checks assertions against one world. */
export function checker(index: IndexedWorld, assertions: readonly Assertion[], witness?: Witness): (assertion: Assertion) => Outcome {
  const blocks = blocksFor([index], assertions.flatMap(({ from, to }) => [...from, ...to].flatMap(({ block }) => block ?? [])));
  const members = everybody([index], blocks).filter(({ sides: [side] }) => witness === undefined || (side !== undefined && witness.knows(side)));
  const alike = witness === undefined ? groupsOf([index], members, blocks) : members.map((member) => ({ members: [member] }));
  const groupOf = new Map(alike.flatMap((group, i) => group.members.map((member) => [member, i] as const)));
  const spansOf = spanner(protocols);
  return (assertion) => {
    for (const who of [...assertion.from, ...assertion.to]) {
      if (!assertion.mayBeEmpty && !members.some((member) => meant(index, who, member) > 0)) return vacuous(assertion, who, witness);
    }
    const marks = new Map(members.map((member): [Member, Marked] => [member, { from: anyMeant(index, assertion.from, member), to: anyMeant(index, assertion.to, member) }]));
    return new Check(index, assertion, members, marks, groupOf, witness === undefined ? spansOf : (meeting) => witness.spansOf(meeting, assertion)).run();
  };
}

const vacuous = (assertion: Assertion, { field, text }: Who, witness: Witness | undefined): Outcome => ({
  assertion, result: 'vacuous', reason: `${field.slice(assertion.field.length + 1)}: ${text} selects nobody${witness === undefined ? ', so this says nothing about the policies' : ' who can send or get a packet here, so nothing was tried'}.`,
  fix: witness === undefined ? 'Correct the selector or add what it selects to -f; where nobody may be there, write mayBeEmpty: true.' : 'Ask the rules about it instead of packets, or correct the selector.',
});

class Check {
  private readonly index: IndexedWorld;
  private readonly assertion: Assertion;
  private readonly groups: ReturnType<typeof groupsOf>;
  private readonly marks: ReadonlyMap<Member, Marked>;
  private readonly spansOf: ReturnType<typeof spanner>;
  private counts = { pairs: 0, exempt: 0, wrong: 0 };
  private first: Counterexample | undefined;
  private undecided: string | undefined;

  constructor(index: IndexedWorld, assertion: Assertion, members: readonly Member[], marks: ReadonlyMap<Member, Marked>, groupOf: ReadonlyMap<Member, number>, spansOf: ReturnType<typeof spanner>) {
    this.index = index;
    this.assertion = assertion;
    this.marks = marks;
    this.spansOf = spansOf;
    const groups = new Map<string, Member[]>();
    for (const member of members) {
      const { from, to } = marks.get(member) as Marked;
      const key = `${groupOf.get(member)} ${from} ${to}`;
      groups.set(key, [...(groups.get(key) ?? []), member]);
    }
    this.groups = [...groups.values()].map((of) => ({ members: of }));
  }

  run(): Outcome {
    const { assertion, groups } = this;
    const mark = (group: { members: readonly Member[] }): Marked => this.marks.get(group.members[0] as Member) as Marked;
    for (const from of groups) for (const to of groups) {
      const [a, b] = [mark(from), mark(to)];
      if (assertion.expect !== 'onlyFrom' && a.from === 0) continue;
      if (assertion.expect !== 'onlyTo' && b.to === 0) continue;
      for (const pairs of pairsOf(from, to)) {
        try {
          this.pair(pairs, a, b);
        } catch (error) {
          if (!(error instanceof Undecidable)) throw error;
          this.undecided ??= error.message;
        }
      }
    }
    const { pairs, exempt, wrong } = this.counts;
    if (this.first !== undefined) return { assertion, result: 'fails', pairs, exempt, wrong, counterexample: this.first };
    if (this.undecided !== undefined) return { assertion, result: 'undecidable', reason: this.undecided };
    if (pairs === 0 && !assertion.mayBeEmpty) {
      return { assertion, result: 'vacuous', reason: 'there is no pair of two that could exchange a packet: nobody is paired with himself, and addresses are of one family.', fix: 'Correct the selectors; where there may be none, write mayBeEmpty: true.' };
    }
    return { assertion, result: 'holds', pairs, exempt };
  }

  private pair(pairs: Pairs, { from: fromMeant }: Marked, { to: toMeant }: Marked): void {
    const [from, to] = pairs.sample.map(({ sides }) => sides[0]) as [Side, Side];
    const { expect } = this.assertion;
    const only = expect === 'onlyFrom' || expect === 'onlyTo';
    const [chosen, fixed] = expect === 'onlyFrom' ? [fromMeant, toMeant] : [toMeant, fromMeant];
    let [asked, wrong, exempt] = [false, false, false];
    for (const family of familiesOf(from, to)) {
      const bit = bitOf(family);
      if ((fixed & bit) === 0) continue;
      const isChosen = (chosen & bit) > 0;
      if (!only && !isChosen) continue;
      asked = true;
      const spans = this.spansOf(meet(this.index, from, to, family));
      const found = expect === 'allow' || (only && isChosen) ? this.notAllowed(spans, only) : this.passing(spans, only);
      // That a pod and its own node reach each other no NetworkPolicy can forbid, so it is held against nobody who was not named.
      if (found !== undefined && only && !isChosen && ownNode(from, to)) exempt = true;
      else if (found !== undefined) {
        wrong = true;
        this.first ??= this.counterexample(pairs, { ...found, family });
      }
    }
    if (asked) this.counts.pairs += pairs.count;
    if (wrong) this.counts.wrong += pairs.count;
    else if (exempt) this.counts.exempt += pairs.count;
  }

  private portsOf(protocol: string): Range[] {
    const { ports } = this.assertion;
    return ports === undefined ? without(protocol, []) : ports.filter((port: PortRange) => port.protocol === protocol);
  }

  /** A port on which somebody gets through who should not. */
  private passing(spans: ReadonlyMap<string, readonly Span[]>, only: boolean): Found | undefined {
    const everywhere = only && this.assertion.otherPorts === 'denied';
    return this.find(spans, (protocol) => (everywhere ? without(protocol, []) : this.portsOf(protocol)), true);
  }
  /** A port on which somebody should get through and does not, or, of one who alone may, gets through elsewhere. */
  private notAllowed(spans: ReadonlyMap<string, readonly Span[]>, only: boolean): Found | undefined {
    if (this.assertion.ports === undefined) return [...spans.values()].flat().some(({ sides }) => passes(sides)) ? undefined : this.find(spans, (protocol) => without(protocol, []), false);
    const denied = this.find(spans, (protocol) => this.portsOf(protocol), false);
    if (denied !== undefined || !only || this.assertion.otherPorts === 'ignored') return denied;
    return this.find(spans, (protocol) => without(protocol, this.portsOf(protocol)), true);
  }

  private find(spans: ReadonlyMap<string, readonly Span[]>, ports: (protocol: string) => readonly Range[], passing: boolean): Found | undefined {
    for (const [protocol, list] of spans) {
      const asked = ports(protocol);
      for (const span of list) {
        if (passes(span.sides) !== passing) continue;
        const [hit] = within([span], asked);
        if (hit !== undefined) return { protocol, port: usual(protocol, hit), expected: passing ? 'deny' : 'allow' };
      }
    }
    return undefined;
  }

  private counterexample({ sample: [a, b] }: Pairs, found: Found & { readonly family: Family | undefined }): Counterexample {
    const [from, to] = [a.sides[0], b.sides[0]] as [Side, Side];
    return { ...found, from: a.name, to: b.name, decision: decide(this.index, { from, to, ...found }) };
  }
}
interface Found { readonly protocol: string; readonly port: number; readonly expected: 'allow' | 'deny' }

/** Of ports that are decided alike, one that a person knows. */
const echo = 8 << 8;
export const usual = (protocol: string, { first, last }: Range): number => (protocol === 'ICMP' ? [echo] : [443, 80, 22]).find((port) => port >= first && port <= last) ?? first;

/** Whose rules would have to change so that the packet meets what is expected: where it passes, those of either side; where not, those that deny. */
export function toChange({ expected, decision }: Counterexample): string[] {
  const sides = (['egress', 'ingress'] as const).flatMap((direction) => {
    const of = decision[direction];
    return of === undefined ? [] : [{ direction, of }];
  });
  if (expected === 'allow') return sides.filter(({ of }) => of.verdict === 'Deny').map(({ of }) => (of.policy === null ? 'the networks themselves: no rule can open this' : `${of.rule === 'default-deny' ? 'add a rule to' : `rule ${of.rule} of`} ${of.kind} ${of.policy}`));
  return [...sides].sort((a, b) => Number(a.of.policy === null) - Number(b.of.policy === null)).map(({ direction, of }) => (of.policy === null ? `add a policy that isolates the ${direction} of the ${direction === 'egress' ? 'source' : 'destination'}` : `rule ${of.rule} of ${of.kind} ${of.policy}`));
}
