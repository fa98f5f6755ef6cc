import type { Service } from '@osier/contracts/kinds';
import type { HandlerContext, ServiceDefinition } from '@osier/domain/service';
import type { UnitOfWork } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import type { Bury } from './dead.ts';

/** Any service's definition. */
export type AnyDefinition = { [S in Service]: ServiceDefinition<S> }[Service];

/** What every part of a running service needs besides its bus and its store. */
export interface Surroundings {
  readonly service: Service;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A new UUIDv7. */
  newId(): string;
  readonly bury: Bury;
}

/**
 * Ends a transaction whose handler asked to catch up: the projection writes to the same store, so it cannot go on while the
 * transaction is open. The batch is done again after the wait; handlers have no effect but through their unit of work.
 */
export class NeedsCatchUp extends Error {
  override readonly name = 'NeedsCatchUp';
  constructor() {
    super('what is known must be brought up to date first');
  }
}

export function handlerContext(unit: UnitOfWork, around: Surroundings, caughtUp: boolean): HandlerContext {
  return {
    own: unit.own,
    known: unit.known,
    newId: () => unit.born(around.newId()),
    now: () => around.now(),
    next: (counter) => unit.next(counter),
    catchUp: async () => {
      if (!caughtUp) throw new NeedsCatchUp();
    },
  };
}
