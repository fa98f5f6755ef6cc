import { BusRefused, type ConsumerDeclaration, ConsumerMissing, type ConsumerState, type Delivery, type Message } from '../bus.ts';
import { matches, overlap } from '../match.ts';
import type { MemoryStream } from './stream.ts';

interface Pending { deliveries: number; dueAt: number }
export interface Timing { readonly now: () => number; readonly after: (ms: number, work: () => void) => { cancel(): void } }

/** A pull consumer as the server keeps it: where it is in the stream, and what it waits for. */
export class MemoryConsumer {
  readonly name: string;
  declaration: ConsumerDeclaration;
  /** Whether somebody consumes from it now, and how many deliveries are in their hands. */
  attended = 0;
  inHand = 0;
  readonly #stream: MemoryStream;
  readonly #timing: Timing;
  /** The sequences that were the last of their subjects at the start, still to be delivered. */
  #snapshot: number[] = [];
  #cursor: number;
  #delivered = 0;
  #pending = new Map<number, Pending>();
  #wakers = new Set<() => void>();
  #lastSeen: number;
  #removed = false;

  constructor(name: string, declaration: ConsumerDeclaration, stream: MemoryStream, timing: Timing) {
    checkFilters(declaration);
    this.name = name;
    this.declaration = declaration;
    this.#stream = stream;
    this.#timing = timing;
    this.#lastSeen = timing.now();
    const { from = 'all' } = declaration;
    const end = stream.lastSequence + 1;
    this.#cursor = typeof from === 'object' ? from.sequence : from === 'all' ? 1 : end;
    if (from === 'last-per-subject') this.#snapshot = [...new Map(stream.messages().filter((m) => this.#wants(m.subject)).map((m) => [m.subject, m.sequence])).values()].sort((a, b) => a - b);
  }

  update(declaration: ConsumerDeclaration): void {
    checkFilters(declaration);
    if ((declaration.ackPolicy ?? 'explicit') !== (this.declaration.ackPolicy ?? 'explicit')) throw new BusRefused(`consumer ${this.name} on ${this.#stream.name}: how it is acknowledged can not be updated`);
    this.declaration = declaration;
    this.wake();
  }
  /** What was delivered and not acknowledged is delivered again, in its place. */
  setBack(): void {
    if (this.#pending.size === 0) return;
    this.#cursor = Math.min(...this.#pending.keys());
    this.#snapshot = [];
    this.#pending.clear();
  }
  remove(): void {
    this.#removed = true;
    this.wake();
  }
  get expired(): boolean {
    const threshold = this.declaration.inactiveThresholdMs;
    return threshold !== undefined && this.#wakers.size === 0 && this.#timing.now() - this.#lastSeen > threshold;
  }
  wake(): void {
    for (const waker of this.#wakers) waker();
  }

  /** As soon as there is one; none when aborted. */
  async pull(batch: number, signal: AbortSignal): Promise<Delivery[]> {
    this.inHand = 0;
    for (;;) {
      if (this.#removed) throw new ConsumerMissing(`there is no consumer ${this.name} on ${this.#stream.name}`);
      this.#lastSeen = this.#timing.now();
      if (signal.aborted) return [];
      const taken = this.take(batch);
      if (taken.length > 0) return taken;
      await this.#somethingNew(signal);
    }
  }
  #somethingNew(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const due = Math.min(...[...this.#pending.values()].map((p) => p.dueAt));
      const timer = Number.isFinite(due) ? this.#timing.after(Math.max(0, due - this.#timing.now()), () => done()) : undefined;
      const done = (): void => {
        timer?.cancel();
        this.#wakers.delete(done);
        signal.removeEventListener('abort', done);
        // Publishers of the same moment come into the same batch.
        setImmediate(resolve);
      };
      this.#wakers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** What can be delivered now: first what is due again, then what is new. */
  take(batch: number): Delivery[] {
    const taken: Delivery[] = [];
    const now = this.#timing.now();
    for (const [sequence, pending] of [...this.#pending].sort(([a], [b]) => a - b)) {
      if (taken.length >= batch || pending.dueAt > now) continue;
      const message = this.#stream.bySequence(sequence);
      if (message === undefined) this.#pending.delete(sequence);
      else taken.push(this.#deliver(message, pending.deliveries + 1));
    }
    while (taken.length < batch && this.#pending.size < (this.declaration.maxAckPending ?? 1_000)) {
      const message = this.#next();
      if (message === undefined) break;
      taken.push(this.#deliver(message, 1));
    }
    this.inHand = taken.length;
    return taken;
  }
  #next(): Message | undefined {
    while (this.#snapshot.length > 0) {
      const message = this.#stream.bySequence(this.#snapshot.shift() ?? 0);
      if (message !== undefined) return message;
    }
    const messages = this.#stream.messages();
    for (let index = this.#stream.firstIndexFrom(this.#cursor); index < messages.length; index++) {
      const message = messages[index];
      if (message === undefined || !this.#wants(message.subject)) continue;
      this.#cursor = message.sequence + 1;
      return message;
    }
    this.#cursor = Math.max(this.#cursor, this.#stream.lastSequence + 1);
    return undefined;
  }
  #wants(subject: string): boolean {
    return this.declaration.filters?.some((filter) => matches(filter, subject)) ?? true;
  }

  #deliver(message: Message, deliveries: number): Delivery {
    const { ackPolicy = 'explicit', ackWaitMs = 30_000 } = this.declaration;
    const { sequence } = message;
    this.#delivered = Math.max(this.#delivered, sequence);
    if (ackPolicy !== 'none') this.#pending.set(sequence, { deliveries, dueAt: this.#timing.now() + ackWaitMs });
    const settle = (all: boolean): void => {
      for (const pending of [...this.#pending.keys()]) if (pending === sequence || (all && pending < sequence)) this.#pending.delete(pending);
      this.wake();
    };
    return {
      ...message, deliveries,
      ack: () => settle(ackPolicy === 'all'),
      nak: (delayMs) => {
        const pending = this.#pending.get(sequence);
        if (pending !== undefined) pending.dueAt = this.#timing.now() + delayMs;
        this.wake();
      },
      term: () => settle(false),
    };
  }

  /** The first sequence that is not acknowledged. */
  get next(): number {
    return Math.min(this.#cursor, ...this.#pending.keys());
  }
  get ackPending(): number {
    return this.#pending.size;
  }
  get pending(): number {
    const messages = this.#stream.messages();
    let count = this.#snapshot.length;
    for (let index = this.#stream.firstIndexFrom(this.#cursor); index < messages.length; index++) if (this.#wants(messages[index]?.subject ?? '')) count++;
    return count;
  }
  state(): ConsumerState {
    const { filters = [], metadata = {} } = this.declaration;
    return { name: this.name, filters, pending: this.pending, ackPending: this.ackPending, deliveredStreamSequence: this.#delivered, metadata };
  }
}

function checkFilters({ filters, stream }: ConsumerDeclaration): void {
  if (filters?.length === 0) throw new BusRefused(`a consumer on ${stream} with an empty list of filters would see everything: leave the list away if that is meant`);
  for (const [index, a] of (filters ?? []).entries())
    for (const b of filters?.slice(index + 1) ?? []) if (overlap(a, b)) throw new BusRefused(`a consumer on ${stream} may not have filters that overlap: ${a} and ${b}`);
}
