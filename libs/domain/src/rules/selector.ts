import type { Condition, Tags, TagSelector } from './model.ts';

/** Own keys only: a tag may be called `constructor`. */
export const tagOf = (tags: Tags, key: string): string | undefined => (Object.hasOwn(tags, key) ? tags[key] : undefined);

/** NotIn and DoesNotExist hold where the key is absent. */
function holds(condition: Condition, tags: Tags): boolean {
  const value = tagOf(tags, condition.key);
  switch (condition.operator) {
    case 'In': return value !== undefined && condition.values.includes(value);
    case 'NotIn': return value === undefined || !condition.values.includes(value);
    case 'Exists': return value !== undefined;
    case 'DoesNotExist': return value === undefined;
  }
}

export const selects = (selector: TagSelector, tags: Tags): boolean => selector.every((condition) => holds(condition, tags));

/** One text for selectors of the same conditions in whatever order. */
export const canonical = (selector: TagSelector): string =>
  [...new Set(selector.map((c) => JSON.stringify([c.key, c.operator, ...('values' in c ? [...new Set(c.values)].sort() : [])])))].sort().join('&');
