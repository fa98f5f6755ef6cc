import { type StreamDeclaration, streams } from '@osier/contracts/streams';
import { type Bus, BusRefused, BusUnavailable, type ConsumerDeclaration, ConsumerMissing, type Consumption, type From, type Message, NotStored, type StreamSnapshot } from './bus.ts';
import { consumeWith } from './consume.ts';
import { matches } from './match.ts';
import { MemoryConsumer, type Timing } from './memory/consumer.ts';
import { fillFrom, identityOf, snapshotOf } from './memory/snapshot.ts';
import { MemoryStream } from './memory/stream.ts';

/** A server's worth of streams in memory, and what a test may do to it. It behaves as JetStream does: the contract suite runs over both. */
export interface MemoryBroker {
  /** Another client of the same streams. */
  connect(name: string): Bus;
  /** As if the server were down: everything fails with BusUnavailable, nothing is delivered. Streams and durable consumers stay. */
  stop(): void;
  start(): void;
  /** As if the stream had been deleted, with its consumers. */
  deleteStream(name: string): void;
  /** All that is in a stream has outlived its age. */
  outlive(name: string): void;
  /** Resolves when nobody who consumes has anything left to do. Rejects after `withinMs`, naming who has. */
  idle(withinMs?: number): Promise<void>;
}
export interface MemoryBrokerOptions {
  /** Milliseconds since the epoch; for tests with a clock of their own. Waiting itself is done with timers. */
  readonly now?: () => number;
}

/** As the server's default. */
const maxPayload = 1024 * 1024;
interface Responder { readonly pattern: string; readonly queue: string; readonly answer: Parameters<Bus['respond']>[2]; calls: number }

interface Listener { readonly pattern: string; readonly hear: Parameters<Bus['listen']>[1] }

export function memoryBroker(o: MemoryBrokerOptions = {}): MemoryBroker {
  const broker = new Broker(o.now ?? Date.now);
  return {
    connect: () => connectMemory(broker),
    stop: () => broker.turn(false),
    start: () => broker.turn(true),
    deleteStream: (name) => broker.deleteStream(name),
    outlive: (name) => broker.stream(name).outlive(),
    idle: (withinMs = 10_000) => broker.idle(withinMs),
  };
}

class Broker {
  up = true;
  readonly streams = new Map<string, MemoryStream>();
  readonly responders = new Set<Responder>();
  readonly listeners = new Set<Listener>();
  readonly timing: Timing;
  #made = 0;
  /** Aborted when the server "goes down", which wakes everyone who waits. */
  #loss = new AbortController();

  constructor(now: () => number) {
    this.timing = {
      now,
      after: (ms, work) => {
        const timer = setTimeout(work, ms);
        return { cancel: () => clearTimeout(timer) };
      },
    };
  }
  get lost(): AbortSignal {
    return this.#loss.signal;
  }
  session = 1;
  turn(up: boolean): void {
    this.up = up;
    if (!up) this.session++;
    if (up) this.#loss = new AbortController();
    else this.#loss.abort();
  }
  check(): void {
    if (!this.up) throw new BusUnavailable('the broker is stopped');
  }
  ensureStreams(after: Readonly<Record<string, number>> = {}): void {
    for (const declaration of Object.values<StreamDeclaration>(streams)) {
      if (this.streams.has(declaration.name)) continue;
      const made = new MemoryStream(declaration, `incarnation-${++this.#made}`, this.timing.now, after[declaration.name]);
      this.streams.set(declaration.name, made);
      const origin = declaration.mirrorOf === undefined ? undefined : this.streams.get(declaration.mirrorOf);
      if (origin === undefined) continue;
      for (const message of origin.messages()) made.store({ ...message, stream: made.name });
      origin.mirrors.push(made);
    }
  }
  async restore(name: string, snapshot: StreamSnapshot): Promise<void> {
    if (this.streams.has(name)) throw new BusRefused(`there is a stream ${name} already`);
    const declaration = Object.values<StreamDeclaration>(streams).find((d) => d.name === name);
    if (declaration === undefined) throw new BusRefused(`there is no declaration of a stream ${name}`);
    const made = new MemoryStream(declaration, identityOf(snapshot).incarnation, this.timing.now);
    await fillFrom(made, snapshot.pieces, this.timing);
    made.goOnFrom(snapshot.lastSequence, identityOf(snapshot).rebuilt);
    this.streams.set(name, made);
    const origin = declaration.mirrorOf === undefined ? undefined : this.streams.get(declaration.mirrorOf);
    for (const message of origin?.messages() ?? []) if (message.sequence > made.lastSequence) made.store({ ...message, stream: name });
    origin?.mirrors.push(made);
  }
  deleteStream(name: string): void {
    const gone = this.streams.get(name);
    if (gone === undefined) return;
    this.streams.delete(name);
    for (const consumer of gone.consumers.values()) consumer.remove();
    // A mirror keeps what it has and gets no more, as the real one when its origin begins again from 1.
    for (const stream of this.streams.values()) stream.mirrors.splice(0, stream.mirrors.length, ...stream.mirrors.filter((mirror) => mirror !== gone));
  }
  stream(name: string): MemoryStream {
    this.check();
    const found = this.streams.get(name);
    if (found === undefined) throw new StreamMissing(`there is no stream ${name}`);
    for (const consumer of [...found.consumers.values()]) if (consumer.expired) this.removeConsumer(found, consumer.name);
    return found;
  }
  consumer(stream: string, name: string): MemoryConsumer {
    this.check();
    const found = this.streams.has(stream) ? this.stream(stream).consumers.get(name) : undefined;
    if (found === undefined) throw new ConsumerMissing(`there is no consumer ${name} on ${stream}`);
    return found;
  }
  ensureConsumer(name: string, declaration: ConsumerDeclaration, setBack = false): void {
    const stream = this.stream(declaration.stream);
    const found = stream.consumers.get(name);
    if (found === undefined) stream.consumers.set(name, new MemoryConsumer(name, declaration, stream, this.timing));
    else found.update(declaration);
    if (setBack) found?.setBack();
  }
  removeConsumer(stream: MemoryStream, name: string): void {
    stream.consumers.get(name)?.remove();
    stream.consumers.delete(name);
  }
  async idle(withinMs: number): Promise<void> {
    const busy = (): string[] => [...this.streams.values()].flatMap((stream) =>
      [...stream.consumers.values()]
        .filter((c) => c.attended > 0 && (c.inHand > 0 || c.pending > 0 || c.ackPending > 0))
        .map((c) => `${stream.name}/${c.name} (${c.pending} to come, ${c.ackPending} unacknowledged)`));
    const until = performance.now() + withinMs;
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const who = busy();
      quiet = who.length === 0 ? quiet + 1 : 0;
      if (performance.now() > until) throw new Error(`still at work after ${withinMs} ms: ${who.join(', ')}`);
    }
  }
}
class StreamMissing extends BusRefused {}

function connectMemory(broker: Broker): Bus {
  const consumptions = new Set<Consumption>();
  const closing = new AbortController();
  const open = (): void => {
    if (closing.signal.aborted) throw new BusUnavailable('the connection was closed');
    broker.check();
  };
  return {
    publish: async (subject, data, options = {}) => {
      open();
      if (subject === '' || /\s/.test(subject)) throw new BusRefused(`invalid subject: ${JSON.stringify(subject)}`);
      if (data.byteLength > maxPayload) throw new BusRefused(`${data.byteLength} bytes are more than one message may have (${maxPayload})`);
      const stream = [...broker.streams.values()].find((s) => s.takes(subject));
      if (stream === undefined) throw new NotStored(`no stream takes ${subject}`);
      return stream.publish(subject, data, options.headers ?? {}, options.expectedLastSubjectSequence);
    },
    last: async (stream, subject) => broker.stream(stream).last(subject),
    stream: async (name) => (open(), broker.streams.get(name)?.state()),
    leadElsewhere: async () => open(),
    consume: async (request) => {
      const consumption = await consume(broker, request);
      consumptions.add(consumption);
      return {
        stop: async () => {
          consumptions.delete(consumption);
          await consumption.stop();
        },
      };
    },
    read: (request) => read(broker, closing.signal, request),
    ensureStreams: async (after) => (open(), broker.ensureStreams(after)),
    deleteStream: async (name) => (open(), broker.deleteStream(name)),
    ensureConsumer: async (name, declaration) => (open(), broker.ensureConsumer(name, declaration)),
    consumer: async (stream, name) => broker.stream(stream).consumers.get(name)?.state(),
    consumers: async (stream) => [...broker.stream(stream).consumers.values()].map((c) => c.state()),
    deleteConsumer: async (stream, name) => broker.removeConsumer(broker.stream(stream), name),
    purge: async (stream, subject) => broker.stream(stream).purge(subject),
    snapshot: async (stream, options) => snapshotOf(broker.stream(stream), options),
    restore: async (stream, snapshot) => (open(), broker.restore(stream, snapshot)),
    request: (subject, data, options = {}) => ask(broker, open, subject, data, options),
    respond: async (pattern, queue, answer) => {
      const responder = { pattern, queue, answer, calls: 0 };
      broker.responders.add(responder);
      return { stop: async () => void broker.responders.delete(responder) };
    },
    tell: async (subject, data) => {
      open();
      if (data.byteLength > maxPayload) throw new BusRefused(`${data.byteLength} bytes are more than one message may have (${maxPayload})`);
      for (const { pattern, hear } of broker.listeners) if (matches(pattern, subject)) setImmediate(() => broker.up && hear({ subject, data: Uint8Array.from(data) }));
    },
    listen: async (pattern, hear) => {
      const listener = { pattern, hear };
      broker.listeners.add(listener);
      return { stop: async () => void broker.listeners.delete(listener) };
    },
    get connected() { return broker.up && !closing.signal.aborted; },
    get session() { return broker.session; },
    close: async () => {
      await Promise.all([...consumptions].map((consumption) => consumption.stop()));
      closing.abort();
    },
  };
}

async function consume(broker: Broker, o: Parameters<Bus['consume']>[0]): Promise<Consumption> {
  let attending: MemoryConsumer | undefined;
  const leave = (): void => {
    if (attending !== undefined) attending.attended--;
    attending = undefined;
  };
  const pull = async (batch: number, signal: AbortSignal): ReturnType<MemoryConsumer['pull']> => {
    const consumer = broker.consumer(o.stream, o.durable);
    if (consumer !== attending) {
      leave();
      if (o.declaration === undefined && consumer.ackPending > 0) o.onGap?.();
      consumer.attended++;
      attending = consumer;
    }
    const got = await consumer.pull(batch, AbortSignal.any([signal, broker.lost]));
    broker.check();
    return got;
  };
  const { declaration } = o;
  const puller = declaration === undefined ? { pull } : { pull, ensure: async (setBack: boolean) => broker.ensureConsumer(o.durable, declaration, setBack) };
  const consumption = await consumeWith(puller, o, (error) => error instanceof BusRefused && !(error instanceof StreamMissing));
  return {
    stop: async () => {
      await consumption.stop();
      leave();
    },
  };
}

async function* read(broker: Broker, closing: AbortSignal, o: Parameters<Bus['read']>[0]): AsyncGenerator<Message> {
  const stream = broker.stream(o.stream);
  const end = stream.lastSequence;
  const from: From = o.from ?? 'all';
  const declaration = { stream: o.stream, from, ackPolicy: 'none' as const, ...(o.filters === undefined ? {} : { filters: o.filters }) };
  const consumer = new MemoryConsumer('reader', declaration, stream, broker.timing);
  const stopped = AbortSignal.any([closing, ...(o.signal === undefined ? [] : [o.signal])]);
  if (o.follow === true) stream.readers.add(consumer);
  try {
    while (!stopped.aborted) {
      const page = o.follow === true ? await consumer.pull(256, stopped) : consumer.take(256);
      if (page.length === 0) return;
      for (const { subject, sequence, data, headers, storedAt } of page) {
        if (o.follow !== true && sequence > end) return;
        yield { stream: o.stream, subject, sequence, data, headers, storedAt };
        if (stopped.aborted) return;
      }
    }
  } finally {
    stream.readers.delete(consumer);
  }
}

async function ask(broker: Broker, open: () => void, subject: string, data: Uint8Array, o: NonNullable<Parameters<Bus['request']>[2]>): ReturnType<Bus['request']> {
  open();
  const responders = [...broker.responders].filter((r) => matches(r.pattern, subject)).sort((a, b) => a.calls - b.calls);
  const responder = responders[0];
  if (responder === undefined) throw new BusUnavailable(`nobody answers on ${subject}`);
  responder.calls++;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BusUnavailable(`no answer in time on ${subject}`)), o.timeoutMs ?? 5_000);
  });
  try {
    const answer = responder.answer({ subject, data: Uint8Array.from(data), headers: { ...o.headers } }).catch((error: Error) => {
      throw new BusRefused(error.message);
    });
    const given = await Promise.race([answer, late]);
    return { data: given.data, headers: given.headers ?? {} };
  } finally {
    clearTimeout(timer);
  }
}
