import type { Bus } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';
import type { Outcomes } from './outcomes.ts';

/** As much of the bus as the api uses: it consumes nothing durably, and makes no stream. It purges dead letters only. */
export type ApiBus = Pick<Bus, 'publish' | 'last' | 'stream' | 'read' | 'request' | 'purge' | 'connected'>;

/** What the handlers share. */
export interface ApiContext {
  readonly bus: ApiBus;
  readonly outcomes: Outcomes;
  readonly log: Log;
  /** A new UUIDv7. */
  newId(): string;
}
