import { judge, meet, type Meeting, passes, portsMatch, rulesBetween, type Sides, Undecidable } from '../rules/decide.ts';
import type { IndexedWorld } from '../rules/index-world.ts';
import type { Direction, Party, Policy, Rule, Side } from '../rules/model.ts';
import { blocksFor, everybody, familiesOf, type Group, groupsOf, pairsOf } from './alike.ts';
import { protocols } from './ports.ts';
import { type Span, spanner } from './spans.ts';

/**
 * What is wrong with a rule that is there. `dead`: nobody here could ever match it. `unreachable`: whatever it matches, another rule decides before it.
 * `redundant`: it decides, and without it every verdict would be the same.
 */
export interface Finding {
  readonly finding: 'dead' | 'unreachable' | 'redundant';
  readonly kind: string;
  readonly policy: string;
  readonly direction: Direction | undefined;
  /** Undefined: the whole policy, which selects nobody. */
  readonly rule: string | undefined;
  /** The rules that decide in its place. */
  readonly by: readonly string[];
}

interface RuleAt { readonly policy: Policy; readonly rule: Rule; readonly direction: Direction }
const directions = ['ingress', 'egress'] as const;
export const ruleText = (policy: Pick<Policy, 'kind' | 'name'>, rule: string): string => (rule === 'default-deny' ? `the isolation of ${policy.kind} ${policy.name}` : `rule ${rule} of ${policy.kind} ${policy.name}`);

export function findings(index: IndexedWorld): Finding[] {
  return new Review(index).findings();
}

class Review {
  private readonly index: IndexedWorld;
  private readonly spansOf: ReturnType<typeof spanner>;
  private readonly groups: readonly Group[];
  /** Rules that decide something, as the first that matches. */
  private readonly reached = new Set<Rule>();
  /** Rules without which some verdict would be another. */
  private readonly needed = new Set<Rule>();
  constructor(index: IndexedWorld) {
    this.index = index;
    this.spansOf = spanner(protocols);
    const blocks = blocksFor([index]);
    this.groups = groupsOf([index], everybody([index], blocks), blocks);
  }

  findings(): Finding[] {
    const rules = this.index.world.policies.flatMap((policy) => directions.flatMap((direction) => policy[direction].map((rule): RuleAt => ({ policy, rule, direction }))));
    for (const meeting of this.meetings((rule) => !this.needed.has(rule))) this.first(meeting);
    const silent = new Set(rules.filter(({ rule }) => !this.reached.has(rule)).map(({ rule }) => rule));
    // Without them nothing changes, unless their being there is what isolates.
    const removable = new Set(rules.filter(({ rule, policy, direction }) => silent.has(rule) && policy.isolatesByRules?.includes(direction) !== true).map(({ rule }) => rule));
    const doubtful = new Set(rules.filter(({ rule }) => this.reached.has(rule) && !this.needed.has(rule)).map(({ rule }) => rule));
    const by = new Map<Rule, Set<string>>();
    for (const meeting of this.meetings((rule) => silent.has(rule) || doubtful.has(rule))) this.second(meeting, silent, doubtful, removable, by);
    return rules.length === 0 ? this.selectNobody() : [...this.selectNobody(), ...rules.flatMap((at) => this.findingOf(at, silent, by))];
  }

  private findingOf({ policy, rule, direction }: RuleAt, silent: ReadonlySet<Rule>, by: ReadonlyMap<Rule, ReadonlySet<string>>): Finding[] {
    if (this.nobody(policy) || this.needed.has(rule)) return [];
    const at = { kind: policy.kind, policy: policy.name, direction, rule: rule.name, by: [...(by.get(rule) ?? [])] };
    return [{ finding: !silent.has(rule) ? 'redundant' : by.has(rule) ? 'unreachable' : 'dead', ...at }];
  }

  private readonly nobodyOf = new Map<Policy, boolean>();
  private nobody(policy: Policy): boolean {
    const { subject } = policy;
    const known = this.nobodyOf.get(policy) ?? (subject.type === 'parties' && !this.index.world.parties.some((party) => party.host !== true && this.index.inClass(subject, this.index.classOf(party))));
    this.nobodyOf.set(policy, known);
    return known;
  }
  private selectNobody(): Finding[] {
    return this.index.world.policies.filter((policy) => this.nobody(policy)).map(({ kind, name }) => ({ finding: 'dead', kind, policy: name, direction: undefined, rule: undefined, by: [] }));
  }

  /** One meeting for each two groups and family, where a rule that is open to question could decide; also of somebody with himself, as replicas of one workload meet. */
  private *meetings(isOpen: (rule: Rule) => boolean): Generator<Meeting> {
    const { index, groups } = this;
    const of = (from: Side, to: Side): Meeting[] => familiesOf(from, to).map((family) => meet(index, from, to, family));
    const left = new Map<Group, Record<Direction, Rule[]>>(groups.map((group) => [group, { egress: this.rulesOf(group, 'egress'), ingress: this.rulesOf(group, 'ingress') }]));
    const open = (group: Group, direction: Direction): boolean => {
      const rules = left.get(group) as Record<Direction, Rule[]>;
      rules[direction] = rules[direction].filter(isOpen);
      return rules[direction].length > 0;
    };
    for (const from of groups) {
      for (const to of groups) {
        if (!open(from, 'egress') && !open(to, 'ingress')) continue;
        for (const { sample: [a, b] } of pairsOf(from, to)) yield* of(a.sides[0] as Side, b.sides[0] as Side);
      }
      for (const party of this.replicas(from)) yield* of(party, { ...party });
    }
  }
  private rulesOf({ members: [member] }: Group, direction: Direction): Rule[] {
    const side = member?.sides[0];
    return side?.type !== 'party' || side.host === true ? [] : this.index.classOf(side)[direction].flatMap(({ rules }) => rules.map(({ rule }) => rule));
  }
  private replicas({ members: [member, ...others] }: Group): Party[] {
    const side = member?.sides[0];
    return others.length === 0 && side?.type === 'party' ? [side] : [];
  }

  private spans(meeting: Meeting): ReadonlyMap<string, readonly Span[]> | undefined {
    try {
      return this.spansOf(meeting);
    } catch (error) {
      if (!(error instanceof Undecidable)) throw error;
      // Nothing is said of rules that stand beside what cannot be evaluated.
      for (const { rule } of rulesBetween(meeting)) {
        this.reached.add(rule);
        this.needed.add(rule);
      }
      return undefined;
    }
  }

  private first(meeting: Meeting): void {
    for (const [protocol, spans] of this.spans(meeting) ?? []) for (const { first, sides } of spans) {
      for (const direction of directions) {
        for (const rule of deciding(sides, direction)) {
          this.reached.add(rule);
          this.tryWithout(meeting, protocol, first, sides, rule);
        }
        for (const rule of isolating(sides, direction)) this.tryWithout(meeting, protocol, first, sides, rule);
      }
    }
  }

  private tryWithout(meeting: Meeting, protocol: string, port: number, sides: Sides, rule: Rule, others: ReadonlySet<Rule> = none): Sides | undefined {
    if (this.needed.has(rule)) return undefined;
    try {
      const then = judge(meeting, protocol, port, { without: new Set([...others, rule]) });
      if (passes(then) === passes(sides)) return then;
    } catch (error) {
      if (!(error instanceof Undecidable)) throw error;
    }
    this.needed.add(rule);
    return undefined;
  }

  /** Of rules that never decide: which do in their place. Of those that seem redundant: whether they still are without the ones that never decide. */
  private second(meeting: Meeting, silent: ReadonlySet<Rule>, doubtful: ReadonlySet<Rule>, removable: ReadonlySet<Rule>, by: Map<Rule, Set<string>>): void {
    const mine = [...rulesBetween(meeting)].filter(({ rule }) => silent.has(rule) || (doubtful.has(rule) && !this.needed.has(rule)));
    if (mine.length === 0) return;
    const say = ({ rule, policy }: { rule: Rule; policy: Policy }, sides: Sides, direction: Direction): void => {
      const found = sides[direction];
      const where = found?.passed !== undefined && found.passed.policy.tier === policy.tier && found.tier !== policy.tier ? { ...found.passed } : found;
      const names = by.get(rule) ?? new Set();
      if (where?.policy !== undefined) names.add(ruleText(where.policy, where.rule));
      else if (where !== undefined) names.add('no policy');
      by.set(rule, names);
    };
    for (const [protocol, spans] of this.spans(meeting) ?? []) for (const { first, sides } of spans) for (const at of mine) {
      const { rule, direction } = at;
      if (sides[direction] === undefined || !portsMatch({ protocol, port: first, to: meeting.to }, rule)) continue;
      if (silent.has(rule)) say(at, sides, direction);
      else if (deciding(sides, direction).includes(rule)) {
        const then = this.tryWithout(meeting, protocol, first, sides, rule, removable);
        if (then !== undefined) say(at, then, direction);
      }
    }
  }
}

const none: ReadonlySet<Rule> = new Set();
const deciding = (sides: Sides, direction: Direction): Rule[] => {
  const where = sides[direction];
  return where === undefined ? [] : [...(where.passing ?? []), ...(where.by === undefined ? [] : [where.by])];
};
/** Rules that keep up an isolation by being there. */
const isolating = (sides: Sides, direction: Direction): readonly Rule[] => {
  const where = sides[direction];
  return where?.rule === 'default-deny' && where.others === 0 && where.policy?.isolatesByRules?.includes(direction) === true ? where.policy[direction] : [];
};
