import type { ApplyBody, DeleteBody } from '@osier/contracts/catalogue';
import { type Document, pathOf, scopeWithin, type Scope } from '@osier/contracts/document';
import type { Kind, Spec, Status, WritableKind } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { type AnyProposed, accept, type Decision, propose, type Proposed, refuse, tombstone, versionConflict } from './decision.ts';

/** Equal by value: order of keys does not matter, and a field that is undefined is one that is not there. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => same(left[key], right[key]));
}

/** What a new entity begins with, besides what its author wrote. */
export interface Birth<K extends Kind> { readonly id: string; readonly parent?: string; readonly status: Status<K> }

export function newborn<K extends Kind>(kind: K, scope: Scope, name: string, spec: Spec<K>, birth: Birth<K>): AnyProposed {
  const { domain, project, environment } = scopeWithin(kind, scope, name);
  const proposed: Proposed<K> = { kind, id: birth.id, name, parent: birth.parent ?? none, phase: 'active', domain, project, environment, spec, status: birth.status };
  return proposed as AnyProposed;
}

/** The usual end of an `apply`: refuses another version than expected, changes what there is, makes what there is not, and puts nothing where nothing changes. */
export function applied<K extends WritableKind>(kind: K, scope: Scope, body: ApplyBody<K>, current: Document<K> | undefined, birth: () => Birth<K>): Decision {
  const conflict = versionConflict(body, current);
  if (conflict) return conflict;
  if (current === undefined) return accept(newborn(kind, scope, body.name, body.spec, birth()));
  return same(current.spec, body.spec) ? accept() : accept({ ...propose(current), spec: body.spec } as AnyProposed);
}

/** The usual end of a `delete`: what is not there is not there afterwards either. `users`: what still needs it, in words. */
export function deleted<K extends WritableKind>(body: DeleteBody, current: Document<K> | undefined, users: readonly Document[] = []): Decision {
  const conflict = versionConflict(body, current);
  if (conflict) return conflict;
  if (current === undefined) return accept();
  return users.length > 0 ? inUse(current, users) : accept(tombstone(current) as AnyProposed);
}

const listed = (documents: readonly Document[], most = 3): string => {
  const names = documents.slice(0, most).map((d) => `${d.kind} ${pathOf(d)}`).join(', ');
  return documents.length > most ? `${names} and ${documents.length - most} more` : names;
};

export const inUse = (entity: Document, users: readonly Document[], path = 'name'): Decision =>
  refuse('in-use', path, `The ${entity.kind} ${pathOf(entity)} is still used by ${listed(users)}.`, `Delete ${listed(users)} first.`);

export const immutable = (path: string, was: unknown, is: unknown): Decision =>
  refuse('immutable', path, `"${path}" is ${JSON.stringify(was)} and cannot become ${JSON.stringify(is)}.`, 'Delete the object and make it again with the new value.');
