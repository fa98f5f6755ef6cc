import type { Message } from '@osier/bus/bus';
import type { ApiBus } from './context.ts';

/** How many messages one request may look at, over all streams that it reads. */
export interface Budget { left: number }

/** `paused`: the budget is spent; what is below this sequence has not been looked at. */
export type Found = { readonly messages: readonly Message[] } | { readonly paused: number };

const smallest = 256;
const largest = 8192;

/**
 * The messages of a stream from the newest (or from below `before`) to the oldest, in portions, each with its newest first.
 * A stream can only be read forwards, so it is done in windows; where there is little in them they become larger.
 */
export async function* backwards(bus: ApiBus, stream: string, o: { filters?: readonly string[]; before?: number | undefined; budget: Budget; signal: AbortSignal }): AsyncGenerator<Found> {
  const state = await bus.stream(stream);
  if (state === undefined) return;
  let end = Math.min(state.lastSequence, (o.before ?? Number.POSITIVE_INFINITY) - 1);
  for (let size = smallest; end >= Math.max(1, state.firstSequence) && !o.signal.aborted; ) {
    if (o.budget.left <= 0) return yield { paused: end + 1 };
    const start = Math.max(1, end - size + 1);
    const messages: Message[] = [];
    for await (const message of bus.read({ stream, from: { sequence: start }, signal: o.signal, ...(o.filters === undefined ? {} : { filters: o.filters }) })) {
      if (message.sequence > end) break;
      messages.push(message);
    }
    o.budget.left -= Math.max(messages.length, 1);
    if (messages.length > 0) yield { messages: messages.reverse() };
    if (messages.length < smallest / 4) size = Math.min(size * 2, largest);
    end = start - 1;
  }
}
