import type { Identity } from './identity.ts';
import type { Instance } from './instance.ts';
import { type Action, type Digest, type Direction, type RuleInfo, ruleKey } from './model.ts';
import { byText, type OrderedRule, orderedRules } from './order.ts';
import { around, depthOf, everything, type Region, regionKey } from './region.ts';

/**
 * The compiler: from the policies that select an endpoint to the entries that the kernel looks up, in terms of meanings, not numbers.
 *
 *   rules in order ──► per peer (one identity, or any): what decides each region ──► entries
 *
 * The kernel looks twice, for the exact peer and for any peer, takes the longest prefix of each, and of the two the higher precedence.
 * Precedence counts down along the order, so that the higher of the two is the rule that comes first.
 */
export interface Entry {
  readonly direction: Direction;
  /** Digest of the peer's identity; undefined: any peer. */
  readonly peer: string | undefined;
  readonly region: Region;
  readonly action: Action;
  readonly precedence: number;
  readonly rule: string;
}

export interface Program {
  readonly digest: string;
  readonly environment: string;
  readonly entries: readonly Entry[];
  /** By rule key. */
  readonly rules: ReadonlyMap<string, RuleInfo>;
}

const directions: readonly Direction[] = ['egress', 'ingress'];

/** The program of the endpoints that exactly these policies select. `identities`: the classes of all endpoints that could be a peer. */
export function compileProgram(environment: string, selected: readonly Instance[], identities: readonly Identity[], digest: Digest): Program {
  const entries: Entry[] = [];
  const rules = new Map<string, RuleInfo>();
  for (const direction of directions) {
    for (const entry of compileDirection(orderedRules(selected, direction), direction, identities)) {
      entries.push(entry.entry);
      rules.set(entry.entry.rule, entry.info);
    }
  }
  return { digest: digest(programMeaning(environment, entries)), environment, entries, rules };
}

type Compiled = { entry: Entry; info: RuleInfo };
interface Ranked { readonly rule: OrderedRule; readonly precedence: number }

function compileDirection(rules: readonly OrderedRule[], direction: Direction, identities: readonly Identity[]): Compiled[] {
  const places = new Set(rules.map((one) => one.rule ?? one));
  const precedences = new Map([...places].map((one, i) => [one, places.size - i]));
  const ranked = rules.map((rule): Ranked => ({ rule, precedence: precedences.get(rule.rule ?? rule) ?? 0 }));
  const forAnyone = ranked.filter(({ rule }) => rule.peers === undefined);
  const out = entriesFor(forAnyone, direction, undefined);
  const byPeer = new Map<string, Ranked[]>();
  for (const one of ranked) for (const text of one.rule.peers ?? []) {
    const those = byPeer.get(text);
    if (those) those.push(one);
    else byPeer.set(text, [one]);
  }
  if (byPeer.size === 0) return out;
  const leaves = forAnyone.some(isPass);
  for (const identity of [...identities].sort((a, b) => byText(a.digest, b.digest))) {
    const own = [...new Set(identity.matchers.flatMap((text) => byPeer.get(text) ?? []))];
    if (own.length === 0) continue;
    // A Pass takes rules out of the order that come between it and the end of its tier, so what is decided for this peer and for any cannot be told apart any
    // more by which comes first: then the entries of this peer are the whole answer, and come before all of anyone's.
    const whole = leaves || own.some(isPass);
    const mine = whole ? [...own, ...forAnyone].map(({ rule, precedence }) => ({ rule, precedence: precedence + places.size })) : own;
    out.push(...entriesFor(mine, direction, identity.digest));
  }
  return out;
}
const isPass = ({ rule }: Ranked): boolean => rule.action === 'Pass';

/**
 * First match by longest prefix. Regions lie within each other or apart, so which rules cover a packet is said by the innermost region that any rule names
 * around it: for each such region the rule that decides is worked out, and where it is the one of the region around, no entry is needed.
 */
function entriesFor(rules: readonly Ranked[], direction: Direction, peer: string | undefined): Compiled[] {
  const naming = new Map<string, { readonly region: Region; readonly rules: Ranked[] }>();
  for (const one of rules) for (const region of one.rule.regions ?? [everything]) {
    const key = regionKey(region);
    const known = naming.get(key);
    if (known === undefined) naming.set(key, { region, rules: [one] });
    else known.rules.push(one);
  }
  const depths = [...new Set([...naming.values()].map(({ region }) => depthOf(region)))].sort((a, b) => a - b);
  const decided = new Map<string, RuleInfo | undefined>();
  const found: { key: string; compiled: Compiled }[] = [];
  for (const depth of depths) for (const [key, { region }] of naming) {
    if (depthOf(region) !== depth) continue;
    const wider = around(region, depths).map(regionKey);
    const first = firstOf(wider.flatMap((one) => naming.get(one)?.rules ?? []));
    const info = first?.rule.info;
    decided.set(key, info);
    const outside = wider.slice(0, -1).findLast((one) => decided.has(one));
    if (first === undefined || info === undefined || (outside !== undefined && decided.get(outside) === info)) continue;
    found.push({ key, compiled: { entry: { direction, peer, region, action: info.action, precedence: first.precedence, rule: ruleKey(info) }, info } });
  }
  return found.sort((a, b) => byText(a.key, b.key)).map(({ compiled }) => compiled);
}

/** The rule that decides, of those that match: the first, unless a Pass before it leaves its tier. */
function firstOf(rules: readonly Ranked[]): Ranked | undefined {
  let left: number | undefined;
  for (const one of [...rules].sort((a, b) => b.precedence - a.precedence)) {
    if (one.rule.tier === left) continue;
    if (!isPass(one)) return one;
    left = one.rule.tier;
  }
  return undefined;
}

/** The text whose digest names a program; worked out again from what is read back of the kernel. */
export function programMeaning(environment: string, entries: readonly Entry[]): string {
  const lines = entries.map((e) => [e.direction, e.peer ?? '*', regionKey(e.region), e.action, e.precedence, e.rule].join(' '));
  return ['program', environment, ...lines.sort()].join('\n');
}
