import type { Identity } from './identity.ts';
import type { Instance, SubjectRule } from './instance.ts';
import { type Digest, type Direction, type RuleAction, type RuleInfo, ruleKey } from './model.ts';
import { byText, defaultRule, turnOf } from './order.ts';
import { around, depthOf, everything, type Region, regionKey } from './region.ts';

/**
 * The compiler: from the policies that select an endpoint to what the kernel looks up, in terms of meanings, not numbers.
 *
 *   policies of an endpoint ──► program: a slot for each ──► layer: what one policy means ──► entries: per peer (one identity, or any), what decides each region
 *
 * The kernel asks every layer, in each for the exact peer and for any peer by the longest prefix; of what it finds in a tier the one whose turn comes first counts, and
 * the first tier in which that is not a Pass decides. So a policy that changes is one other layer, for however many endpoints.
 */
export interface Entry {
  readonly direction: Direction;
  /** Digest of the peer's identity; undefined: any peer. */
  readonly peer: string | undefined;
  readonly region: Region;
  readonly action: RuleAction;
  /** When it is asked, among all rules; `place` among those of one turn. */
  readonly turn: string;
  readonly place: number;
  readonly rule: string;
}
/** What the policies of one slot mean. */
export interface Layer {
  readonly digest: string;
  readonly entries: readonly Entry[];
  /** By rule key. */
  readonly rules: ReadonlyMap<string, RuleInfo>;
}
/** What endpoints run that the same policies select: slots, by digest of what is in them. */
export interface Program { readonly digest: string; readonly environment: string; readonly slots: readonly string[] }

/** Policies that are compiled into one layer: one, or those of a tier. */
export interface Part { readonly id: string; readonly tier: number; readonly view: string }
const slotMeaning = (environment: string, parts: readonly Part[]): string => JSON.stringify(['slot', environment, ...parts.map(({ id, view }) => [id, view])]);

/**
 * The slots of those that these policies select: one for each policy, as long as there is room; else one for each tier. And one for what is where nothing was decided.
 * `room`: slots of a program, no fewer than there are tiers and one more.
 */
export function slotsOf<P extends Part>(environment: string, selected: readonly P[], room: number, digest: Digest): { readonly slot: string; readonly parts: readonly P[] }[] {
  const alone = selected.map((part) => [part]);
  const groups = alone.length < room ? alone : [...new Set(selected.map(({ tier }) => tier))].map((of) => selected.filter(({ tier }) => tier === of));
  return [[], ...groups].map((parts) => ({ slot: digest(slotMeaning(environment, parts)), parts }));
}
export const programOf = (environment: string, slots: readonly string[], digest: Digest): Program =>
  ({ digest: digest(programMeaning(slots)), environment, slots });
export const programMeaning = (slots: readonly string[]): string => ['program', ...[...slots].sort()].join('\n');

const directions: readonly Direction[] = ['egress', 'ingress'];

/** `instances`: of one tier; none: the default. `identities`: the classes of all endpoints that could be a peer. */
export function compileLayer(instances: readonly Instance[], identities: readonly Identity[], digest: Digest): Layer {
  const entries: Entry[] = [];
  const rules = new Map<string, RuleInfo>();
  for (const direction of directions) {
    for (const { entry, info } of compileDirection(rulesOf(instances, direction), direction, identities)) {
      entries.push(entry);
      rules.set(entry.rule, info);
    }
  }
  return { digest: digest(layerMeaning(entries)), entries, rules };
}

interface Ranked extends SubjectRule { readonly turn: string }
type Compiled = { entry: Entry; info: RuleInfo };

/** In the order of their turns. */
function rulesOf(instances: readonly Instance[], direction: Direction): Ranked[] {
  if (instances.length === 0) return [defaultRule(direction, undefined)];
  const all = instances.flatMap((instance) => [
    ...instance[direction].map((rule): Ranked => ({ ...rule, turn: turnOf(instance.policy, rule.info.action) })),
    ...(instance.policy.isolates.includes(direction) ? [defaultRule(direction, instance.policy)] : []),
  ]);
  return all.sort((a, b) => byText(a.turn, b.turn) || a.info.index - b.info.index);
}

function compileDirection(rules: readonly Ranked[], direction: Direction, identities: readonly Identity[]): Compiled[] {
  const out = entriesFor(rules.filter(({ peers }) => peers === undefined), direction, undefined);
  const byPeer = new Map<string, number[]>();
  for (const [at, { peers }] of rules.entries()) for (const text of peers ?? []) {
    const those = byPeer.get(text);
    if (those) those.push(at);
    else byPeer.set(text, [at]);
  }
  if (byPeer.size === 0) return out;
  for (const identity of [...identities].sort((a, b) => byText(a.digest, b.digest))) {
    const own = new Set(identity.matchers.flatMap((text) => byPeer.get(text) ?? []));
    if (own.size > 0) out.push(...entriesFor([...own].sort((a, b) => a - b).map((at) => rules[at] as Ranked), direction, identity.digest));
  }
  return out;
}

/**
 * First match by longest prefix. Regions lie within each other or apart, so which rules cover a packet is said by the innermost region that any rule names
 * around it: for each such region the first rule that covers it is found, and where it is the one of the region around, no entry is needed.
 */
function entriesFor(rules: readonly Ranked[], direction: Direction, peer: string | undefined): Compiled[] {
  const naming = new Map<string, { readonly region: Region; readonly first: number }>();
  rules.forEach((one, first) => {
    for (const region of one.regions ?? [everything]) if (!naming.has(regionKey(region))) naming.set(regionKey(region), { region, first });
  });
  const depths = [...new Set([...naming.values()].map(({ region }) => depthOf(region)))].sort((a, b) => a - b);
  const decided = new Map<string, RuleInfo>();
  const found: { key: string; compiled: Compiled }[] = [];
  for (const depth of depths) for (const [key, { region }] of naming) {
    if (depthOf(region) !== depth) continue;
    const wider = around(region, depths).map(regionKey);
    const { info, turn } = rules[Math.min(...wider.map((one) => naming.get(one)?.first ?? rules.length))] as Ranked;
    decided.set(key, info);
    const outside = wider.slice(0, -1).findLast((one) => decided.has(one));
    if (outside !== undefined && decided.get(outside) === info) continue;
    found.push({ key, compiled: { entry: { direction, peer, region, action: info.action, turn, place: info.index, rule: ruleKey(info) }, info } });
  }
  return found.sort((a, b) => byText(a.key, b.key)).map(({ compiled }) => compiled);
}

/** The text whose digest names a layer; worked out again from what is read back of the kernel. */
export function layerMeaning(entries: readonly Entry[]): string {
  const lines = entries.map((e) => [e.direction, e.peer ?? '*', regionKey(e.region), e.action, JSON.stringify(e.turn), e.place, e.rule].join(' '));
  return ['layer', ...lines.sort()].join('\n');
}
