import { tagOf } from '../rules/selector.ts';
import type { TagSelector } from '../rules/model.ts';
import { type Matcher, meets } from './matcher.ts';
import type { Member } from './model.ts';

/**
 * Which of many members a matcher means, without asking each: whoever has one of the values that the narrowest condition names is asked. A key
 * is indexed when a selector first names a value of it, so that tags which no rule reads cost nothing.
 */
export class Parties<P extends { readonly member: Member }> {
  readonly #all = new Set<P>();
  readonly #byKey = new Map<string, Map<string, Set<P>>>();

  add(party: P): void {
    this.#all.add(party);
    for (const [key, byValue] of this.#byKey) enter(byValue, key, party);
  }

  delete(party: P): void {
    this.#all.delete(party);
    for (const [key, byValue] of this.#byKey) {
      const value = tagOf(party.member.tags, key);
      if (value === undefined) continue;
      const those = byValue.get(value);
      those?.delete(party);
      if (those?.size === 0) byValue.delete(value);
    }
  }

  *metBy(matcher: Matcher): Generator<P> {
    const tags = matcher.who.type === 'parties' ? matcher.who.tags : [];
    for (const some of this.#narrowest(tags)) for (const party of some) if (meets(matcher, party.member)) yield party;
  }

  #narrowest(selector: TagSelector): Iterable<P>[] {
    let best: { size: number; sets: Set<P>[] } = { size: this.#all.size, sets: [this.#all] };
    for (const condition of selector) {
      if (condition.operator !== 'In') continue;
      const byValue = this.#indexOf(condition.key);
      const sets = [...new Set(condition.values)].flatMap((value) => byValue.get(value) ?? []);
      const size = sets.reduce((sum, set) => sum + set.size, 0);
      if (size < best.size) best = { size, sets };
    }
    return best.sets;
  }

  #indexOf(key: string): Map<string, Set<P>> {
    const known = this.#byKey.get(key);
    if (known) return known;
    const made = new Map<string, Set<P>>();
    for (const party of this.#all) enter(made, key, party);
    this.#byKey.set(key, made);
    return made;
  }
}

function enter<P extends { readonly member: Member }>(byValue: Map<string, Set<P>>, key: string, party: P): void {
  const value = tagOf(party.member.tags, key);
  if (value === undefined) return;
  const those = byValue.get(value);
  if (those) those.add(party);
  else byValue.set(value, new Set([party]));
}
