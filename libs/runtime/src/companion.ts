import type { Bus } from '@osier/bus/bus';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { Problem } from '@osier/contracts/problem';
import type { QueryName, QueryRequest, QueryResponse } from '@osier/contracts/queries';
import type { ChildIntent } from '@osier/domain/decision';
import type { Reader } from '@osier/domain/service';
import type { Log } from '@osier/telemetry/log';

/** Answers one query of the contracts. `scope`: the domain and project of the subject it was asked on, `_` for the platform. */
export type QueryAnswer<N extends QueryName> = (request: QueryRequest<N>, scope: Pick<Scope, 'domain' | 'project'>) => Promise<QueryResponse<N> | Problem>;
export type QueryAnswers = { readonly [N in QueryName]?: QueryAnswer<N> };

/** What a companion is given: the bus, and a view of what its service has committed. */
export interface CompanionDeps {
  readonly bus: Bus;
  /** The service's own entities; `revisionOf` is 0 for what has not been published yet. */
  readonly read: Reader & { revisionOf(id: string): Promise<number> };
  readonly log: Log;
  /** The streams hold all that every service has published; false while one that was lost is being rebuilt. Absent: always. */
  whole?(): boolean;
  /** Milliseconds since the epoch. */
  now(): number;
  newId(): string;
  /** Publishes an intent with the service's own credential; repeating the same id is harmless. Returns when it is stored. */
  publishIntent(child: ChildIntent): Promise<void>;
}

/** Work beside the intents that one service does (topology's coordination of the agents), started and stopped with it. */
export interface Companion {
  /** Queries that it answers besides `<service>.list`, by their full names. */
  readonly queries: QueryAnswers;
  /** Called after the service's relay has published a change of its own, tombstones too; in order for each entity. May be called again for the same. */
  onOwnChange?(document: AnyDocument, revision: number): void | Promise<void>;
  stop(): Promise<void>;
}
export type StartCompanion = (deps: CompanionDeps) => Promise<Companion>;
