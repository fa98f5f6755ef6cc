import type { IntentsOf } from '@osier/contracts/catalogue';
import type { AnyDocument, Document, Scope } from '@osier/contracts/document';
import type { Kind, Service } from '@osier/contracts/kinds';
import type { Outcome } from '@osier/contracts/outcome';
import type { AnyProposed, ChildIntent, Decision, Intent } from './decision.ts';

/** Reads entities. Within a transaction it sees what that transaction has already put. Tombstones are not returned. */
export interface Reader {
  get<K extends Kind>(kind: K, id: string): Promise<Document<K> | undefined>;
  byName<K extends Kind>(kind: K, scope: Scope, name: string): Promise<Document<K> | undefined>;
  /** `holds`: those that hold this, as an endpoint does its network namespace (topology/attachment.ts). */
  list<K extends Kind>(kind: K, where?: Partial<Scope> & { parent?: string; name?: string; holds?: string }): Promise<Document<K>[]>;
}

/** What a handler may use. `own`: the service's entities. `known`: the other services' entities that it follows (its `knows`), kept up to date from STATE. */
export interface HandlerContext {
  readonly own: Reader;
  readonly known: Reader;
  /** A new UUIDv7. */
  newId(): string;
  /** Milliseconds since the epoch. */
  now(): number;
  /** The next number of one of the service's counters: 1, 2, 3 …; part of the transaction, and never given twice, whatever is deleted meanwhile. */
  next(counter: string): Promise<number>;
  /**
   * Waits until `known` holds everything that stood in CHANGES when this was called; call it before refusing for something unknown,
   * then read again: whoever saw its outcome must not be told that it does not exist.
   */
  catchUp(): Promise<void>;
}

export type Handler<N extends IntentsOf<Service>> = (intent: Intent<N>, context: HandlerContext) => Promise<Decision>;
/** One handler for every intent that the service owns: a missing one is a compile error (`satisfies Handlers<'ipam'>`). */
export type Handlers<S extends Service> = { readonly [N in IntentsOf<S>]: Handler<N> };

/** A reaction to another service's entity, or to an outcome; idempotent, since it may be called again. */
export interface Reaction { readonly puts: readonly AnyProposed[]; readonly intents?: readonly ChildIntent[] }

export interface ServiceDefinition<S extends Service = Service> {
  readonly name: S;
  readonly handlers: Handlers<S>;
  /** Kinds of other services whose entities it keeps a copy of. */
  readonly knows: readonly Kind[];
  /** Called in a transaction for each change of a known entity (tombstones too). */
  readonly onState?: (document: AnyDocument, context: HandlerContext) => Promise<Reaction>;
  /** Continues an intent whose child has an outcome, or whose deadline has passed (`undefined`). */
  readonly onOutcome?: (waiting: { intent: Intent; note: unknown }, outcome: Outcome | undefined, context: HandlerContext) => Promise<Decision>;
}
