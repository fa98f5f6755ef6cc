import type { Identity } from './identity.ts';
import { type Action, type Digest, type Direction, type Policy, type RuleInfo, ruleKey } from './model.ts';
import { byText, type OrderedRule, orderedRules } from './order.ts';
import { canonical } from './selector.ts';

/**
 * The compiler: from the policies that select an endpoint to the entries that the kernel looks up, in terms of meanings, not numbers.
 *
 *   rules in order ──► per peer (one identity, or any): fold into regions ──► entries
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
/** What of (protocol, port) an entry covers: everything, one protocol, or one port of one protocol. */
export interface Region { readonly protocol: number | undefined; readonly port: number | undefined }

export interface Program {
  readonly digest: string;
  readonly environment: string;
  readonly entries: readonly Entry[];
  /** By rule key. */
  readonly rules: ReadonlyMap<string, RuleInfo>;
}

const directions: readonly Direction[] = ['egress', 'ingress'];

/** The program of the endpoints that exactly these policies select. `identities`: the classes of all endpoints that could be a peer. */
export function compileProgram(environment: string, selected: readonly Policy[], identities: readonly Identity[], digest: Digest): Program {
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

function compileDirection(rules: readonly OrderedRule[], direction: Direction, identities: readonly Identity[]): Compiled[] {
  const ranked = rules.map((rule, i) => {
    const texts = rule.peers?.map(canonical);
    // A peer that may be anyone makes the whole rule one for any peer.
    return { rule, precedence: rules.length - i, peers: texts?.includes('') ? undefined : texts };
  });
  const out = fold(ranked.filter((r) => r.peers === undefined), direction, undefined);
  const specific = ranked.filter((r) => r.peers !== undefined);
  if (specific.length === 0) return out;
  for (const identity of [...identities].sort((a, b) => byText(a.digest, b.digest))) {
    const has = new Set(identity.selectors);
    out.push(...fold(specific.filter((r) => r.peers?.some((text) => has.has(text))), direction, identity.digest));
  }
  return out;
}

/**
 * First match by longest prefix: a region is taken by the first rule that names it, and not at all where an earlier rule has taken
 * a region around it. So of the regions around a packet the innermost always belongs to the earliest rule.
 */
function fold(rules: readonly { rule: OrderedRule; precedence: number }[], direction: Direction, peer: string | undefined): Compiled[] {
  const taken = new Map<string, Compiled>();
  for (const { rule, precedence } of rules) {
    for (const region of rule.ports ?? [{ protocol: undefined, port: undefined }]) {
      if (around(region).some((r) => taken.has(regionKey(r)))) continue;
      const { action } = rule.info;
      taken.set(regionKey(region), { entry: { direction, peer, region, action, precedence, rule: ruleKey(rule.info) }, info: rule.info });
    }
  }
  return [...taken].sort(([a], [b]) => byText(a, b)).map(([, compiled]) => compiled);
}

function around(region: Region): Region[] {
  const all = { protocol: undefined, port: undefined };
  if (region.protocol === undefined) return [all];
  if (region.port === undefined) return [all, region];
  return [all, { protocol: region.protocol, port: undefined }, region];
}
const regionKey = (r: Region): string => `${r.protocol ?? '*'}:${r.port ?? '*'}`;

/** The text whose digest names a program; worked out again from what is read back of the kernel. */
export function programMeaning(environment: string, entries: readonly Entry[]): string {
  const lines = entries.map((e) => [e.direction, e.peer ?? '*', regionKey(e.region), e.action, e.precedence, e.rule].join(' '));
  return ['program', environment, ...lines.sort()].join('\n');
}
