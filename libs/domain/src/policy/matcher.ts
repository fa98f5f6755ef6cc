import type { Block } from '../net/address.ts';
import { inOneOf } from '../net/block-set.ts';
import type { BlockPeer, GroupPeer, PartySelector, Peer, Policy, TagSelector } from '../rules/model.ts';
import { canonical, selects, tagOf } from '../rules/selector.ts';
import type { Member } from './model.ts';

/** A port that a workload declares under a name. */
export interface NamedPort { readonly name: string; readonly protocol: string; readonly port: number }

/**
 * A peer of a rule, with what it takes from the subject filled in, so that it says of everybody whether he is meant. Its text names it for ever: the same
 * conditions, in whatever order, are one matcher, and a group is the same group whoever is in it.
 */
export interface Matcher {
  readonly text: string;
  readonly who: PartySelector | BlockPeer | GroupPeer;
  /** Only who declares this port. */
  readonly port: NamedPort | undefined;
}

export function meets({ who, port }: Matcher, member: Member): boolean {
  if (port !== undefined && !member.ports.some((p) => p.name === port.name && p.protocol === port.protocol && p.port === port.port)) return false;
  switch (who.type) {
    case 'parties': return isSelected(who, member);
    case 'block': return isWithin([who.block], who.except, member);
    case 'group': return who.parties.has(member.name) || isWithin(who.blocks, who.except ?? [], member) || (who.selectors ?? []).some((selector) => isSelected(selector, member));
  }
}
const isSelected = ({ scope, scopeTags, tags }: Pick<PartySelector, 'scope' | 'scopeTags' | 'tags'>, member: Member): boolean =>
  (scope === undefined || scope === member.scope) && selects(tags, member.tags) && selects(scopeTags, member.scopeTags);
const isWithin = (blocks: readonly Block[], except: readonly Block[], { addresses }: Member): boolean =>
  addresses.some((address) => inOneOf(blocks, address) && !inOneOf(except, address));

/**
 * What a peer means to a subject; undefined: nobody. Addresses of nodes are no parties here, and of what cannot be evaluated nobody is said to be meant.
 */
export function matcherOf(peer: Peer, subject: Pick<Member, 'tags' | 'scopeTags'>, port?: NamedPort): Matcher | undefined {
  const named = port === undefined ? [] : [port.name, port.protocol, port.port];
  switch (peer.type) {
    case 'parties': {
      const same = sameAs(peer, subject);
      if (same === undefined) return undefined;
      const [tags, scopeTags] = [[...peer.tags, ...same.party], [...peer.scopeTags, ...same.scope]];
      return { text: JSON.stringify([peer.scope ?? '*', canonical(scopeTags), canonical(tags), ...named]), who: { type: 'parties', ...(peer.scope === undefined ? {} : { scope: peer.scope }), scopeTags, tags }, port };
    }
    case 'block': return { text: JSON.stringify(['block', blockText(peer.block), ...peer.except.map(blockText).sort(), ...named]), who: peer, port };
    case 'group': return { text: JSON.stringify(['group', peer.name, ...named]), who: peer, port };
    case 'nodes': case 'opaque': return undefined;
  }
}
/** Whom a policy selects; undefined where that cannot be evaluated: then nobody. */
export const subjectsOf = ({ subject }: Policy): Matcher | undefined => matcherOf(subject, { tags: {}, scopeTags: {} });
/** Without conditions, whoever has an identity at all is meant. */
export const isAnyone = ({ who, port }: Matcher, environment: string): boolean =>
  port === undefined && who.type === 'parties' && who.tags.length + who.scopeTags.length === 0 && (who.scope === undefined || who.scope === environment);

/** The conditions of "the same as mine"; undefined where the subject has no such tag. */
function sameAs({ same }: PartySelector, subject: Pick<Member, 'tags' | 'scopeTags'>): { party: TagSelector; scope: TagSelector } | undefined {
  const found = { party: new Array<TagSelector[number]>(), scope: new Array<TagSelector[number]>() };
  for (const { of, key } of same ?? []) {
    const value = tagOf(of === 'scope' ? subject.scopeTags : subject.tags, key);
    if (value === undefined) return undefined;
    found[of].push({ key, operator: 'In', values: [value] });
  }
  return found;
}
const blockText = ({ family, bytes, length }: Block): string => `${family} ${bytes.join('.')}/${length}`;
