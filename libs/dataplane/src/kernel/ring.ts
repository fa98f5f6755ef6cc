/**
 * Flow records out of the ring buffer, parsed where they lie. Layout: kernel/bpf/ringbuf.c; page 0 holds the consumer's position,
 * page 1 the producer's, and the data follows twice in a row so that no record is ever split.
 */
import { type FlowEvent, flowEvent } from '../records.gen.ts';
import { mapMemory, type Mapping, pageSize, PROT_READ, PROT_READ_WRITE } from './libc.ts';

const BUSY = 0x80000000;
const DISCARDED = 0x40000000;
const RECORD_HEADER = 8;
const BUSY_POLL_MS = 5;
const IDLE_POLL_MS = 20;
const MOST_PER_BATCH = 4096;

export class FlowRing {
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #consumed: BigUint64Array;
  readonly #produced: BigUint64Array;
  readonly #headers: Int32Array;
  readonly #data: DataView;
  readonly #mask: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: number, size: number) {
    const page = pageSize();
    this.#consumer = mapMemory(fd, page, PROT_READ_WRITE, 0, 'flows');
    this.#producer = mapMemory(fd, page + 2 * size, PROT_READ, page, 'flows');
    this.#consumed = new BigUint64Array(this.#consumer.memory, 0, 1);
    this.#produced = new BigUint64Array(this.#producer.memory, 0, 1);
    this.#headers = new Int32Array(this.#producer.memory, page, (2 * size) / 4);
    this.#data = new DataView(this.#producer.memory, page, 2 * size);
    this.#mask = size - 1;
  }

  /** Takes what is there, up to a batch. */
  read(): FlowEvent[] {
    const events: FlowEvent[] = [];
    let position = Atomics.load(this.#consumed, 0);
    const end = Atomics.load(this.#produced, 0);
    while (position < end && events.length < MOST_PER_BATCH) {
      const at = Number(position & BigInt(this.#mask));
      const header = Atomics.load(this.#headers, at / 4) >>> 0;
      if (header & BUSY) break;
      const length = header & ~DISCARDED;
      if (!(header & DISCARDED)) events.push(flowEvent.decode(this.#data, at + RECORD_HEADER));
      position += BigInt((length + RECORD_HEADER + 7) & ~7);
    }
    Atomics.store(this.#consumed, 0, position);
    return events;
  }

  start(onBatch: (events: FlowEvent[]) => void): void {
    const poll = () => {
      const events = this.read();
      this.#timer = setTimeout(poll, events.length > 0 ? BUSY_POLL_MS : IDLE_POLL_MS);
      this.#timer.unref();
      if (events.length > 0) onBatch(events);
    };
    this.#timer = setTimeout(poll, 0);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.stop();
    this.#consumer.unmap();
    this.#producer.unmap();
  }
}
