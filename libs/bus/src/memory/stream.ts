import type { StreamDeclaration } from '@osier/contracts/streams';
import { BusRefused, type Headers, type Message, type Published, type StreamState, WrongLastSequence } from '../bus.ts';
import { matches } from '../match.ts';
import type { MemoryConsumer } from './consumer.ts';

const duplicateWindowMs = 100;

/** One stream in memory: its messages in order of sequence, and who consumes it. */
export class MemoryStream {
  readonly declaration: StreamDeclaration;
  readonly consumers = new Map<string, MemoryConsumer>();
  /** Woken like consumers, but in no list. */
  readonly readers = new Set<MemoryConsumer>();
  readonly mirrors: MemoryStream[] = [];
  readonly #incarnation: string;
  #rebuilt: boolean;
  readonly #now: () => number;
  #messages: Message[] = [];
  #lastSequence = 0;
  #lastOf = new Map<string, number>();
  #ids = new Map<string, { sequence: number; at: number }>();

  /** `after`: the sequence before its first, where it replaces one that was lost. */
  constructor(declaration: StreamDeclaration, incarnation: string, now: () => number, after?: number) {
    this.declaration = declaration;
    this.#rebuilt = after !== undefined;
    this.#lastSequence = declaration.mirrorOf === undefined ? (after ?? 0) : 0;
    this.#incarnation = incarnation;
    this.#now = now;
  }

  /** What was restored may end after its last message. */
  goOnFrom(lastSequence: number, rebuilt: boolean): void {
    this.#lastSequence = Math.max(this.#lastSequence, lastSequence);
    this.#rebuilt = rebuilt;
  }

  takes(subject: string): boolean {
    return this.declaration.subjects.some((pattern) => matches(pattern, subject));
  }

  publish(subject: string, data: Uint8Array, headers: Headers, expected: number | undefined): Published {
    const now = this.#now();
    const id = headers['Nats-Msg-Id'];
    const before = id === undefined ? undefined : this.#ids.get(id);
    if (before !== undefined && now - before.at < duplicateWindowMs) return { stream: this.name, sequence: before.sequence, duplicate: true };
    const last = this.last(subject)?.sequence ?? 0;
    if (expected !== undefined && expected !== last) throw new WrongLastSequence(`${subject}: wrong last sequence: ${last}, not ${expected}`);
    const sequence = this.#lastSequence + 1;
    if (id !== undefined) this.#ids.set(id, { sequence, at: now });
    this.store({ stream: this.name, subject, sequence, data: Uint8Array.from(data), headers: Object.freeze({ ...headers }), storedAt: now });
    return { stream: this.name, sequence, duplicate: false };
  }

  /** A mirror stores what its origin has stored, under the same sequence. */
  store(message: Message): void {
    if (this.declaration.maxPerSubject === 1) this.#drop((m) => m.subject === message.subject);
    this.#messages.push(message);
    this.#lastSequence = message.sequence;
    this.#lastOf.set(message.subject, message.sequence);
    for (const mirror of this.mirrors) mirror.store({ ...message, stream: mirror.name });
    for (const consumer of [...this.consumers.values(), ...this.readers]) consumer.wake();
  }

  get name(): string {
    return this.declaration.name;
  }
  get lastSequence(): number {
    return this.#lastSequence;
  }
  state(): StreamState {
    const messages = this.messages();
    return { incarnation: this.#incarnation, firstSequence: messages[0]?.sequence ?? this.#lastSequence + (this.#lastSequence === 0 ? 0 : 1), lastSequence: this.#lastSequence, messages: messages.length, rebuilt: this.#rebuilt, replicas: 1 };
  }
  messages(): readonly Message[] {
    const { maxAge } = this.declaration;
    const oldest = this.#now() - maxAge;
    if (maxAge > 0 && (this.#messages[0]?.storedAt ?? oldest) < oldest) this.#drop((m) => m.storedAt < oldest);
    return this.#messages;
  }
  last(filter: string): Message | undefined {
    const exact = this.#lastOf.get(filter);
    if (exact !== undefined) return this.bySequence(exact);
    return this.messages().findLast((m) => matches(filter, m.subject));
  }
  bySequence(sequence: number): Message | undefined {
    const index = this.firstIndexFrom(sequence);
    const found = this.messages()[index];
    return found?.sequence === sequence ? found : undefined;
  }
  /** Where in `messages()` the sequences from this one on begin. */
  firstIndexFrom(sequence: number): number {
    const messages = this.messages();
    let [low, high] = [0, messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((messages[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  purge(filter: string): void {
    if (this.declaration.appendOnly === true) throw new BusRefused(`nothing can be purged from ${this.name}`);
    this.#drop((m) => matches(filter, m.subject));
  }
  outlive(): void {
    this.#drop(() => true);
  }
  #drop(unwanted: (message: Message) => boolean): void {
    this.#messages = this.#messages.filter((m) => {
      if (!unwanted(m)) return true;
      if (this.#lastOf.get(m.subject) === m.sequence) this.#lastOf.delete(m.subject);
      return false;
    });
  }
}
