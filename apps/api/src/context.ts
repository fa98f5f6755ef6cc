import type { Bus } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';
import type { Outcomes } from './outcomes.ts';

/** What the handlers share. */
export interface ApiContext {
  readonly bus: Bus;
  readonly outcomes: Outcomes;
  readonly log: Log;
  /** A new UUIDv7. */
  newId(): string;
  /** Trace headers for what is sent on behalf of the request that is being handled. */
  traceHeaders(request: { headers: Readonly<Record<string, string | undefined>> }): Record<string, string>;
}
