import type { AnyDocument, Document } from '@osier/contracts/document';
import { type AnyProposed, tombstone } from '../decision.ts';

/**
 * What goes with an environment (or a node) that is no more. Usually nothing is left, since an environment in use cannot be deleted; but an object may have been
 * accepted before its service heard of the deletion. What was made after a successor of the same name appeared belongs to that one.
 * Order: what is contained before what contains it.
 */
export function remnants(contents: readonly AnyDocument[], successor: Pick<Document, 'createdAt'> | undefined): AnyProposed[] {
  return contents.filter((item) => successor === undefined || item.createdAt < successor.createdAt).map((item) => tombstone(item) as AnyProposed);
}
