import type { Selector, Tags } from '@osier/contracts/names';
import { matches } from './selector.ts';

/**
 * Which of many things with tags a selector selects, without asking each: whatever has one of the values that the narrowest condition names is asked. A key
 * is indexed when a selector first names a value of it, so that tags which no rule reads cost nothing.
 */
export class Parties<P extends { readonly tags: Tags }> {
  readonly #all = new Set<P>();
  readonly #byKey = new Map<string, Map<string, Set<P>>>();

  get size(): number {
    return this.#all.size;
  }

  add(party: P): void {
    this.#all.add(party);
    for (const [key, byValue] of this.#byKey) enter(byValue, key, party);
  }

  delete(party: P): void {
    this.#all.delete(party);
    for (const [key, byValue] of this.#byKey) {
      const value = Object.hasOwn(party.tags, key) ? party.tags[key] : undefined;
      if (value === undefined) continue;
      const those = byValue.get(value);
      those?.delete(party);
      if (those?.size === 0) byValue.delete(value);
    }
  }

  *selectedBy(selector: Selector): Generator<P> {
    for (const some of this.#narrowest(selector)) for (const party of some) if (matches(selector, party.tags)) yield party;
  }

  #narrowest(selector: Selector): Iterable<P>[] {
    const conditions: [string, readonly string[]][] = Object.entries(selector.matchTags ?? {}).map(([key, value]) => [key, [value]]);
    for (const e of selector.matchExpressions ?? []) if (e.operator === 'In') conditions.push([e.key, [...new Set(e.values)]]);
    let best: { size: number; sets: Set<P>[] } = { size: this.#all.size, sets: [this.#all] };
    for (const [key, values] of conditions) {
      const byValue = this.#indexOf(key);
      const sets = values.flatMap((value) => byValue.get(value) ?? []);
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

function enter<P extends { readonly tags: Tags }>(byValue: Map<string, Set<P>>, key: string, party: P): void {
  const value = Object.hasOwn(party.tags, key) ? party.tags[key] : undefined;
  if (value === undefined) return;
  const those = byValue.get(value);
  if (those) those.add(party);
  else byValue.set(value, new Set([party]));
}
