import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, From, Message } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';

/** Milliseconds between attempts while the bus is away. */
const retryAfterMs = 500;

export interface Following { stop(): Promise<void> }

/** Reads a stream for ever: goes on where it was after the connection, the server or the stream was away. A message that `take` throws on is logged and passed over. */
export function follow(bus: Bus, log: Log, o: { stream: string; filters?: readonly string[]; from: From }, take: (message: Message) => void): Following {
  const stopping = new AbortController();
  let from = o.from;
  const hand = (message: Message): void => {
    try {
      take(message);
    } catch (error) {
      log.error({ err: error, subject: message.subject, sequence: message.sequence }, 'a message could not be understood and is passed over');
    }
    from = { sequence: message.sequence + 1 };
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        for await (const message of bus.read({ stream: o.stream, from, follow: true, signal: stopping.signal, ...(o.filters ? { filters: o.filters } : {}) })) hand(message);
      } catch (error) {
        log.debug({ err: error, stream: o.stream }, 'cannot read the stream now; trying again');
      }
      if (!stopping.signal.aborted) await sleep(retryAfterMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const ended = run();
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}

/** JSON of a message's body. Throws SyntaxError. */
export const json = (message: { data: Uint8Array }): unknown => JSON.parse(new TextDecoder().decode(message.data));
