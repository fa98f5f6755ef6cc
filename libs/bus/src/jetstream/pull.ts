import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/nats-core';
import { BusUnavailable, ConsumerMissing, type Delivery, type Headers } from '../bus.ts';
import type { Connection } from './connection.ts';
import { fromNats } from './headers.ts';

export interface PulledDelivery extends Delivery {
  /** How many messages the consumer still has to deliver after this one. */
  readonly pending: number;
}
interface Request { readonly subscription: Subscription; wanted: number }

const nanos = (ms: number): number => ms * 1_000_000;
/** Milliseconds a request waits at the server. Shorter than two minutes, after which a server forgets whom a request from another account is to be answered to. */
const waitAtServer = 25_000;
const heartbeat = 2_000;
const silence = heartbeat * 2 + 500;
/** Longest wait for deliveries that the server has said are to follow. */
const followWithin = 20;

/**
 * Fetches from one pull consumer. At most one request is open; it is never given up while the connection stands, since what the server has sent
 * to a request that nobody listens to any more would come late, out of its order. What arrives while the caller is busy waits here.
 */
export class Puller {
  readonly #connection: Connection;
  readonly #stream: string;
  readonly #consumer: string;
  readonly #inboxPrefix: string | undefined;
  readonly #onGap: () => void;
  readonly #owned: boolean;
  #request: Request | undefined;
  #arrived: PulledDelivery[] = [];
  #failure: Error | undefined;
  #lastOrdinal: number | undefined;
  #wake: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * `onGap`: deliveries were lost on the way, before those that the next `pull` returns. `owned`: who pulls makes the consumer too, and sets it back when
   * somebody else may have had what is missing.
   */
  constructor(o: { connection: Connection; stream: string; consumer: string; inboxPrefix: string | undefined; lastOrdinal?: number | undefined; onGap?: (() => void) | undefined; owned?: boolean }) {
    this.#connection = o.connection;
    this.#stream = o.stream;
    this.#consumer = o.consumer;
    this.#inboxPrefix = o.inboxPrefix;
    this.#lastOrdinal = o.lastOrdinal;
    this.#owned = o.owned ?? false;
    this.#onGap = o.onGap ?? (() => undefined);
  }

  /** Up to `batch` deliveries as soon as there is one; none when none came for a while, or when aborted. Throws ConsumerMissing, BusUnavailable. */
  async pull(batch: number, signal: AbortSignal): Promise<PulledDelivery[]> {
    if (this.#arrived.length === 0) {
      const nats = await this.#connection.ready();
      const lost = this.#connection.lost();
      this.#failure = undefined;
      if (this.#request === undefined) this.#open(nats, batch);
      await this.#something([signal, lost]);
      if (lost.aborted) {
        this.#arrived = [];
        this.#end(undefined);
        throw new BusUnavailable('the connection was lost');
      }
    }
    await this.#rest(batch, signal);
    if (signal.aborted) return [];
    if (this.#arrived.length === 0 && this.#failure !== undefined) throw this.#failure;
    return this.#arrived.splice(0, batch);
  }
  /** A consumer of this name was made anew or read anew: what its next delivery's number has to follow. */
  restart(lastOrdinal: number | undefined): void {
    this.#lastOrdinal = lastOrdinal;
    this.#arrived = [];
    this.#end(undefined);
  }
  /** Gives back what has arrived and was not pulled. */
  close(): void {
    this.#end(undefined);
    for (const delivery of this.#arrived.splice(0)) delivery.nak(0);
  }

  #something(signals: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = () => undefined;
        for (const signal of signals) signal.removeEventListener('abort', done);
        // What has come with the first belongs to the same batch.
        setImmediate(resolve);
      };
      this.#wake = done;
      for (const signal of signals) signal.addEventListener('abort', done, { once: true });
      if (this.#arrived.length > 0 || this.#request === undefined || signals.some((s) => s.aborted)) done();
    });
  }
  /** Each delivery says how many are to follow: those that come at once belong to the same batch, so that a backlog is done in whole ones. Alone, none is waited for. */
  async #rest(batch: number, signal: AbortSignal): Promise<void> {
    const complete = (): boolean => this.#request === undefined || signal.aborted || this.#arrived.length >= batch || (this.#arrived.at(-1)?.pending ?? 0) === 0;
    if (complete()) return;
    await new Promise<void>((resolve) => {
      let over = false;
      const timer = setTimeout(() => {
        over = true;
        this.#wake();
      }, followWithin);
      this.#wake = () => {
        if (!over && !complete()) return;
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
    });
  }
  #open(nats: NatsConnection, batch: number): void {
    // A subject and subscription for each request: the server forgets a request from another account when its reply subject has no listener.
    const inbox = createInbox(this.#inboxPrefix);
    const subscription = nats.subscribe(inbox, {
      callback: (error, message) => {
        if (this.#request?.subscription !== subscription) return;
        if (error !== null) return this.#end(new BusUnavailable(error.message));
        this.#take(nats, message);
      },
    });
    this.#request = { subscription, wanted: batch };
    this.#patience();
    const request = { batch, expires: nanos(waitAtServer), idle_heartbeat: nanos(heartbeat) };
    nats.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`, JSON.stringify(request), { reply: inbox });
  }
  #take(nats: NatsConnection, message: Msg): void {
    // A status has no body; the headers of all others are left unread until somebody asks for them.
    const code = message.data.length === 0 ? (message.headers?.code ?? 0) : 0;
    if (code === 100) return this.#patience();
    if (code === 503 && this.#owned && this.#connection.clustered()) return this.#end(new BusUnavailable(`no server leads consumer ${this.#consumer} on ${this.#stream} at the moment, if it is there`));
    if (code !== 0) return this.#end(ending(code, message.headers?.description ?? '', this.#consumer, this.#stream));
    const place = parseAckSubject(message.reply ?? '');
    if (place.ordinal !== 1 && this.#lastOrdinal !== undefined && place.ordinal !== this.#lastOrdinal + 1) this.#onGap();
    this.#lastOrdinal = place.ordinal;
    this.#arrived.push(delivery(nats, message, place));
    if (this.#request !== undefined && --this.#request.wanted === 0) return this.#end(undefined);
    this.#patience();
    this.#wake();
  }
  #patience(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#connection.unanswered();
      this.#end(new BusUnavailable(`consumer ${this.#consumer} on ${this.#stream} has fallen silent`));
    }, silence);
  }
  #end(failure: Error | undefined): void {
    clearTimeout(this.#timer);
    this.#request?.subscription.unsubscribe();
    this.#request = undefined;
    this.#failure = failure;
    this.#wake();
  }
}

/** What a status message that ends a request means; undefined: simply no more for now. */
function ending(code: number, description: string, consumer: string, stream: string): Error | undefined {
  if (code === 404 || code === 408) return undefined;
  if (code === 503 || /consumer deleted|stream deleted/i.test(description)) return new ConsumerMissing(`there is no consumer ${consumer} on ${stream}`);
  // What the one before had sent and nobody got would come only after its ackWait, behind what is younger: whoever owns the consumer sets it back.
  if (/leadership change|server shutdown/i.test(description)) return new BusUnavailable(`consumer ${consumer} on ${stream} is led by another server now`);
  if (/batch completed/i.test(description)) return undefined;
  return new BusUnavailable(`consumer ${consumer} on ${stream}: ${code} ${description}`);
}

/**
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<ns>.<pending>`, from newer servers possibly with the JetStream
 * domain and the account's hash after `$JS.ACK` (NATS ADR-15).
 */
interface Place { readonly stream: string; readonly deliveries: number; readonly sequence: number; readonly ordinal: number; readonly storedAt: number; readonly pending: number }
export function parseAckSubject(subject: string): Place {
  const tokens = subject.split('.');
  const [stream = '', , deliveries, sequence, ordinal, stored, pending] = tokens.slice(tokens.length >= 11 ? 4 : 2);
  return { stream, deliveries: Number(deliveries), sequence: Number(sequence), ordinal: Number(ordinal), storedAt: Number((stored ?? '').slice(0, -6)), pending: Number(pending) };
}

function delivery(nats: NatsConnection, message: Msg, place: Place): PulledDelivery {
  const { stream, deliveries, sequence, storedAt, pending } = place;
  const say = (text: string): void => {
    if (!nats.isClosed() && message.reply !== undefined) nats.publish(message.reply, text);
  };
  let headers: Headers | undefined;
  return {
    stream, deliveries, sequence, storedAt, pending, subject: message.subject, data: message.data,
    // Most readers never look.
    get headers() { return (headers ??= fromNats(message.headers)); },
    ack: () => say('+ACK'),
    nak: (delayMs) => say(delayMs > 0 ? `-NAK {"delay": ${nanos(delayMs)}}` : '-NAK'),
    term: (reason) => say(`+TERM ${reason}`),
  };
}
