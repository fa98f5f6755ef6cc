import { type AnyDocument, type Document, isKind } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';

/**
 * What one node knows: the last document of each subject, by the higher sequence, so that it does not matter in which order or how
 * often messages arrive, or by which consumer. Tombstones are kept for a while for the same reason.
 */
export interface Held { readonly sequence: number; readonly document: AnyDocument }
export interface View {
  /** True if the document was newer than what was held. */
  merge(subject: string, sequence: number, document: AnyDocument): boolean;
  /** Active documents of a kind, ordered by id: nothing that is worked out from them depends on the order of arrival. */
  list<K extends Kind>(kind: K): Document<K>[];
  /** The last document of each subject that changed since the last call, tombstones too; the first time, of every subject. For one who follows. */
  takeChanged(): AnyDocument[];
}

/** A message that comes again after its tombstone has been dropped would bring a dead thing back; so many later deletions do not overtake a repeat. */
const tombstonesKept = 10_000;

export function createView(): View {
  const held = new Map<string, Held>();
  const tombstones = new Set<string>();
  const changed = new Map<string, AnyDocument>();
  const activeOf = <K extends Kind>(kind: K): Document<K>[] => {
    const found: Document<K>[] = [];
    for (const { document } of held.values()) if (document.phase === 'active' && isKind(document, kind)) found.push(document);
    return found;
  };
  return {
    merge(subject, sequence, document) {
      const known = held.get(subject);
      if (known && known.sequence >= sequence) return false;
      held.set(subject, { sequence, document });
      changed.set(subject, document);
      tombstones.delete(subject);
      if (document.phase === 'deleted') tombstones.add(subject);
      for (const oldest of tombstones) {
        if (tombstones.size <= tombstonesKept) break;
        tombstones.delete(oldest);
        held.delete(oldest);
      }
      return true;
    },
    takeChanged() {
      const taken = [...changed.values()];
      changed.clear();
      return taken;
    },
    list: (kind) => activeOf(kind).sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
  };
}
