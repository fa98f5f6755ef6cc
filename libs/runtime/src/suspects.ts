import type { Bus, Delivery } from '@osier/bus/bus';
import type { Store, Waiting } from '@osier/store/store';

/**
 * What may be why an earlier life of this service ended, and would end the next life too. Each is done alone, and that it is being tried is written
 * down before: who is found written down has taken a whole process with him.
 */
export interface Suspects<T> {
  /** Before anything is consumed. */
  look(): Promise<void>;
  has(item: T): boolean;
  /** Says, durably, that it is being tried; returns how often a process has ended at it before. Nothing else that is suspected is tried until it leaves. */
  enter(item: T): Promise<number>;
  /** The process has survived it, whatever became of it. */
  leave(item: T): Promise<void>;
}

/** One at a time, of whatever kind: of several that are being tried when the process ends, nobody could say which one did it. */
export type Turn = () => Promise<() => void>;
export function oneAtATime(): Turn {
  let last: Promise<void> = Promise.resolve();
  return async () => {
    const before = last;
    let leave = (): void => undefined;
    last = new Promise((resolve) => (leave = resolve));
    await before;
    return leave;
  };
}

/** Ends of a process, by what was being tried. */
type Ends = Readonly<Record<string, number>>;
/** More than these are of long ago. */
const remembered = 1_000;

function counting(store: Store, mark: string, turn: Turn) {
  let ends: Ends = {};
  const held = new Map<string, () => void>();
  const write = (now: Ends): Promise<void> => store.setMark(mark, JSON.stringify(now));
  return {
    async look(stillInHand: boolean): Promise<void> {
      const before = await store.mark(mark);
      ends = !stillInHand || before === undefined ? {} : (JSON.parse(before) as Ends);
      if (!stillInHand && before !== undefined && before !== '{}') await write(ends);
    },
    async enter(name: string): Promise<number> {
      const release = await turn();
      try {
        const before = ends[name] ?? 0;
        const now = { ...Object.fromEntries(Object.entries(ends).slice(-remembered)), [name]: before + 1 };
        // It counts once it is written: a database that is away is no end of a process.
        await write(now);
        ends = now;
        held.set(name, release);
        return before;
      } catch (error) {
        release();
        throw error;
      }
    },
    async leave(name: string): Promise<void> {
      const { [name]: _survived, ...rest } = ends;
      ends = rest;
      try {
        await write(rest);
      } finally {
        held.get(name)?.();
        held.delete(name);
      }
    },
  };
}

/**
 * What a consumer had in hand when an earlier life ended. The consumer's own count of deliveries does not do: it is set back when a service starts, and a
 * whole batch counts for one that fails. Costs nothing after a start that found all acknowledged.
 */
export function deliveredBefore({ bus, store, stream, durable, turn }: { bus: Bus; store: Store; stream: string; durable: string; turn: Turn }): Suspects<Delivery> {
  const counted = counting(store, `suspects-${durable}`, turn);
  const nameOf = (delivery: Delivery): string => String(delivery.sequence);
  let until = 0;
  return {
    async look() {
      const state = await bus.consumer(stream, durable);
      until = state === undefined || state.ackPending === 0 ? 0 : state.deliveredStreamSequence;
      await counted.look(until > 0);
    },
    has: (delivery) => delivery.sequence <= until,
    enter: (delivery) => counted.enter(nameOf(delivery)),
    leave: (delivery) => counted.leave(nameOf(delivery)),
  };
}

/** Those whose time is over: no consumer has them in hand, and no start sets them back, so all of them are suspected, always; there are few. */
export function overdueAlways({ store, turn }: { store: Store; turn: Turn }): Suspects<Waiting> {
  const counted = counting(store, 'suspects-deadlines', turn);
  return { look: () => counted.look(true), has: () => true, enter: ({ awaits }) => counted.enter(awaits), leave: ({ awaits }) => counted.leave(awaits) };
}
