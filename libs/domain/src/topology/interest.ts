import { interestSubject } from '@osier/contracts/coordination';
import type { Scope } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import { barrierSubject, statePattern } from '@osier/contracts/subjects';

/**
 * Who is told what. A node hears of all nodes, of the networks of its endpoints with everybody in them, and of the policies and the routing domain of
 * their environments. Filters nest or are disjoint, never anything between, since a server refuses filters that overlap in one consumer.
 */
export interface NetworkRef extends Scope { readonly id: string }

export function interestOf(nodeId: string, networks: readonly NetworkRef[]): string[] {
  const own = [statePattern({ domain: none, project: none, environment: none, noun: 'node', parent: none }), barrierSubject, interestSubject(nodeId)];
  return compact([...own, ...networks.flatMap(({ domain, project, environment, id }) => {
    const scope = { domain, project, environment };
    return [
      statePattern({ ...scope, noun: 'network', parent: none, id }), statePattern({ ...scope, noun: 'endpoint', parent: id }),
      statePattern({ ...scope, noun: 'policy', parent: none }), statePattern({ ...scope, noun: 'routing-domain', parent: none }),
    ];
  })]);
}

/** Whether everything that `narrow` matches is matched by `wide`; a subject is its own narrowest filter. */
export function covers(wide: string, narrow: string): boolean {
  const left = wide.split('.');
  const right = narrow.split('.');
  return left.length === right.length && left.every((token, index) => token === '*' || token === right[index]);
}
export const coveredBy = (filters: readonly string[], subject: string): boolean => filters.some((filter) => covers(filter, subject));

/** Without what another one covers; widened where there are more than a consumer should have. Sorted, so that equal interests are equal lists. */
export function compact(filters: readonly string[], most: number = limits.filtersPerConsumer): string[] {
  let compacted = withoutCovered(filters);
  for (const widen of levels) {
    if (compacted.length <= most) break;
    compacted = withoutCovered(compacted.map(widen));
  }
  return compacted;
}

/** What a consumer must have when its interest grows: within a session nothing is taken away. */
export const grown = (current: readonly string[], wanted: readonly string[]): string[] => compact([...current, ...wanted]);
/** What `next` delivers that `current` may not have delivered. */
export const added = (current: readonly string[], next: readonly string[]): string[] => next.filter((filter) => !coveredBy(current, filter));

function withoutCovered(filters: readonly string[]): string[] {
  const distinct = [...new Set(filters)].sort();
  const wide = distinct.filter((filter) => filter.includes('*'));
  return distinct.filter((filter) => !wide.some((other) => other !== filter && covers(other, filter)));
}

/** From a network to its environment, its project, its domain, everything; what belongs to the platform stays as it is. */
const level = (keep: 'environment' | 'project' | 'domain' | 'nothing') => (filter: string): string => {
  const [osier, state, domain, project, environment, noun, parent] = filter.split('.');
  if (domain === none) return filter;
  const all = '*';
  const tokens = [keep === 'nothing' ? all : domain, keep === 'nothing' || keep === 'domain' ? all : project, keep === 'environment' ? environment : all];
  return [osier, state, ...tokens, noun, parent === none ? none : all, all].join('.');
};
const levels = [level('environment'), level('project'), level('domain'), level('nothing')];
