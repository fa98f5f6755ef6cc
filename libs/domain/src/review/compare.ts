import type { Family } from '../net/address.ts';
import { meet, passes, place, speaking, type Sides, Undecidable } from '../rules/decide.ts';
import type { Decided } from '../rules/explain.ts';
import type { IndexedWorld, PartyClass } from '../rules/index-world.ts';
import type { Direction, Policy, Side } from '../rules/model.ts';
import { blocksFor, everybody, familiesOf, type Group, groupsOf, isOutside, type Member, ownNode, type Pairs, pairsOf } from './alike.ts';
import { joined, type PortRange, protocols } from './ports.ts';
import { type Span, spanner } from './spans.ts';

/** Why a pair opens or closes: what decides now, or what did and does no more. */
export type Cause =
  | ({ readonly type: 'now' | 'no-longer' } & Omit<Decided, 'reason'>)
  | { readonly type: 'new' | 'gone' };
export interface Change {
  readonly effect: 'opens' | 'closes';
  readonly pairs: readonly Pairs[];
  readonly count: number;
  readonly ports: readonly PortRange[];
  /** Empty where an address outside says it. */
  readonly families: readonly (Family | undefined)[];
  readonly cause: Cause;
}
export interface Comparison { readonly changes: readonly Change[]; readonly members: readonly Member[]; /** What cannot be evaluated, and how many pairs depend on it. */ readonly undecided: ReadonlyMap<string, number>; readonly endpoints: { readonly new: readonly string[]; readonly gone: readonly string[] } }

const closed: ReadonlyMap<string, readonly Span[]> = new Map();

/** What passes after a change and did not before, and the other way round, over every pair, family, protocol and port. */
export function compare(before: IndexedWorld, after: IndexedWorld): Comparison {
  const worlds = [before, after];
  const blocks = blocksFor(worlds);
  const members = everybody(worlds, blocks);
  const groups = groupsOf(worlds, members, blocks);
  const spansOf = worlds.map(() => spanner(protocols));
  const rows: Row[] = [];
  const undecided = new Map<string, number>();
  const isSame = unchanged(before, after);
  const same = new Map(groups.map((group) => [group, { egress: isSame(group, 'egress'), ingress: isSame(group, 'ingress') }]));
  for (const from of groups) for (const to of groups) for (const pairs of same.get(from)?.egress === true && same.get(to)?.ingress === true ? [] : pairsOf(from, to)) {
    try {
      rows.push(...rowsOf(worlds, spansOf, pairs, protocols));
    } catch (error) {
      if (!(error instanceof Undecidable)) throw error;
      undecided.set(error.message, (undecided.get(error.message) ?? 0) + pairs.count);
    }
  }
  const only = (here: number, there: number): string[] => members.filter(({ sides }) => sides[here]?.type === 'party' && sides[there] === undefined).map(({ name }) => name);
  return { changes: merged(rows), members, undecided, endpoints: { new: only(1, 0), gone: only(0, 1) } };
}

/** Whether somebody of a group is the same in both worlds, and has the same policies in a direction: then so is what is decided there for all of the group. */
function unchanged(...worlds: [IndexedWorld, IndexedWorld]): (group: Group, direction: Direction) => boolean {
  const ids = new Map<string, number>();
  const known = new Map<Policy, number>();
  const idOf = (policy: Policy): number => {
    const before = known.get(policy);
    if (before !== undefined) return before;
    const text = JSON.stringify(policy, (_key, value: unknown) => (value instanceof Set ? [...value].sort() : value));
    ids.set(text, ids.get(text) ?? ids.size);
    known.set(policy, ids.get(text) as number);
    return ids.get(text) as number;
  };
  const ofClass = new Map<PartyClass, Record<Direction, string>>();
  const textOf = (of: PartyClass): Record<Direction, string> => {
    const rules = (direction: Direction): string => JSON.stringify(of[direction].map(({ rules: list, isolating }) => [[...new Set(list.map(({ policy }) => idOf(policy)))], isolating.map(idOf)]));
    const both = ofClass.get(of) ?? { egress: rules('egress'), ingress: rules('ingress') };
    ofClass.set(of, both);
    return both;
  };
  const seen = (index: IndexedWorld, side: Side | undefined, direction: Direction): string | undefined => {
    if (side === undefined) return undefined;
    const node = side.type === 'outside' ? side.node : side.host === true && side.node !== undefined ? index.node(side.node) : undefined;
    const own = side.type === 'party' && side.host !== true ? index.classOf(side) : undefined;
    return JSON.stringify([side, node, own?.scopeTags, own === undefined ? '' : textOf(own)[direction]]);
  };
  // Nodes are no look of a pod, and who meets his own node there may be another in each world.
  const nodeOf = (side: Side | undefined): string | undefined => (side?.type === 'outside' ? side.node?.name : side?.node);
  return ({ members }, direction) => members.every(({ sides: [a, b] }) => nodeOf(a) === nodeOf(b)) && members.some(({ sides: [a, b] }) => {
    const text = seen(worlds[0], a, direction);
    return text !== undefined && text === seen(worlds[1], b, direction);
  });
}

interface Row { readonly key: string; readonly pairs: Pairs; readonly change: Omit<Change, 'pairs' | 'count'> }

function rowsOf(worlds: readonly IndexedWorld[], spansOf: readonly ReturnType<typeof spanner>[], pairs: Pairs, protocols: readonly string[]): Row[] {
  const [a, b] = pairs.sample;
  const sides = worlds.map((_, i) => ({ from: a.sides[i], to: b.sides[i] }));
  const families = sides.map(({ from, to }) => (from === undefined || to === undefined ? [] : familiesOf(from, to)));
  const found = new Map<string, { effect: Change['effect']; cause: Cause; ports: PortRange[]; family: Family | undefined }>();
  for (const family of new Set(families.flat())) {
    const [old, now] = worlds.map((index, i) => {
      const { from, to } = sides[i] as (typeof sides)[number];
      return from === undefined || to === undefined || families[i]?.includes(family) !== true ? closed : spansOf[i]?.(meet(index, from, to, family)) ?? closed;
    });
    for (const protocol of protocols) if (!isPlain(old?.get(protocol), now?.get(protocol))) for (const { first, last, before, after } of sideBySide(old?.get(protocol) ?? [], now?.get(protocol) ?? [])) {
      const [passed, passing] = [before !== undefined && passes(before), after !== undefined && passes(after)];
      if (passed === passing) continue;
      const effect = passing ? 'opens' : 'closes';
      const cause = causeOf(before, after);
      const key = JSON.stringify([effect, family ?? 0, cause]);
      const known = found.get(key) ?? { effect, cause, ports: [], family };
      known.ports.push({ protocol, first, last });
      found.set(key, known);
    }
  }
  const byAddress = pairs.sample.some(({ name }) => name.startsWith('ip:'));
  return oneForFamilies([...found.values()].map(({ family, ...rest }) => ({ ...rest, families: byAddress ? [] : [family], ports: tidy(rest.ports) }))).map((change) => ({ key: JSON.stringify([change, relation(pairs)]), pairs, change }));
}

/** One span on either side, and the same verdict: most pairs of most changes. */
const isPlain = ([a, ...more]: readonly Span[] = [], [b, ...others]: readonly Span[] = []): boolean => a !== undefined && b !== undefined && more.length + others.length === 0 && passes(a.sides) === passes(b.sides);

/** Whether the pairs are those of a pod and its own node, or those that are not. */
const relation = ({ only, sample: [a, b] }: Pairs): string => (only === undefined ? '' : a.sides.map((side, i) => ownNode(side, b.sides[i])).join());

const tidy = (ports: readonly PortRange[]): PortRange[] =>
  [...new Set(ports.map(({ protocol }) => protocol))].flatMap((protocol) => joined(ports.filter((port) => port.protocol === protocol)).map((range) => ({ protocol, ...range })));

function oneForFamilies(changes: readonly Row['change'][]): Row['change'][] {
  const found = new Map<string, Row['change']>();
  for (const change of changes) {
    const key = JSON.stringify([change.effect, change.cause, change.ports]);
    const known = found.get(key);
    found.set(key, known === undefined ? change : { ...known, families: [...known.families, ...change.families] });
  }
  return [...found.values()];
}

/** Two lists of spans cut at the borders of both. */
function* sideBySide(old: readonly Span[], now: readonly Span[]): Generator<{ first: number; last: number; before: Sides | undefined; after: Sides | undefined }> {
  const borders = [...new Set([...old, ...now].flatMap(({ first, last }) => [first, last + 1]))].sort((a, b) => a - b);
  let [i, j] = [0, 0];
  for (const [at, first] of borders.slice(0, -1).entries()) {
    const last = (borders[at + 1] as number) - 1;
    while ((old[i]?.last ?? Infinity) < first) i++;
    while ((now[j]?.last ?? Infinity) < first) j++;
    yield { first, last, before: old[i]?.sides, after: now[j]?.sides };
  }
}

function causeOf(before: Sides | undefined, after: Sides | undefined): Cause {
  if (before === undefined) return { type: 'new' };
  if (after === undefined) return { type: 'gone' };
  if (!passes(after)) return { type: 'now', ...place(after[speaking(after)] as NonNullable<Sides['egress']>) };
  const direction = speaking(before);
  const now = after[direction];
  return now?.policy === undefined ? { type: 'no-longer', ...place(before[direction] as NonNullable<Sides['egress']>) } : { type: 'now', ...place(now) };
}

/** Rows that say the same of several groups become one: first over the sources, then over the destinations. */
function merged(rows: readonly Row[]): Change[] {
  const ids = new Map<Group, number>();
  const idOf = (group: Group): number => {
    if (!ids.has(group)) ids.set(group, ids.size);
    return ids.get(group) as number;
  };
  const bySource = new Map<string, { key: string; to: Group; from: Set<number>; pairs: Pairs[]; change: Row['change'] }>();
  for (const { key, pairs, change } of rows) {
    const at = `${key} ${idOf(pairs.to)}`;
    const known = bySource.get(at) ?? { key, to: pairs.to, from: new Set(), pairs: [], change };
    known.from.add(idOf(pairs.from));
    known.pairs.push(pairs);
    bySource.set(at, known);
  }
  const textOf = (key: string, from: Iterable<number>): string => `${key} ${[...from].sort((x, y) => x - y).join()}`;
  // Somebody alone in his group has no pair with himself, and may be meant all the same where all others are.
  const namesOf = ({ key, to, from }: { key: string; to: Group; from: ReadonlySet<number> }): string[] =>
    [textOf(key, from), ...(to.members.length === 1 && !isOutside(to) && !from.has(idOf(to)) ? [textOf(key, [...from, idOf(to)])] : [])];
  const times = new Map<string, number>();
  for (const row of bySource.values()) for (const name of namesOf(row)) times.set(name, (times.get(name) ?? 0) + 1);
  const whole = new Map<string, { pairs: Pairs[]; change: Row['change'] }>();
  for (const row of bySource.values()) {
    const { pairs, change } = row;
    const [alone = '', withSelf = alone] = namesOf(row);
    const at = (times.get(withSelf) ?? 0) > (times.get(alone) ?? 0) ? withSelf : alone;
    const known = whole.get(at) ?? { pairs: [], change };
    known.pairs.push(...pairs);
    whole.set(at, known);
  }
  return [...whole.values()].map(({ pairs, change }) => ({ ...change, pairs, count: pairs.reduce((sum, { count }) => sum + count, 0) }));
}
