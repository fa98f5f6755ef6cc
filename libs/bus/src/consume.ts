import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, BusUnavailable, type Consumption, ConsumerMissing, type Delivery, PutOff } from './bus.ts';

/** How both implementations fetch; what is done with it is the same for both. */
export interface Puller {
  /** Creates or updates the consumer; `setBack`: to what is acknowledged. Absent where the consumer is somebody else's. */
  readonly ensure?: (setBack: boolean) => Promise<void>;
  /** Up to `batch` deliveries, as soon as there is one; none when none came for a while. Throws ConsumerMissing. */
  readonly pull: (batch: number, signal: AbortSignal) => Promise<Delivery[]>;
  readonly close?: () => void;
}

/** Milliseconds. */
const missingDelay = 200;
const problemDelay = { first: 100, longest: 2_000 };
const retryAfterFailure = 1_000;
const defaultBatch = 64;

type Options = Pick<Parameters<Bus['consume']>[0], 'stream' | 'durable' | 'batch' | 'paceMs' | 'onBatch' | 'onProblem'>;

/** Runs until stopped. The first `ensure` has been tried when this returns; whatever it threw is the caller's if `fatal` says so. */
export async function consumeWith(puller: Puller, o: Options, fatal: (error: unknown) => boolean): Promise<Consumption> {
  const stopping = new AbortController();
  let ensured = puller.ensure === undefined;
  // Not when it was made anew under us: two who do that to each other would never end.
  let setBack = true;
  const ensure = async (): Promise<void> => {
    if (!ensured) await puller.ensure?.(setBack);
    ensured = true;
    setBack = false;
  };
  try {
    await ensure();
  } catch (error) {
    if (fatal(error)) throw error;
    o.onProblem?.(error as Error);
  }
  const loop = async (): Promise<void> => {
    let failures = 0;
    let missing = false;
    let began = Number.NEGATIVE_INFINITY;
    while (!stopping.signal.aborted) {
      try {
        await ensure();
        const early = began + (o.paceMs ?? 0) - performance.now();
        if (early > 0) await sleep(early, undefined, { signal: stopping.signal });
        const batch = await puller.pull(o.batch ?? defaultBatch, stopping.signal);
        began = performance.now();
        await hand(batch, o.onBatch);
        failures = 0;
        missing = false;
      } catch (error) {
        if (stopping.signal.aborted) return;
        const gone = error instanceof ConsumerMissing;
        const away = error instanceof BusUnavailable || error instanceof PutOff;
        if (gone || away) ensured = puller.ensure === undefined;
        setBack ||= away;
        if (!gone || !missing) o.onProblem?.(error as Error);
        missing = gone;
        const delay = gone ? missingDelay : Math.min(problemDelay.first * 2 ** failures, problemDelay.longest);
        failures = gone ? 0 : failures + 1;
        await sleep(delay, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  };
  const ended = loop();
  return {
    stop: async () => {
      stopping.abort();
      await ended;
      puller.close?.();
    },
  };
}

/** Deliveries that the handler leaves unanswered by throwing are asked for again. */
async function hand(batch: readonly Delivery[], onBatch: Options['onBatch']): Promise<void> {
  if (batch.length === 0) return;
  const answered = new Set<number>();
  const watched = batch.map((delivery, index): Delivery => {
    const { stream, subject, sequence, data, storedAt, deliveries } = delivery;
    const answer = <A extends unknown[]>(how: (...args: A) => void) => (...args: A): void => {
      answered.add(index);
      how(...args);
    };
    return {
      stream, subject, sequence, data, storedAt, deliveries, get headers() { return delivery.headers; },
      ack: answer(() => delivery.ack()), nak: answer((ms: number) => delivery.nak(ms)), term: answer((reason: string) => delivery.term(reason)),
    };
  });
  try {
    await onBatch(watched);
  } catch (error) {
    for (const [index, delivery] of batch.entries()) if (!answered.has(index)) delivery.nak(retryAfterFailure);
    throw error;
  }
}
