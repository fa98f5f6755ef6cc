import type { Scope } from '@osier/contracts/document';
import type { AnyDocument } from '@osier/contracts/document';
import type { Outcome } from '@osier/contracts/outcome';
import type { AnyProposed, ChildIntent, Intent } from '@osier/domain/decision';
import type { Reader } from '@osier/domain/service';

/** An outcome before its revision is known: the relay fills it in when the changes have been published. */
export interface OpenOutcome { readonly scope: Scope; readonly outcome: Outcome; readonly changedIds: readonly string[]; readonly traceparent?: string }

export interface Waiting { readonly intent: Intent; readonly awaits: string; readonly deadlineAt: number; readonly note: unknown; readonly traceparent?: string }

/** One transaction: all of it or nothing. */
export interface UnitOfWork {
  readonly own: Reader;
  readonly known: Reader;
  /** Whether this intent (or reaction) has been handled; records it as handled when the transaction ends. */
  seen(id: string): Promise<boolean>;
  /** Counts up the named counter of this database and returns it: 1 the first time. */
  next(counter: string): Promise<number>;
  /** Closes the entity's row in history, opens the new one, marks it to be published. Gives it version, times, intent. */
  put(proposed: AnyProposed, by: { intentId: string; at: number; traceparent?: string }): Promise<AnyDocument>;
  /** Stores an outcome to be published after every change that this transaction puts. */
  conclude(outcome: OpenOutcome): Promise<void>;
  send(child: ChildIntent, by: { traceparent?: string }): Promise<void>;
  wait(waiting: Waiting): Promise<void>;
  /** Takes the intent that waits for this child. */
  takeWaiting(awaits: string): Promise<Waiting | undefined>;
  overdue(now: number): Promise<Waiting[]>;
  /** Keeps a copy of another service's entity, unless a later revision of it is there already. */
  learn(document: AnyDocument, revision: number): Promise<boolean>;
}

/** What waits to be published, in the order in which it must go: a transaction's changes, then its child intents, then its outcome. */
export type Outgoing =
  | { readonly type: 'state'; readonly row: number; readonly document: AnyDocument; readonly publishedRevision: number; readonly traceparent?: string }
  | { readonly type: 'intent'; readonly row: number; readonly child: ChildIntent; readonly traceparent?: string }
  | { readonly type: 'outcome'; readonly row: number; readonly open: OpenOutcome; readonly revisions: ReadonlyMap<string, number> };

export interface Store {
  transaction<T>(work: (unit: UnitOfWork) => Promise<T>): Promise<T>;
  outgoing(limit: number): Promise<Outgoing[]>;
  /** Records where it was published; an entity that changed meanwhile stays to be published. */
  published(items: readonly { item: Outgoing; revision: number }[]): Promise<void>;
  read: Reader & { revisionOf(id: string): Promise<number> };
  known: Reader;
  /** Highest revision ever seen, and the incarnation of CHANGES it counts in; cursors of projections. */
  mark(name: string): Promise<string | undefined>;
  setMark(name: string, value: string): Promise<void>;
  close(): Promise<void>;
}
