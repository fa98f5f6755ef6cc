import type { AnyDocument, Document, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import type { Outcome } from '@osier/contracts/outcome';
import type { AnyProposed, ChildIntent, Intent } from '@osier/domain/decision';
import type { Reader } from '@osier/domain/service';
import type { Counts, DumpRow } from './dump/tables.ts';

/**
 * An outcome before its revision is known: the relay fills it in when the changes have been published.
 * `about`: the entities whose last published revision becomes the outcome's, be they changed or found to be as wished.
 */
export interface OpenOutcome { readonly scope: Scope; readonly outcome: Outcome; readonly about: readonly string[]; readonly traceparent?: string }

/** An intent that goes on when its child has an outcome. */
export interface Waiting { readonly intent: Intent; readonly awaits: string; readonly deadlineAt: number; readonly note: unknown; readonly traceparent?: string }

/** Who made a change, and when (milliseconds since the epoch). */
export interface Cause { readonly intentId: string; readonly at: number; readonly traceparent?: string | undefined }

/** Keys of the inbox, own entities by name, copies of others by id. */
export interface Expected {
  readonly seen?: readonly string[];
  readonly named?: readonly { readonly kind: Kind; readonly scope: Scope; readonly name: string }[];
  readonly known?: readonly { readonly kind: Kind; readonly id: string }[];
}

/** One transaction: all of it or nothing. */
export interface UnitOfWork {
  readonly own: Reader;
  readonly known: Reader;
  /** To be called before anything else: reads at once what will be asked for. Changes no answer. */
  prefetch(expected: Expected): Promise<void>;
  /** Notes that this id is new in the world, so that nothing has to be looked up under it. */
  born(id: string): string;
  /** Whether this intent (or reaction) has been handled; records it as handled when the transaction ends. */
  seen(key: string): Promise<boolean>;
  /** Counts up the named counter of this database and returns it: 1 the first time. */
  next(counter: string): Promise<number>;
  /** Closes the entity's row in history, opens the new one, marks it to be published. Gives it version, times, intent. */
  put(proposed: AnyProposed, by: Cause): Promise<AnyDocument>;
  /** Stores an outcome to be published after every change that this transaction puts. */
  conclude(outcome: OpenOutcome): Promise<void>;
  send(child: ChildIntent, by: { traceparent?: string | undefined }): Promise<void>;
  wait(waiting: Waiting): Promise<void>;
  /** Takes the intent that waits for this child. */
  takeWaiting(awaits: string): Promise<Waiting | undefined>;
  overdue(now: number): Promise<Waiting[]>;
  /** Keeps a copy of another service's entity, unless a later revision of it is there already; says whether it did. */
  learn(document: AnyDocument, revision: number): Promise<boolean>;
  mark(name: string): Promise<string | undefined>;
  setMark(name: string, value: string): Promise<void>;
}

/** What waits to be published, in the order in which it must go: a transaction's changes, then its child intents, then its outcomes. */
export type Outgoing =
  | { readonly type: 'state'; readonly row: number; readonly document: AnyDocument; readonly publishedRevision: number; readonly traceparent?: string }
  | { readonly type: 'intent'; readonly row: number; readonly child: ChildIntent; readonly traceparent?: string }
  | { readonly type: 'outcome'; readonly row: number; readonly open: OpenOutcome; readonly revisions: ReadonlyMap<string, number> };

export interface Listed<K extends Kind = Kind> { readonly document: Document<K>; readonly revision: number }
export type Where = { readonly [F in keyof Scope | 'parent' | 'name' | 'holds']?: string | undefined };

/** One version of an entity. `validTo` and `revision` are absent while it is the current one, and while it has not been published. */
export interface Version { readonly document: AnyDocument; readonly validFrom: string; readonly validTo?: string; readonly revision?: number }

/** What the service has committed, seen from outside any transaction. */
/** A moment of the past: what was published up to a revision of CHANGES, or committed up to a time (ISO 8601, UTC, with milliseconds). */
export type At = { readonly revision: number } | { readonly time: string };
export interface Page { readonly after?: string | undefined; readonly limit: number }

export interface CommittedReader extends Reader {
  /** Sequence in CHANGES of what was last published of it; 0 for nothing yet. */
  revisionOf(id: string): Promise<number>;
  /** By id; `page`: at most `limit` of those after the id `after`. */
  listed<K extends Kind>(kind: K, where?: Where, page?: Page): Promise<Listed<K>[]>;
  /** The same as it was, with the revision of each version then; 0 for one that was not published yet. */
  listedAt<K extends Kind>(at: At, kind: K, where?: Where, page?: Page): Promise<Listed<K>[]>;
  history(id: string): Promise<Version[]>;
}

export interface Store {
  /** Transactions are done one after another. `work` must use nothing but `unit` to get at the store: it would wait for itself. */
  transaction<T>(work: (unit: UnitOfWork) => Promise<T>): Promise<T>;
  outgoing(limit: number): Promise<Outgoing[]>;
  /** Records where each was published, and forgets that it was to be. `marks` are set in the same transaction: each costs a write to the disk. */
  published(items: readonly { item: Outgoing; revision: number }[], marks?: ReadonlyMap<string, string>): Promise<void>;
  /**
   * For a CHANGES that is not the one it published to: marks the current document of every entity, tombstones too, to be published
   * anew, as if nothing ever had been, and lets whatever comes replace what it knows of others. Returns the number of entities.
   */
  republishAll(): Promise<number>;
  /** Forgets which intents were handled before this time, in milliseconds since the epoch. */
  pruneInbox(before: number): Promise<void>;
  readonly read: CommittedReader;
  readonly known: Reader;
  /** Small facts by name: the highest revision ever seen, the incarnation of CHANGES it counts in, the cursor of the projection. */
  mark(name: string): Promise<string | undefined>;
  setMark(name: string, value: string): Promise<void>;
  /** All rows of all tables, as one state of the database has them, in an order that is the same in every database. Ends with what `take` throws. */
  dump(take: (rows: readonly DumpRow[]) => Promise<void>): Promise<Counts>;
  /** Replaces all that is there by these rows of the current schema, and these marks besides, in one transaction: all of it or nothing. */
  load(rows: AsyncIterable<readonly DumpRow[]>, marks: ReadonlyMap<string, string>): Promise<Counts>;
  close(): Promise<void>;
}
