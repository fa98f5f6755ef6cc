import type { Bus } from '@osier/bus/bus';
import type { Service } from '@osier/contracts/kinds';
import { streams } from '@osier/contracts/streams';

/**
 * How many messages CHANGES may be ahead of STATE before nothing more is published: far fewer than the versions of a subject that CHANGES keeps. A mirror checks the expected sequence of each message
 * again, so one that finds the version before it gone from CHANGES drops the message; on several servers it counts wrong from then on, and its sequences are no longer revisions.
 */
export const mayLag = streams.CHANGES.maxPerSubject / 4;
/** Rows that a service publishes before it looks again. */
export const rowsPerLook = 64;
const publishers = Object.keys({ tenant: 1, ipam: 1, topology: 1, policy: 1 } satisfies Record<Service, 1>).length;
/** The most that CHANGES can be ahead, whoever looks when: after the last look that found it near, each service publishes what it may without one, and one round. */
export const mostLag = (rowsAtOnce: number): number => mayLag + publishers * (rowsPerLook + rowsAtOnce);

/** STATE does not keep up with CHANGES: what is committed waits in the database. */
export class MirrorBehind extends Error {
  override readonly name = 'MirrorBehind';
  constructor(lag: number) {
    super(`STATE is ${lag} messages behind CHANGES: nothing more is published before it is nearer`);
  }
}

export class MirrorLag {
  readonly #bus: Pick<Bus, 'stream'>;
  #left = 0;

  constructor(bus: Pick<Bus, 'stream'>) {
    this.#bus = bus;
  }
  /** Before so many rows are published. Throws MirrorBehind. */
  async allow(rows: number): Promise<void> {
    if (this.#left <= 0) {
      const [state, changes] = await Promise.all([this.#bus.stream('STATE'), this.#bus.stream('CHANGES')]);
      // A mirror that has nothing yet stands at 0, wherever its origin begins.
      const lag = changes === undefined ? 0 : changes.lastSequence - Math.max(state?.lastSequence ?? 0, changes.firstSequence - 1);
      if (lag > mayLag) throw new MirrorBehind(lag);
      this.#left = rowsPerLook;
    }
    this.#left -= rows;
  }
}
