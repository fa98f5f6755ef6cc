import { addressKey } from '../net/address.ts';
import { type Direction, denyFirst, type Node, type Outside, type Party, type PartySelector, type Policy, type Rule, type Side, type TagSelector, type Tags, type Tier, tiers, type World } from './model.ts';
import { canonical, selects } from './selector.ts';

export interface TierRule { readonly policy: Policy; readonly rule: Rule }
/** What decides one direction of a class of parties in one tier. */
export interface TierRules { readonly tier: Tier; readonly rules: readonly TierRule[]; readonly isolating: readonly Policy[] }

/** Parties that no selector can tell apart: of one scope, with the same tags. */
export interface PartyClass { readonly id: number; readonly scope: string; readonly scopeTags: Tags; readonly tags: Tags; readonly ingress: readonly TierRules[]; readonly egress: readonly TierRules[] }

/** A world made ready to be asked often. Classes and selector results are found once, when they are first needed. */
export interface IndexedWorld {
  readonly world: World;
  party(name: string): Party | undefined;
  /** Who has this address: a node, a party, or nobody here. */
  byAddress(key: string): Party | Node | undefined;
  node(name: string): Node | undefined;
  classOf(party: Party): PartyClass;
  nodeSelected(selector: TagSelector, node: Node): boolean;
  /** Whether a class is in the scopes and has the tags that a selector asks for; what must be the same on both sides is not looked at. */
  inClass(selector: PartySelector, of: PartyClass): boolean;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
/** Equal priorities are decided by name, then kind: the sources leave it open, and an answer must not depend on the order of files. */
const inOrder = (a: Policy, b: Policy): number => a.priority - b.priority || byText(a.name, b.name) || byText(a.kind, b.kind);

/** Policies whose subject is opaque are among them: whether they select is only asked where one of their rules would match. */
function tierRules(tier: Tier, direction: Direction, policies: readonly Policy[]): TierRules {
  const mine = policies.filter((policy) => policy.tier === tier && policy[direction].length + policy.isolates.filter((d) => d === direction).length > 0);
  const rules = mine.flatMap((policy) => policy[direction].map((rule) => ({ policy, rule })));
  if (denyFirst.has(tier)) rules.sort((a, b) => a.policy.priority - b.policy.priority || rank(a) - rank(b));
  return { tier, rules, isolating: mine.filter((policy) => policy.isolates.includes(direction)).sort((a, b) => byText(a.name, b.name)) };
}
const ranks = { Deny: 0, Allow: 1, Pass: 2 } as const;
const rank = ({ rule }: TierRule): number => ranks[rule.action];

/** The policies that can select in a scope at all, in order. */
function policiesByScope(policies: readonly Policy[]): (scope: string) => readonly Policy[] {
  const everywhere: Policy[] = [];
  const scoped = new Map<string, Policy[]>();
  for (const policy of [...policies].sort(inOrder)) {
    const scope = policy.subject.type === 'parties' ? policy.subject.scope : undefined;
    if (scope === undefined) everywhere.push(policy);
    else scoped.set(scope, [...(scoped.get(scope) ?? []), policy]);
  }
  return (scope) => [...everywhere, ...(scoped.get(scope) ?? [])].sort(inOrder);
}

/** Remembers what a selector says of tags that it has met before, by what the selector means. */
function memo(): (selector: TagSelector, tags: Tags, tagsId: number) => boolean {
  const texts = new WeakMap<TagSelector, Map<number, boolean>>();
  const byMeaning = new Map<string, Map<number, boolean>>();
  return (selector, tags, id) => {
    if (selector.length === 0) return true;
    let known = texts.get(selector);
    if (known === undefined) {
      const text = canonical(selector);
      known = byMeaning.get(text) ?? new Map<number, boolean>();
      byMeaning.set(text, known);
      texts.set(selector, known);
    }
    const before = known.get(id);
    if (before !== undefined) return before;
    const now = selects(selector, tags);
    known.set(id, now);
    return now;
  };
}

const sorted = (tags: Tags): string => JSON.stringify(Object.entries(tags).sort(([a], [b]) => byText(a, b)));

export function indexWorld(world: World): IndexedWorld {
  const scopes = new Map(world.scopes.map((scope) => [scope.name, scope]));
  const parties = new Map(world.parties.map((party) => [party.name, party]));
  const nodes = new Map(world.nodes.map((node) => [node.name, node]));
  const holders = new Map<string, Party | Node>();
  for (const party of world.parties) if (party.host !== true && party.ended !== true) for (const address of party.addresses) holders.set(addressKey(address), party);
  for (const node of world.nodes) for (const address of node.addresses) holders.set(addressKey(address), node);
  const inScope = policiesByScope(world.policies);
  const matchesTags = memo();
  const ids = new Map<string, number>();
  const idOf = (text: string): number => {
    const id = ids.get(text) ?? ids.size;
    ids.set(text, id);
    return id;
  };
  const scopeIds = new Map<string, number>();
  const partyClasses = new Map<Party, PartyClass>();
  const classes = new Map<string, PartyClass & { readonly tagsId: number }>();
  const inClass = (selector: PartySelector, of: PartyClass): boolean => {
    if (selector.scope !== undefined && selector.scope !== of.scope) return false;
    const { tagsId } = of as PartyClass & { readonly tagsId: number };
    return matchesTags(selector.tags, of.tags, tagsId) && matchesTags(selector.scopeTags, of.scopeTags, scopeIds.get(of.scope) ?? -1);
  };
  const makeClass = (party: Party, key: string, tagsKey: string): PartyClass => {
    const scopeTags = scopes.get(party.scope)?.tags ?? {};
    scopeIds.set(party.scope, idOf(sorted(scopeTags)));
    const base = { id: classes.size, tagsId: idOf(tagsKey), scope: party.scope, scopeTags, tags: party.tags, ingress: [], egress: [] };
    const selecting = inScope(party.scope).filter(({ subject }) => (subject.type === 'parties' ? inClass(subject, base) : typeof subject.among === 'object' && inClass(subject.among, base)));
    const made = { ...base, ingress: tiers.map((tier) => tierRules(tier, 'ingress', selecting)), egress: tiers.map((tier) => tierRules(tier, 'egress', selecting)) };
    classes.set(key, made);
    return made;
  };
  return {
    world,
    party: (name) => parties.get(name),
    byAddress: (key) => holders.get(key),
    node: (name) => nodes.get(name),
    nodeSelected: (selector, node) => matchesTags(selector, node.tags, idOf(sorted(node.tags))),
    inClass,
    classOf: (party) => {
      const before = partyClasses.get(party);
      if (before !== undefined) return before;
      const tagsKey = sorted(party.tags);
      const key = `${party.scope}\n${tagsKey}`;
      const found = classes.get(key) ?? makeClass(party, key, tagsKey);
      partyClasses.set(party, found);
      return found;
    },
  };
}

/** The side that an address is: a party where one holds it, for traffic to the address of a pod is traffic to the pod. */
export function sideOfAddress(index: IndexedWorld, name: string, address: Party['addresses'][number]): Side {
  const holder = index.byAddress(addressKey(address));
  if (holder !== undefined && 'type' in holder) return holder;
  const outside: Outside = { type: 'outside', name, addresses: [address] };
  return holder === undefined ? outside : { ...outside, node: holder };
}

/** Whether a decision in this world could be refused at all. */
export const hasOpaque = ({ policies }: World): boolean =>
  policies.some(({ subject, ingress, egress }) => subject.type === 'opaque' || [...ingress, ...egress].some(({ peers }) => peers?.some(({ type }) => type === 'opaque') === true));
