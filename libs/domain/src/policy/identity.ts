import { type Matcher, meets } from './matcher.ts';
import type { Digest, Member } from './model.ts';
import { byText } from './order.ts';

/**
 * Endpoints that every rule in force treats alike as a peer: the set of matchers that mean them. Its meaning is a text that
 * depends on nothing else, so it stays the same whatever other endpoints or rules come and go, and its digest names it for ever.
 */
export interface Identity {
  readonly digest: string;
  readonly environment: string;
  /** Texts of the matchers that mean it, sorted. */
  readonly matchers: readonly string[];
}

export const identityMeaning = (environment: string, matchers: readonly string[]): string => ['identity', environment, ...matchers].join('\n');

/** Classifies members by who means them. */
export function classifier(environment: string, matchers: ReadonlyMap<string, Matcher>, digest: Digest): (member: Member) => Identity {
  const sorted = [...matchers.values()].sort((a, b) => byText(a.text, b.text));
  const byMeaning = new Map<string, Identity>();
  return (member) => {
    const met = sorted.filter((matcher) => meets(matcher, member)).map(({ text }) => text);
    const meaning = identityMeaning(environment, met);
    const identity = byMeaning.get(meaning) ?? { digest: digest(meaning), environment, matchers: met };
    byMeaning.set(meaning, identity);
    return identity;
  };
}
