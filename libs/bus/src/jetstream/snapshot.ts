import { setTimeout as sleep } from 'node:timers/promises';
import { type StreamDeclaration, streams } from '@osier/contracts/streams';
import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/nats-core';
import { BusRefused, BusUnavailable, type StreamSnapshot } from '../bus.ts';
import { type ApiError, type Api, JetStreamRefused } from './api.ts';
import type { Connection } from './connection.ts';
import { isNobody } from './errors.ts';
import { streamConfig } from './streams.ts';

/**
 * A stream as the server itself gives it away and takes it back: a compressed tar of its files, in pieces, each of which is acknowledged
 * (the server's `JSApiStreamSnapshot` and `JSApiStreamRestore`; what `nats stream backup` uses). It keeps every sequence, time, header and gap.
 */
/** Bytes of one piece, and milliseconds between two of them. */
const pieceBytes = 128 * 1024;
const silence = 10_000;
/** Pieces that may be on their way to a stream that is restored. */
const window = 16;
/** In a cluster the server that takes a stream may be known to listen a moment after it has said that it does: milliseconds for that, and between two tries. */
const unheard = 5_000;
const between = 25;
/** Milliseconds that the server may take to put together what it has been sent. */
const finishing = 120_000;

interface State { readonly first_seq: number; readonly last_seq: number; readonly messages: number }
interface Begun { readonly config: Record<string, unknown>; readonly state: State }

export async function takeSnapshot(connection: Connection, api: Api, stream: string, o: { consumers: boolean }, inboxPrefix?: string): Promise<StreamSnapshot> {
  // Of a stream that is not there, the servers of a cluster say nothing at all when they are asked for a snapshot.
  await api(`STREAM.INFO.${stream}`);
  const nats = await connection.ready();
  const inbox = createInbox(inboxPrefix);
  const arrived = new Arrivals(nats, inbox, `the snapshot of ${stream}`);
  try {
    const { config, state } = await api<Begun>(`STREAM.SNAPSHOT.${stream}`, { deliver_subject: inbox, no_consumers: !o.consumers, chunk_size: pieceBytes, jsck: false });
    return { config, firstSequence: state.first_seq, lastSequence: state.last_seq, messages: state.messages, pieces: pieces(arrived, stream) };
  } catch (error) {
    arrived.close();
    throw error;
  }
}

async function* pieces(arrived: Arrivals, stream: string): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const message = await arrived.next();
      if (message.data.length === 0) {
        const { code, description } = message.headers ?? { code: 0, description: '' };
        if (code >= 300) throw new BusUnavailable(`the server broke off the snapshot of ${stream}: ${code} ${description}`);
        return;
      }
      yield message.data;
      // The server goes on when what it has sent has been taken: so nothing heaps up here.
      if (message.reply) message.respond();
    }
  } finally {
    arrived.close();
  }
}

/** Messages of one subject, waited for one at a time. */
class Arrivals {
  readonly #queue: Msg[] = [];
  readonly #subscription: Subscription;
  readonly #what: string;
  #wake: () => void = () => undefined;

  constructor(nats: NatsConnection, subject: string, what: string) {
    this.#what = what;
    this.#subscription = nats.subscribe(subject, {
      callback: (_error, message) => {
        this.#queue.push(message);
        this.#wake();
      },
    });
  }
  async next(): Promise<Msg> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, silence);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const message = this.#queue.shift();
    if (message === undefined) throw new BusUnavailable(`${this.#what} came to a halt: nothing for ${silence / 1000} s`);
    return message;
  }
  close(): void {
    this.#subscription.unsubscribe();
  }
}

/** The stream must not be there. It gets the settings that it has in this installation (on one server: the services keep it on more when they start), and keeps what identifies it. */
export async function giveSnapshot(connection: Connection, api: Api, stream: string, snapshot: Omit<StreamSnapshot, 'pieces'>, given: AsyncIterable<Uint8Array>): Promise<void> {
  const state = { messages: snapshot.messages, first_seq: snapshot.firstSequence, last_seq: snapshot.lastSequence };
  const declaration = Object.values<StreamDeclaration>(streams).find(({ name }) => name === stream);
  if (declaration === undefined) throw new BusRefused(`there is no declaration of a stream ${stream}`);
  const { deliver_subject: to } = await api<{ deliver_subject: string }>(`STREAM.RESTORE.${stream}`, { config: { ...snapshot.config, ...streamConfig(declaration, 1) }, state });
  const nats = await connection.ready();
  let isHeard = false;
  const send = async (data: Uint8Array, timeout: number): Promise<Msg> => {
    let answer: Msg | undefined;
    for (const until = Date.now() + unheard; answer === undefined; ) {
      answer = await nats.request(to, data, { timeout }).catch(async (error: unknown) => {
        if (isHeard || Date.now() > until || !isNobody(error)) throw new BusUnavailable(`the restore of ${stream} came to a halt: ${(error as Error).message}`);
        await sleep(between);
        return undefined;
      });
    }
    isHeard = true;
    const text = answer.string();
    if (text.startsWith('-ERR')) throw new BusRefused(`the server cannot store ${stream}: ${text.slice(5)}`);
    return answer;
  };
  const flying = new Set<Promise<unknown>>();
  for await (const piece of given) {
    for (let at = 0; at < piece.length; at += pieceBytes) {
      if (flying.size >= window) await Promise.race(flying);
      const sent: Promise<unknown> = send(piece.subarray(at, at + pieceBytes), silence).finally(() => flying.delete(sent));
      flying.add(sent);
      if (!isHeard) await sent;
    }
  }
  await Promise.all(flying);
  const { error } = (await send(new Uint8Array(), finishing)).json<{ error?: ApiError }>();
  if (error) throw new JetStreamRefused(error, `the restore of ${stream}`);
}
