import type { Selector, Tags } from '@osier/contracts/names';
import type { Digest, Policy } from './model.ts';
import { byText } from './order.ts';
import { canonical, keysRead, matches } from './selector.ts';

/**
 * Endpoints that every rule in force treats alike as a peer: the set of peer selectors that select them. Its meaning is a text that
 * depends on nothing else, so it stays the same whatever other endpoints or rules come and go, and its digest names it for ever.
 */
export interface Identity {
  readonly digest: string;
  readonly environment: string;
  /** Canonical texts of the peer selectors that select it, sorted. */
  readonly selectors: readonly string[];
}

export const identityMeaning = (environment: string, selectors: readonly string[]): string => ['identity', environment, ...selectors].join('\n');

/** The peer selectors that the rules of these policies read, by canonical text; the selector of everything needs no identity. */
export function peerSelectors(policies: readonly Policy[]): Map<string, Selector> {
  const found = new Map<string, Selector>();
  for (const { spec } of policies) {
    for (const rule of spec.ingress ?? []) for (const peer of rule.from ?? []) found.set(canonical(peer.endpoints), peer.endpoints);
    for (const rule of spec.egress ?? []) for (const peer of rule.to ?? []) found.set(canonical(peer.endpoints), peer.endpoints);
  }
  found.delete('');
  return found;
}

/** Classifies endpoints by their tags; endpoints that differ only in tags that no rule reads are worked out once. */
export function classifier(environment: string, selectors: ReadonlyMap<string, Selector>, digest: Digest): (tags: Tags) => Identity {
  const sorted = [...selectors].sort(([a], [b]) => byText(a, b));
  const keys = [...new Set(sorted.flatMap(([, selector]) => keysRead(selector)))].sort();
  const bySeenTags = new Map<string, Identity>();
  const byMeaning = new Map<string, Identity>();
  return (tags) => {
    const seen = JSON.stringify(keys.map((key) => (Object.hasOwn(tags, key) ? tags[key] : null)));
    const known = bySeenTags.get(seen);
    if (known) return known;
    const matched = sorted.filter(([, selector]) => matches(selector, tags)).map(([text]) => text);
    const meaning = identityMeaning(environment, matched);
    const identity = byMeaning.get(meaning) ?? { digest: digest(meaning), environment, selectors: matched };
    byMeaning.set(meaning, identity);
    bySeenTags.set(seen, identity);
    return identity;
  };
}
