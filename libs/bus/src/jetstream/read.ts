import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, BusUnavailable, ConsumerMissing, type From, type Message } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Consumers } from './consumers.ts';
import { Puller } from './pull.ts';
import type { Streams } from './streams.ts';

const pageSize = 256;
/** Milliseconds: long enough for a reader that is slow with a page; the server removes it afterwards if we could not. */
const inactiveThresholdMs = 60_000;
class Gap extends Error {}

/** Reads with an ephemeral consumer, made anew after the last message whenever it, the connection or a delivery was lost. */
export async function* readStream(connection: Connection, consumers: Consumers, streams: Streams, o: Parameters<Bus['read']>[0], inboxPrefix?: string): AsyncGenerator<Message> {
  const stopped = o.signal ?? new AbortController().signal;
  const end = o.follow === true ? Number.POSITIVE_INFINITY : ((await streams.state(o.stream))?.lastSequence ?? 0);
  let from: From = o.from ?? 'all';
  while (!stopped.aborted) {
    try {
      for await (const message of readOnce(connection, consumers, { ...o, from, end, stopped }, inboxPrefix)) {
        from = { sequence: message.sequence + 1 };
        yield message;
        if (stopped.aborted) return;
      }
      return;
    } catch (error) {
      const again = error instanceof Gap || error instanceof ConsumerMissing || (o.follow === true && error instanceof BusUnavailable);
      if (!again) throw error;
      await sleep(200, undefined, { signal: stopped }).catch(() => undefined);
    }
  }
}

type Once = Parameters<Bus['read']>[0] & { from: From; end: number; stopped: AbortSignal };
async function* readOnce(connection: Connection, consumers: Consumers, o: Once, inboxPrefix?: string): AsyncGenerator<Message> {
  const name = `read-${randomUUID()}`;
  const declaration = { stream: o.stream, from: o.from, ackPolicy: 'none' as const, inactiveThresholdMs, ...(o.filters === undefined ? {} : { filters: o.filters }) };
  let left = await consumers.ephemeral(name, declaration);
  let gap = false;
  const puller = new Puller({ connection, stream: o.stream, consumer: name, inboxPrefix, lastOrdinal: 0, onGap: () => (gap = true) });
  try {
    while (!o.stopped.aborted && (left > 0 || o.follow === true)) {
      const page = await puller.pull(pageSize, o.stopped);
      if (gap) throw new Gap('a delivery was lost');
      for (const delivery of page) {
        const { stream, subject, sequence, data, storedAt, pending } = delivery;
        if (sequence > o.end) return;
        left = pending;
        yield { stream, subject, sequence, data, storedAt, get headers() { return delivery.headers; } };
      }
    }
  } finally {
    puller.close();
    if (connection.connected()) await consumers.remove(o.stream, name).catch(() => undefined);
  }
}
