import { interestSubject } from '@osier/contracts/coordination';
import type { Scope } from '@osier/contracts/document';
import { groupKinds } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import { barrierSubject, statePattern } from '@osier/contracts/subjects';

/**
 * Who is told what. A node hears of all nodes, of the networks of its endpoints with everybody in them, and of the policies and the routing domain of
 * their environments, with those of the project, the domain and the platform around them, and the groups that they may name. Filters nest or are disjoint, never anything between, since a server refuses filters that overlap in one consumer.
 */
export interface NetworkRef extends Scope { readonly id: string }

export function interestOf(nodeId: string, networks: readonly NetworkRef[]): string[] {
  const own = [statePattern({ domain: none, project: none, environment: none, noun: 'node', parent: none }), barrierSubject, interestSubject(nodeId)];
  return compact([...own, ...networks.flatMap(({ domain, project, environment, id }) => {
    const scope = { domain, project, environment };
    return [
      statePattern({ ...scope, noun: 'network', parent: none, id }), statePattern({ ...scope, noun: 'endpoint', parent: id }),
      statePattern({ ...scope, noun: 'policy', parent: none }), statePattern({ ...scope, noun: 'routing-domain', parent: none }),
      ...(['project-policy', ...groupKinds] as const).map((noun) => statePattern({ domain, project, environment: none, noun, parent: none })),
      statePattern({ domain, project: none, environment: none, noun: 'domain-policy', parent: none }),
      statePattern({ domain: none, project: none, environment: none, noun: 'platform-policy', parent: none }),
    ];
  })]);
}

/**
 * Whether some of these filters (as this file makes them) match a subject, or all that a narrower filter matches. A subject has few wider forms, one for each
 * level, so that asking costs the same whatever the number of filters.
 */
export function coverage(filters: Iterable<string>): (subject: string) => boolean {
  const known = new Set(filters);
  return (subject) => known.has(subject) || widerForms(subject).some((form) => known.has(form));
}
export const coveredBy = (filters: readonly string[], subject: string): boolean => coverage(filters)(subject);

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
export const added = (current: readonly string[], next: readonly string[]): string[] => {
  const had = coverage(current);
  return next.filter((filter) => !had(filter));
};

function withoutCovered(filters: readonly string[]): string[] {
  const distinct = new Set(filters);
  return [...distinct].filter((filter) => !widerForms(filter).some((form) => form !== filter && distinct.has(form))).sort();
}

/** From one object to those of its parent, of the environment, the project, the domain, everything; what belongs to the platform is not widened further. */
const levels = [1, 2, 3, 4].map((level) => (filter: string): string => (widerForms(filter)[level] ?? filter));

function widerForms(filter: string): readonly string[] {
  const [osier, state, domain, project, environment, noun, parent] = filter.split('.');
  const all = '*';
  const children = `${osier}.${state}.${domain}.${project}.${environment}.${noun}.${parent}.${all}`;
  if (domain === none) return [children];
  const end = `${noun}.${parent === none ? none : all}.${all}`;
  const form = (scope: string): string => `${osier}.${state}.${scope}.${end}`;
  return [children, form(`${domain}.${project}.${environment}`), form(`${domain}.${project}.${all}`), form(`${domain}.${all}.${all}`), form(`${all}.${all}.${all}`)];
}
