import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, BusUnavailable, ConsumerMissing, type From, type Message } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Consumers } from './consumers.ts';
import { Patience } from './patience.ts';
import { Puller } from './pull.ts';
import type { Streams } from './streams.ts';

const pageSize = 256;
/** Milliseconds: long enough for a reader that is slow with a page; the server removes it afterwards if we could not. */
const inactiveThresholdMs = 60_000;
/** Milliseconds: for how long a copy may be behind, and how often it is looked whether it still is. */
const behindFor = 5_000;
const lookAgain = 500;
class Gap extends Error {}

export interface Reading { readonly connection: Connection; readonly consumers: Consumers; readonly streams: Streams; readonly last: Bus['last'] }

/** Reads with an ephemeral consumer, made anew after the last message whenever it, the connection or a delivery was lost. */
export async function* readStream(from: Reading, o: Parameters<Bus['read']>[0], inboxPrefix?: string): AsyncGenerator<Message> {
  const stopped = o.signal ?? new AbortController().signal;
  const bounds = await boundsOf(from, o);
  let begin: From = o.from ?? 'all';
  while (!stopped.aborted) {
    try {
      for await (const message of readOnce(from, { ...o, ...bounds, from: begin, stopped }, inboxPrefix)) {
        begin = { sequence: message.sequence + 1 };
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

/** `end`: what comes after it is not wanted. `atLeast`: what has to come, or something after it. */
interface Bounds { readonly end: number; readonly atLeast: number }
/**
 * A reader's consumer lives on any one server, whose copy of a replicated stream may be behind: that it has nothing more to deliver says nothing.
 * So the stream itself is asked what the last message is.
 */
async function boundsOf({ streams, last }: Reading, o: Parameters<Bus['read']>[0]): Promise<Bounds> {
  if (o.follow === true) return { end: Number.POSITIVE_INFINITY, atLeast: 0 };
  const state = await streams.state(o.stream);
  if (state === undefined || state.replicas === 1) return { end: state?.lastSequence ?? 0, atLeast: 0 };
  const lasts = await Promise.all((o.filters ?? ['>']).map((filter) => last(o.stream, filter)));
  const sequences = lasts.map((message) => message?.sequence ?? 0).filter((sequence) => sequence <= state.lastSequence);
  const begin = typeof o.from === 'object' ? o.from.sequence : 0;
  const atLeast = Math.max(0, ...sequences);
  return { end: state.lastSequence, atLeast: o.from === 'new' || atLeast < begin ? 0 : atLeast };
}

type Once = Parameters<Bus['read']>[0] & Bounds & { from: From; stopped: AbortSignal };
async function* readOnce({ connection, consumers }: Reading, o: Once, inboxPrefix?: string): AsyncGenerator<Message> {
  const name = `read-${randomUUID()}`;
  const declaration = { stream: o.stream, from: o.from, ackPolicy: 'none' as const, inactiveThresholdMs, ...(o.filters === undefined ? {} : { filters: o.filters }) };
  let left = await consumers.ephemeral(name, declaration);
  let gap = false;
  let seen = typeof o.from === 'object' ? o.from.sequence - 1 : 0;
  const patience = new Patience(behindFor);
  const puller = new Puller({ connection, stream: o.stream, consumer: name, inboxPrefix, lastOrdinal: 0, onGap: () => (gap = true) });
  try {
    while (!o.stopped.aborted && (left > 0 || seen < o.atLeast || o.follow === true)) {
      const page = await puller.pull(pageSize, left > 0 || o.follow === true ? o.stopped : AbortSignal.any([o.stopped, AbortSignal.timeout(lookAgain)]));
      if (gap) throw new Gap('a delivery was lost');
      if (page.length > 0) patience.answered();
      else if (left === 0 && o.follow !== true && patience.isOver(Date.now())) throw new BusUnavailable(`a copy of ${o.stream} stays at ${seen}, and ${o.atLeast} is there`);
      for (const delivery of page) {
        const { stream, subject, sequence, data, storedAt, pending } = delivery;
        if (sequence > o.end) return;
        left = pending;
        seen = sequence;
        yield { stream, subject, sequence, data, storedAt, get headers() { return delivery.headers; } };
      }
    }
  } finally {
    puller.close();
    if (connection.connected()) await consumers.remove(o.stream, name).catch(() => undefined);
  }
}
