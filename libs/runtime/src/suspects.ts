import type { Bus } from '@osier/bus/bus';
import type { Store } from '@osier/store/store';

/**
 * What was in hand when an earlier life of this service ended. One of it may be why it ended, and would end the next life too, so each is done
 * alone, and that it is being tried is written down before: who is found written down has taken a whole process with him.
 *
 * The consumer's own count of deliveries does not do: it is set back when a service starts, and a whole batch counts for one that fails.
 * Costs nothing after a start that found all acknowledged.
 */
export interface Suspects {
  /** Before anything is consumed. */
  look(): Promise<void>;
  has(sequence: number): boolean;
  /** Says, durably, that it is being tried; returns how often a process has ended at it before. */
  enter(sequence: number): Promise<number>;
  /** The process has survived it, whatever became of it. */
  leave(sequence: number): Promise<void>;
}

export function suspectsOf({ bus, store, stream, durable }: { bus: Bus; store: Store; stream: string; durable: string }): Suspects {
  const mark = `suspects-${durable}`;
  let until = 0;
  /** Ends of a process, by sequence. */
  let ends: Record<string, number> = {};
  const write = () => store.setMark(mark, JSON.stringify(ends));
  return {
    async look() {
      const state = await bus.consumer(stream, durable);
      until = state === undefined || state.ackPending === 0 ? 0 : state.deliveredStreamSequence;
      const remembered = await store.mark(mark);
      ends = until === 0 || remembered === undefined ? {} : (JSON.parse(remembered) as Record<string, number>);
      if (until === 0 && remembered !== undefined && remembered !== '{}') await write();
    },
    has: (sequence) => sequence <= until,
    async enter(sequence) {
      const before = ends[sequence] ?? 0;
      ends[sequence] = before + 1;
      await write();
      return before;
    },
    async leave(sequence) {
      delete ends[sequence];
      await write();
    },
  };
}
