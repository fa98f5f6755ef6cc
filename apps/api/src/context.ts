import type { Bus } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';
import type { ConnectionQuestions } from './connections/questions.ts';
import type { Outcomes } from './outcomes.ts';
import type { Uploads } from './restore/upload.ts';

/** As much of the bus as the api uses: it consumes nothing durably. It purges dead letters only, and makes and deletes streams only for a restore. */
export type ApiBus = Pick<Bus, 'publish' | 'last' | 'stream' | 'read' | 'request' | 'purge' | 'connected' | 'snapshot' | 'restore' | 'deleteStream' | 'ensureStreams' | 'tell' | 'listen'>;

/** What the handlers share. */
export interface ApiContext {
  readonly bus: ApiBus;
  readonly outcomes: Outcomes;
  readonly connections: ConnectionQuestions;
  readonly log: Log;
  /** A new UUIDv7. */
  newId(): string;
  /** Where archives may lie for a while. */
  readonly folder: string;
  readonly installation: Installation;
}

/** What can be done only once at a time. */
export interface Installation { busy: string | undefined; readonly uploads: Uploads }
