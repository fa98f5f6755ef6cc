import type { Selector, Tags } from '@osier/contracts/names';

/** Whether a selector selects an endpoint with these tags. As in Kubernetes, NotIn and DoesNotExist are true where the key is absent. */
export function matches(selector: Selector, tags: Tags): boolean {
  for (const [key, value] of Object.entries(selector.matchTags ?? {})) if (tagOf(tags, key) !== value) return false;
  for (const e of selector.matchExpressions ?? []) {
    const value = tagOf(tags, e.key);
    if (e.operator === 'In' && (value === undefined || !e.values.includes(value))) return false;
    if (e.operator === 'NotIn' && value !== undefined && e.values.includes(value)) return false;
    if (e.operator === 'Exists' && value === undefined) return false;
    if (e.operator === 'DoesNotExist' && value !== undefined) return false;
  }
  return true;
}

/** Own keys only: a tag may be called `constructor`. */
const tagOf = (tags: Tags, key: string): string | undefined => (Object.hasOwn(tags, key) ? tags[key] : undefined);

/** One text for selectors that mean the same conditions in whatever order; empty for the selector of everything. */
export function canonical(selector: Selector): string {
  const known = texts.get(selector);
  if (known !== undefined) return known;
  const text = textOf(selector);
  texts.set(selector, text);
  return text;
}
const texts = new WeakMap<Selector, string>();
function textOf(selector: Selector): string {
  const conditions = Object.entries(selector.matchTags ?? {}).map(([key, value]) => condition('In', key, [value]));
  for (const e of selector.matchExpressions ?? []) conditions.push(condition(e.operator, e.key, 'values' in e ? e.values : []));
  return [...new Set(conditions)].sort().join('&');
}
const condition = (operator: string, key: string, values: readonly string[]): string =>
  JSON.stringify([key, operator, ...[...new Set(values)].sort()]);

/** The tag keys that a selector reads. */
export const keysRead = (selector: Selector): string[] => [
  ...Object.keys(selector.matchTags ?? {}), ...(selector.matchExpressions ?? []).map((e) => e.key),
];
