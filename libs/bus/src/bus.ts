/** What the platform needs of a message bus with streams. Two implementations, one contract suite: JetStream, and an in-memory twin. */
export type Headers = Readonly<Record<string, string>>;

export interface Message {
  readonly stream: string;
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: Headers;
  /** Milliseconds since the epoch at which the stream stored it. */
  readonly storedAt: number;
}

export interface Delivery extends Message {
  /** 1 the first time. */
  readonly deliveries: number;
  ack(): void;
  /** Ask for it again after a while. */
  nak(delayMs: number): void;
  /** Never again; the reason goes to the server's advisories. */
  term(reason: string): void;
}

export interface PublishOptions {
  readonly headers?: Headers;
  /** Fails with WrongLastSequence unless the last message of the subject has this sequence (0: there is none). */
  readonly expectedLastSubjectSequence?: number;
  readonly timeoutMs?: number;
}
export interface Published { readonly stream: string; readonly sequence: number; readonly duplicate: boolean }

export type From = 'all' | 'new' | 'last-per-subject' | { readonly sequence: number };

export interface ConsumerDeclaration {
  readonly stream: string;
  /** Absent: the stream's whole content. */
  readonly filters?: readonly string[];
  /** Where it begins when it is made; of no effect on one that is there. */
  readonly from?: From;
  readonly ackWaitMs?: number;
  readonly maxAckPending?: number;
  /** `all`: acknowledging one acknowledges those before it. */
  readonly ackPolicy?: 'explicit' | 'all' | 'none';
  /** Milliseconds without a fetch after which the server removes it. */
  readonly inactiveThresholdMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface Consumption {
  /** Stops fetching, waits for the batch in hand, leaves the durable consumer in place. */
  stop(): Promise<void>;
}

export interface StreamState {
  /** Changes when the stream is deleted and made anew. */
  readonly incarnation: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  /** Made to replace one that was lost: what it is to hold has to be published again first. */
  readonly rebuilt: boolean;
  /** On how many servers it is kept. */
  readonly replicas: number;
}

/** A stream with all that it holds, in a form that only its kind of server reads. */
export interface StreamSnapshot {
  /** The settings of the stream, and what identifies it, in the words of the server. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  /** To be read once, and without long pauses: the server gives up a reader that does nothing for two seconds. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface ConsumerState { readonly name: string; readonly filters: readonly string[]; readonly pending: number; readonly ackPending: number; readonly deliveredStreamSequence: number; readonly metadata: Readonly<Record<string, string>> }

export class WrongLastSequence extends Error {
  override readonly name = 'WrongLastSequence';
}
/** No stream listens to the subject: nobody stored the message. */
export class NotStored extends Error {
  override readonly name = 'NotStored';
}
/** The server cannot be reached, or did not answer in time: try again. */
export class BusUnavailable extends Error {
  override readonly name = 'BusUnavailable';
}
/** Thrown by whoever is handed a batch, when nothing can be done now: all of it that was not answered comes again after a pause, in its order, before anything else. */
export class PutOff extends Error {
  override readonly name = 'PutOff';
}

/** The server understood and said no, and will say no again: not allowed, not possible, no such stream. */
export class BusRefused extends Error {
  override readonly name = 'BusRefused';
}
/** The consumer does not exist (yet, or any more). */
export class ConsumerMissing extends Error {
  override readonly name = 'ConsumerMissing';
}

export interface Bus {
  /** Returns when the stream has stored it. Does not retry. */
  publish(subject: string, data: Uint8Array, options?: PublishOptions): Promise<Published>;
  /** The last message of a subject (wildcards allowed) in a stream, asked of the stream itself. Throws BusRefused where the stream is missing. */
  last(stream: string, subject: string): Promise<Message | undefined>;
  /**
   * `confirmed`: holds everything that was acknowledged before it was asked for. Without, the answer of a server that was cut off from the others, or has just taken
   * over from one, may lack what it has not heard of yet, a whole stream even.
   */
  stream(name: string, o?: { readonly confirmed?: boolean }): Promise<StreamState | undefined>;
  /** Has another server lead a stream that several keep: what was stuck with the one before, such as a mirror, begins anew there. Nothing for a stream that one server keeps. */
  leadElsewhere(stream: string): Promise<void>;

  /**
   * Fetches from a durable consumer and hands over what came, in stream order, at most `batch` at a time; the next batch comes when `onBatch` has returned.
   * With `declaration` it creates or updates the consumer first; without, the consumer must exist (agents may not create any), and it waits until it does.
   * Survives the loss of the connection and of the consumer by itself, for ever. What `onBatch` has not answered when it throws comes again.
   *
   * `paceMs`: from the beginning of one batch to that of the next at the soonest, so that what comes in a stream is done in larger ones; what comes alone does not wait.
   *
   * Order: with `declaration`, what an earlier life (this one's or another process') took and did not acknowledge comes first, at once and in its place: the
   * consumer is set back to what is acknowledged without a gap, so some of it may come twice. Without, such deliveries come only after the consumer's ackWait,
   * later than their place, and `onGap` says so before the next batch: only a consumer made anew restores the order.
   */
  consume(o: {
    stream: string; durable: string; declaration?: ConsumerDeclaration; batch?: number; paceMs?: number;
    onBatch: (batch: readonly Delivery[]) => Promise<void>;
    onProblem?: (problem: Error) => void;
    onGap?: () => void;
  }): Promise<Consumption>;
  /**
   * Reads a stream in its order, each message once, without leaving anything behind, until the caller stops iterating or `signal` aborts; ends at the last
   * message of now unless `follow`. With `follow` it survives the loss of the connection: who keeps the last sequence that he has dealt with needs no durable
   * consumer to go on from there.
   */
  read(o: { stream: string; filters?: readonly string[]; from?: From; follow?: boolean; signal?: AbortSignal }): AsyncIterable<Message>;

  /**
   * Makes the streams of the contracts where they are missing, and brings their settings up to date. Keeps what is in them. A stream that is made and is
   * named in `after` begins after that sequence, and says that it is `rebuilt`; a mirror has its origin's sequences.
   */
  ensureStreams(after?: Readonly<Record<string, number>>): Promise<void>;
  /** With all that is in it, and its consumers. One that is not there is no error. */
  deleteStream(name: string): Promise<void>;
  ensureConsumer(durable: string, declaration: ConsumerDeclaration): Promise<void>;
  consumer(stream: string, durable: string): Promise<ConsumerState | undefined>;
  consumers(stream: string): Promise<ConsumerState[]>;
  deleteConsumer(stream: string, durable: string): Promise<void>;
  purge(stream: string, subject: string): Promise<void>;
  /** The stream as it is now. What is stored meanwhile may be in it. `consumers`: with how far each has come. Throws BusRefused where the stream is missing. */
  snapshot(stream: string, o: { consumers: boolean }): Promise<StreamSnapshot>;
  /**
   * Makes the stream as it was: every sequence, time, header and gap, its incarnation, its consumers. Throws BusRefused where a stream of that name is there.
   * A mirror is to be restored after its origin. In a cluster one server has it until `ensureStreams` gives it to the others.
   */
  restore(stream: string, snapshot: StreamSnapshot): Promise<void>;

  /** Request and reply. Throws BusUnavailable when nobody answers in time, BusRefused with the answerer's message when its `answer` threw. */
  request(subject: string, data: Uint8Array, o?: { headers?: Headers; timeoutMs?: number }): Promise<{ data: Uint8Array; headers: Headers }>;
  respond(pattern: string, queue: string, answer: (request: { subject: string; data: Uint8Array; headers: Headers }) => Promise<{ data: Uint8Array; headers?: Headers }>): Promise<{ stop(): Promise<void> }>;

  /** Says something to whoever listens now, if anybody does: nothing stores it, and nobody confirms it. Throws BusUnavailable where there is no connection, BusRefused where it is too large. */
  tell(subject: string, data: Uint8Array): Promise<void>;
  /** Hears what is said on a subject (wildcards allowed) from now on, over lost connections. Where this may not be heard (yet), it is tried again for ever, and `onProblem` is told. */
  listen(pattern: string, hear: (said: { subject: string; data: Uint8Array }) => void, o?: { onProblem?: (problem: Error) => void }): Promise<{ stop(): Promise<void> }>;

  readonly connected: boolean;
  /** Counts the connections: another number means that the server may be another, or have come back with less than it had. */
  readonly session: number;
  close(): Promise<void>;
}
