import type { AnyDocument, Document, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import type { ChildIntent } from '@osier/domain/decision';
import { namespaceKey } from '@osier/domain/topology/attachment';
import type { OpenOutcome, Waiting, Where } from './store.ts';

/** A table of documents as a driver reads it. `get` returns tombstones too, the others do not; `list` is ordered by id. */
export interface DocumentSource {
  get(kind: Kind, id: string): Promise<{ document: AnyDocument; revision: number } | undefined>;
  byName(kind: Kind, scope: Scope, name: string): Promise<AnyDocument | undefined>;
  list(kind: Kind, where: Where): Promise<AnyDocument[]>;
}

/** What a unit of work reads of what is committed: the part of a driver that it needs. */
export interface Source {
  readonly own: DocumentSource;
  readonly known: DocumentSource;
  seen(key: string): Promise<boolean>;
  /** The same for many at once: those of the keys that were handled, of own names (`nameKeyOf`) whatever has one, of others' entities by their ids whatever is there. */
  seenAmong(keys: readonly string[]): Promise<string[]>;
  ownNamed(keys: readonly string[]): Promise<AnyDocument[]>;
  knownAmong(kind: Kind, ids: readonly string[]): Promise<{ document: AnyDocument; revision: number }[]>;
  waitingFor(awaits: string): Promise<Waiting | undefined>;
  overdue(now: number): Promise<Waiting[]>;
  mark(name: string): Promise<string | undefined>;
}

export type OutboxEntry =
  | { readonly type: 'state'; readonly id: string; readonly version: number; readonly traceparent?: string | undefined }
  | { readonly type: 'intent'; readonly child: ChildIntent; readonly traceparent?: string | undefined }
  | { readonly type: 'outcome'; readonly open: OpenOutcome };

/** All that a unit of work changes, for the driver to write in one transaction. */
export interface Changes {
  readonly seen: readonly string[];
  /** Every new version, in order. */
  readonly versions: readonly AnyDocument[];
  /** In the order in which it must be published. */
  readonly outbox: readonly OutboxEntry[];
  readonly waits: readonly Waiting[];
  readonly taken: readonly string[];
  readonly learned: readonly { readonly document: AnyDocument; readonly revision: number }[];
  readonly marks: ReadonlyMap<string, string>;
}

/** Whom a name belongs to: unique among what is not deleted. Undefined for a tombstone, which has given its name back. */
export function nameKey(document: AnyDocument): string | undefined {
  return document.phase === 'deleted' ? undefined : nameKeyOf(document.kind, document, document.name);
}
export const nameKeyOf = (kind: Kind, scope: Scope, name: string): string => [kind, scope.domain, scope.project, scope.environment, name].join('/');

/** What only one owner may use at a time: of an endpoint, its network namespace. Undefined for a tombstone, and for what holds nothing. */
export function holdsOf(document: AnyDocument): string | undefined {
  return document.kind === 'endpoint' && document.phase === 'active' ? namespaceKey(document.spec) : undefined;
}

export function matches(document: AnyDocument, where: Where): boolean {
  return (Object.keys(where) as (keyof Where)[]).every((field) => where[field] === undefined || (field === 'holds' ? holdsOf(document) : document[field]) === where[field]);
}

export const as = <K extends Kind>(document: AnyDocument | undefined): Document<K> | undefined => document as Document<K> | undefined;
export const asAll = <K extends Kind>(documents: readonly AnyDocument[]): Document<K>[] => documents as unknown as Document<K>[];
