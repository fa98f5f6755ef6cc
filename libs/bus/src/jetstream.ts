import type { Msg } from '@nats-io/nats-core';
import { type StreamDeclaration, streams as declarations } from '@osier/contracts/streams';
import { type Bus, BusRefused, BusUnavailable, type ConsumerDeclaration, type Consumption, NotStored, type Published, WrongLastSequence } from './bus.ts';
import { consumeWith } from './consume.ts';
import { type ApiError, apiCodes, hasCode, JetStreamRefused, jetStreamApi } from './jetstream/api.ts';
import { type ConnectOptions, type Connection, openConnection } from './jetstream/connection.ts';
import { type Consumers, consumersOf } from './jetstream/consumers.ts';
import { explain } from './jetstream/errors.ts';
import { fromNats, fromStored, toNats } from './jetstream/headers.ts';
import { Puller } from './jetstream/pull.ts';
import { readStream } from './jetstream/read.ts';
import { giveSnapshot, takeSnapshot } from './jetstream/snapshot.ts';
import { streamsOf } from './jetstream/streams.ts';
import { matches } from './match.ts';

/** Milliseconds. */
const publishTimeout = 5_000;
const requestTimeout = 5_000;
const listenAgain = 5_000;
/** Header of an answer that is a failure, as NATS services do it (NATS ADR-32). */
const errorHeader = 'Nats-Service-Error';

/** The bus over a NATS server. Returns when connected; waits for ever for a server that is not there yet. */
export async function connectBus(o: ConnectOptions): Promise<Bus> {
  const connection = await openConnection(o);
  const api = jetStreamApi(connection);
  const streams = streamsOf(api, { replicas: o.replicas ?? 1, clustered: connection.clustered });
  const consumers = consumersOf(api);
  const consumptions = new Set<Consumption>();
  const last: Bus['last'] = async (stream, subject) => {
    try {
      const { message } = await api<{ message: Stored }>(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
      return { stream, subject: message.subject, sequence: message.seq, data: Buffer.from(message.data ?? '', 'base64'), headers: fromStored(message.hdrs), storedAt: Date.parse(message.time) };
    } catch (error) {
      if (hasCode(error, apiCodes.noMessage)) return undefined;
      throw error;
    }
  };
  return {
    publish: (subject, data, options = {}) => publish(connection, subject, data, options),
    last,
    stream: (name, how) => streams.state(name, how),
    leadElsewhere: async (stream) => {
      if (((await streams.state(stream))?.replicas ?? 1) > 1) await streams.stepDown(stream);
    },
    consume: async (request) => {
      const consumption = await consume(connection, consumers, request, o.inboxPrefix);
      consumptions.add(consumption);
      return {
        stop: async () => {
          consumptions.delete(consumption);
          await consumption.stop();
        },
      };
    },
    read: (request) => readStream({ connection, consumers, streams, last }, request, o.inboxPrefix),
    ensureStreams: (after) => streams.ensure(after),
    deleteStream: (name) => streams.remove(name),
    ensureConsumer: (durable, declaration) => consumers.ensure(durable, declaration, false),
    consumer: (stream, durable) => consumers.state(stream, durable),
    consumers: (stream) => consumers.list(stream),
    deleteConsumer: (stream, durable) => consumers.remove(stream, durable),
    purge: (stream, subject) => streams.purge(stream, subject),
    snapshot: (stream, options) => takeSnapshot(connection, api, stream, options, o.inboxPrefix),
    restore: (stream, { pieces, ...snapshot }) => giveSnapshot(connection, api, stream, snapshot, pieces),
    request: (subject, data, options = {}) => request(connection, subject, data, options),
    respond: async (pattern, queue, answer) => respond(connection, pattern, queue, answer),
    tell: (subject, data) => tell(connection, subject, data),
    listen: async (pattern, hear, options = {}) => listen(connection, pattern, hear, options.onProblem),
    get connected() { return connection.connected(); },
    get session() { return connection.session(); },
    close: async () => {
      await Promise.all([...consumptions].map((consumption) => consumption.stop()));
      await connection.close();
    },
  };
}

interface Stored { readonly subject: string; readonly seq: number; readonly data?: string; readonly hdrs?: string; readonly time: string }
type Options<K extends 'publish' | 'request'> = NonNullable<Parameters<Bus[K]>[2]>;

async function publish(connection: Connection, subject: string, data: Uint8Array, o: Options<'publish'>): Promise<Published> {
  const timeout = o.timeoutMs ?? publishTimeout;
  const expected = o.expectedLastSubjectSequence;
  const headers = toNats({ ...o.headers, ...(expected === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': String(expected) }) });
  const nats = await connection.ready(timeout);
  let answer: Msg;
  try {
    answer = await nats.request(subject, data, { timeout, ...(headers === undefined ? {} : { headers }) });
  } catch (error) {
    const explained = explain(error, subject, () => nobodyStores(subject, connection.clustered()));
    if (explained instanceof BusUnavailable) connection.unanswered();
    throw explained;
  }
  const ack = acknowledgement(answer, subject);
  connection.answered();
  if (ack.error === undefined) return { stream: ack.stream, sequence: ack.seq, duplicate: ack.duplicate ?? false };
  const code = ack.error.err_code;
  if (code === apiCodes.wrongLastSequence || code === apiCodes.wrongLastSequenceUnknown) throw new WrongLastSequence(`${subject}: ${ack.error.description}, not ${expected}`);
  if (ack.error.code === 503) throw new BusUnavailable(`${subject}: ${ack.error.description}`);
  throw new JetStreamRefused(ack.error, subject);
}

/** While the servers of a cluster elect who leads a stream, nobody listens to its subjects, as if it were not there. */
function nobodyStores(subject: string, clustered: boolean): Error {
  const declared = Object.values<StreamDeclaration>(declarations).some((stream) => stream.subjects.some((pattern) => matches(pattern, subject)));
  if (!clustered || !declared) return new NotStored(`no stream takes ${subject}`);
  return new BusUnavailable(`${subject}: no nats-server leads its stream at the moment`);
}

type PubAck = { stream: string; seq: number; duplicate?: boolean; error?: ApiError };
function acknowledgement(answer: Msg, subject: string): PubAck {
  try {
    const ack = answer.json<PubAck>();
    // In a cluster a repeat is answered while the first is not stored yet, and may never be.
    if (ack.error === undefined && ack.duplicate === true && ack.seq === 0) throw new BusUnavailable(`${subject}: the same message is on its way and not stored yet`);
    if (ack.error !== undefined || (typeof ack.stream === 'string' && typeof ack.seq === 'number')) return ack;
  } catch (error) {
    if (error instanceof BusUnavailable) throw error;
    // Not JSON: somebody who is no stream answered.
  }
  throw new NotStored(`${subject}: something answered that is no stream`);
}

function consume(connection: Connection, consumers: Consumers, o: Parameters<Bus['consume']>[0], inboxPrefix?: string): Promise<Consumption> {
  const { declaration } = o;
  // A consumer of somebody else has to begin with its first delivery for us.
  const puller = new Puller({ connection, stream: o.stream, consumer: o.durable, inboxPrefix, ...(declaration === undefined ? { lastOrdinal: 0, onGap: o.onGap } : { owned: true }) });
  const ensure = async (ours: ConsumerDeclaration, setBack: boolean): Promise<void> => {
    await consumers.ensure(o.durable, ours, setBack);
    puller.restart(undefined);
  };
  return consumeWith(
    {
      pull: (batch, signal) => puller.pull(Math.min(batch, declaration?.maxAckPending ?? batch), signal),
      close: () => puller.close(),
      ...(declaration === undefined ? {} : { ensure: (setBack: boolean) => ensure(declaration, setBack) }),
    },
    o,
    (error) => error instanceof BusRefused && !hasCode(error, apiCodes.streamNotFound),
  );
}

async function request(connection: Connection, subject: string, data: Uint8Array, o: Options<'request'>): ReturnType<Bus['request']> {
  const timeout = o.timeoutMs ?? requestTimeout;
  const headers = toNats(o.headers);
  const nats = await connection.ready(timeout);
  let answer: Msg;
  try {
    answer = await nats.request(subject, data, { timeout, ...(headers === undefined ? {} : { headers }) });
  } catch (error) {
    throw explain(error, subject, () => new BusUnavailable(`nobody answers on ${subject}`));
  }
  const given = fromNats(answer.headers);
  const failure = given[errorHeader];
  if (failure !== undefined) throw new BusRefused(failure);
  return { data: answer.data, headers: given };
}

function respond(connection: Connection, pattern: string, queue: string, answer: Parameters<Bus['respond']>[2]): { stop(): Promise<void> } {
  const reply = async (message: Msg): Promise<void> => {
    try {
      const { data, headers } = await answer({ subject: message.subject, data: message.data, headers: fromNats(message.headers) });
      const made = toNats(headers);
      message.respond(data, made === undefined ? {} : { headers: made });
    } catch (error) {
      const made = toNats({ [errorHeader]: oneLine(error), 'Nats-Service-Error-Code': '500' });
      message.respond(undefined, made === undefined ? {} : { headers: made });
    }
  };
  const subscription = connection.nats.subscribe(pattern, { queue, callback: (error, message) => void (error === null ? reply(message) : undefined) });
  return { stop: () => subscription.drain() };
}

async function tell(connection: Connection, subject: string, data: Uint8Array): Promise<void> {
  const nats = await connection.ready(publishTimeout);
  const most = nats.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (data.byteLength > most) throw new BusRefused(`${data.byteLength} bytes are more than one message may have (${most})`);
  try {
    nats.publish(subject, data);
  } catch (error) {
    throw explain(error, subject, () => new BusUnavailable(`nobody listens to ${subject}`));
  }
}

/** The client lays its ears anew after a lost connection; one that was refused it forgets. */
function listen(connection: Connection, pattern: string, hear: Parameters<Bus['listen']>[1], onProblem: ((problem: Error) => void) | undefined): { stop(): Promise<void> } {
  let again: NodeJS.Timeout | undefined;
  const lay = (): ReturnType<Connection['nats']['subscribe']> => connection.nats.subscribe(pattern, { callback: (error, { subject, data }) => {
    if (error === null) return hear({ subject, data });
    onProblem?.(new BusRefused(`${pattern} may not be listened to: ${error.message}`));
    again = setTimeout(() => connection.nats.isClosed() || (subscription = lay()), listenAgain).unref();
  } });
  let subscription = lay();
  return {
    stop: async () => {
      clearTimeout(again);
      subscription.unsubscribe();
    },
  };
}

const oneLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/[\r\n]+/g, ' ').slice(0, 500) || 'failed';
