import { PutOff } from '@osier/bus/bus';
import type { Store, UnitOfWork } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import { NeedsCatchUp } from './context.ts';
import type { Suspects } from './suspects.ts';

/** How a kind of work is done: intents, outcomes of children, deadlines, changes of others. */
export interface Work<T> {
  /** Whether there is anything to do about it; absent: always. What is not, is done without a transaction. */
  concerns?(item: T): boolean;
  /** Before a batch: has read at once what its items will look up one by one. */
  prefetch?(unit: UnitOfWork, items: readonly T[]): Promise<void>;
  /** Names an item in logs, and counts its failures. */
  key(item: T): string;
  /** Must have no effect but through `unit`: it may be done again. `caughtUp`: what is known is as new as when the batch came. */
  one(unit: UnitOfWork, item: T, caughtUp: boolean): Promise<void>;
  /** After `attempts` failures: ends it in a way that is known to whoever waits for it. */
  giveUp(unit: UnitOfWork, item: T, error: Error, tries: number): Promise<void>;
  done(item: T): void;
  /** Try it again after so many milliseconds. */
  later(item: T, delayMs: number): void;
}

export const attempts = 5;
const longestRetry = 5_000;
/** Failures of more items than these are forgotten first: a count only decides when to give up. */
const rememberedFailures = 10_000;

/**
 * Does a batch in one transaction (group commit). If that fails, one by one, so that the item that fails is found; that one is
 * tried again later, and given up after a few attempts. Nothing is reported as done before it is committed.
 */
export class Batches<T> {
  readonly #failures = new Map<string, number>();
  readonly #store: Store;
  readonly #work: Work<T>;
  readonly #catchUp: () => Promise<void>;
  readonly #log: Log;
  readonly #retryMs: number;
  readonly #suspects: Suspects<T> | undefined;

  constructor(options: { store: Store; work: Work<T>; catchUp: () => Promise<void>; log: Log; retryMs: number; suspects?: Suspects<T> | undefined }) {
    this.#store = options.store;
    this.#work = options.work;
    this.#catchUp = options.catchUp;
    this.#log = options.log;
    this.#retryMs = options.retryMs;
    this.#suspects = options.suspects;
  }

  /** Throws PutOff when nothing can be done now: all that is not done is to come again, in its order. */
  async handle(all: readonly T[]): Promise<void> {
    try {
      const items: T[] = [];
      for (const item of all) {
        if (this.#work.concerns?.(item) ?? true) items.push(item);
        else this.#work.done(item);
      }
      if (items.length > 0) await this.#handleAll(items);
    } catch (error) {
      if (!isAway(error)) throw error;
      throw new PutOff((error as Error).message, { cause: error });
    }
  }

  async #handleAll(items: readonly T[]): Promise<void> {
    const suspects = this.#suspects;
    if (!suspects || !items.some((item) => suspects.has(item))) return this.#handle(items);
    for (const item of items) await (suspects.has(item) ? this.#carefully(item, suspects) : this.#alone(item));
  }

  /** One at which an earlier life may have ended. */
  async #carefully(item: T, suspects: Suspects<T>): Promise<void> {
    const ends = await suspects.enter(item);
    try {
      if (ends < attempts) await this.#alone(item);
      else await this.#giveUp(item, new Error(`the process ended ${ends} times while this was being done`), ends);
    } finally {
      // Also where it was put off because bus or database are away: nothing has ended.
      await suspects.leave(item);
    }
  }

  async #handle(items: readonly T[]): Promise<void> {
    const [single] = items;
    if (items.length === 1 && single !== undefined) return this.#alone(single);
    try {
      await this.#together(items);
    } catch (error) {
      if (isAway(error)) throw error;
      if (isTemporary(error)) {
        this.#log.warn({ err: error, items: items.length }, 'put off; it will be tried again');
        for (const item of items) this.#work.later(item, this.#delay(1));
        return;
      }
      this.#log.debug({ err: error, items: items.length }, 'a batch failed; doing its items one by one');
      for (const item of items) await this.#alone(item);
      return;
    }
    for (const item of items) this.#finished(item);
  }

  async #together(items: readonly T[]): Promise<void> {
    const run = (caughtUp: boolean) =>
      this.#store.transaction(async (unit) => {
        if (items.length > 1) await this.#work.prefetch?.(unit, items);
        for (const item of items) await this.#work.one(unit, item, caughtUp);
      });
    try {
      await run(false);
    } catch (error) {
      if (!(error instanceof NeedsCatchUp)) throw error;
      await this.#catchUp();
      await run(true);
    }
  }

  async #alone(item: T): Promise<void> {
    const key = this.#work.key(item);
    try {
      await this.#together([item]);
      this.#finished(item);
    } catch (error) {
      if (isAway(error)) throw error;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      if (this.#failures.size >= rememberedFailures) this.#failures.clear();
      const temporary = isTemporary(error);
      if (!temporary) this.#failures.set(key, failures);
      this.#log.warn({ err: error, item: key, failures }, 'not done; it will be tried again');
      if (temporary || failures < attempts) return this.#work.later(item, this.#delay(failures));
      await this.#giveUp(item, error as Error, failures);
    }
  }

  async #giveUp(item: T, cause: Error, tries: number): Promise<void> {
    const key = this.#work.key(item);
    try {
      await this.#store.transaction((unit) => this.#work.giveUp(unit, item, cause, tries));
      this.#log.error({ err: cause, item: key, tries }, 'given up after several attempts');
      this.#finished(item);
    } catch (error) {
      if (isAway(error)) throw error;
      this.#log.error({ err: error, item: key }, 'could not even be given up; it will be tried again');
      this.#work.later(item, this.#delay(attempts));
    }
  }

  #delay(failures: number): number {
    return Math.min(this.#retryMs * 2 ** (failures - 1), longestRetry);
  }

  #finished(item: T): void {
    if (this.#failures.size > 0) this.#failures.delete(this.#work.key(item));
    this.#work.done(item);
  }
}

/** Thrown for what passes by itself; never a reason to give up. */
export class Temporary extends Error {
  override readonly name: string = 'Temporary';
}
const isTemporary = (error: unknown): boolean => error instanceof Temporary;
/**
 * The bus or the database is away, so whatever comes next would fail as well. Items that were put off one by one would come back in the order of
 * their delays, and what was wished first of an object could be done last.
 */
const away = ['BusUnavailable', 'StoreUnavailable'];
const isAway = (error: unknown): boolean => error instanceof Error && away.includes(error.name);
