import type { Bus } from '@osier/bus/bus';
import { type Barrier, barrierSchema } from '@osier/contracts/coordination';
import { barrierSubject } from '@osier/contracts/subjects';
import type { Log } from '@osier/telemetry/log';
import { json } from './follow.ts';

/** Milliseconds. */
export const pace = { flowing: 1_000, idle: 10_000, waited: 200 } as const;

/**
 * The heartbeat: an agent that has received barrier B has received everything before B. At most once a second while changes flow, every
 * ten seconds when nothing happens, and soon when somebody waits (five times a second at most).
 */
export class Heartbeat {
  readonly #bus: Bus;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #whole: () => boolean;
  #count: number | undefined;
  #sequence = 0;
  #at = 0;
  #wanted = false;
  #beating = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  incarnation = '';

  constructor(bus: Bus, log: Log, now: () => number, whole: () => boolean = () => true) {
    this.#bus = bus;
    this.#whole = whole;
    this.#log = log;
    this.#now = now;
  }

  /** Keeps the pace from now on. */
  start(): void {
    this.#schedule(pace.flowing);
  }
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Somebody waits: the next barrier comes within 200 ms. */
  nudge(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#schedule(Math.max(0, this.#at + pace.waited - this.#now()));
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#tick(), inMs);
  }
  async #tick(): Promise<void> {
    if (this.#beating) return this.#schedule(20);
    this.#beating = true;
    try {
      // A barrier says that all before it is there: not of a stream that is still being filled again.
      if (!this.#whole()) return;
      if (this.#wanted || this.#now() - this.#at >= pace.idle || (await this.#flows())) await this.beat();
    } catch (error) {
      this.#log.debug({ err: error }, 'no barrier could be published; trying again');
    } finally {
      this.#beating = false;
      this.#schedule(pace.flowing);
    }
  }
  async #flows(): Promise<boolean> {
    return ((await this.#bus.stream('CHANGES'))?.lastSequence ?? 0) > this.#sequence;
  }
  /** Publishes one now, and returns its sequence. */
  async beat(): Promise<number> {
    this.#wanted = false;
    const stream = await this.#bus.stream('CHANGES');
    if (stream) this.incarnation = stream.incarnation;
    const count = (this.#count ?? (await this.#lastCount())) + 1;
    const barrier: Barrier = { kind: 'barrier', at: new Date(this.#now()).toISOString(), count, incarnation: this.incarnation };
    const { sequence } = await this.#bus.publish(barrierSubject, new TextEncoder().encode(JSON.stringify(barrier)), { headers: { 'content-type': 'application/json' } });
    this.#count = count;
    this.#sequence = sequence;
    this.#at = this.#now();
    return sequence;
  }
  async #lastCount(): Promise<number> {
    const last = await this.#bus.last('CHANGES', barrierSubject);
    return last ? (barrierSchema.safeParse(json(last)).data?.count ?? 0) : 0;
  }
}
