import { type Bus, NotStored } from '@osier/bus/bus';
import type { Headers } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';

export interface Outgoing { readonly subject: string; readonly body: unknown; readonly headers?: Headers }

/** Milliseconds between attempts while the bus is away. */
const retryEvery = 500;

/**
 * Publishes one message after the other, in order, and keeps trying while the bus is away. Holds at most `most`; what does not fit pushes
 * out the oldest, and `dropped` is told. With `most: 1` only the latest is ever sent: that is what receipts need.
 */
export function createPublisher(o: { bus: Bus; log: Log; most: number; dropped?: (message: Outgoing) => void }): { send(message: Outgoing): void; readonly waiting: number; stop(): Promise<void> } {
  const queue: Outgoing[] = [];
  let running: Promise<void> | undefined;
  let stopped = false;
  let wake: () => void = () => undefined;
  let away = false;
  const publishOne = async (message: Outgoing): Promise<boolean> => {
    try {
      await o.bus.publish(message.subject, new TextEncoder().encode(JSON.stringify(message.body)), message.headers ? { headers: message.headers } : {});
      away = false;
      return true;
    } catch (error) {
      if (error instanceof NotStored) {
        o.log.error({ subject: message.subject, error: error.message }, 'no stream takes this message; it is dropped');
        o.dropped?.(message);
        return true;
      }
      if (!away) o.log.warn({ subject: message.subject, error: (error as Error).message }, 'the bus is away; messages wait');
      away = true;
      return false;
    }
  };
  const run = async (): Promise<void> => {
    while (!stopped) {
      const message = queue[0];
      if (message === undefined) return;
      if (await publishOne(message)) {
        // A newer one may have pushed this out while it was on its way.
        if (queue[0] === message) queue.shift();
      } else await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, retryEvery);
        wake = () => (clearTimeout(timer), resolve());
      });
    }
  };
  return {
    send(message) {
      queue.push(message);
      while (queue.length > o.most) {
        const oldest = queue.shift();
        if (oldest) o.dropped?.(oldest);
      }
      running ??= run().finally(() => (running = undefined));
    },
    get waiting() {
      return queue.length;
    },
    async stop() {
      stopped = true;
      wake();
      await running;
    },
  };
}
