import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import type { Bus, Consumption } from './bus.ts';

export type ConsumerRoute = Omit<Parameters<Bus['consume']>[0], 'onProblem'>;
export interface ResponderRoute {
  /** Subject, wildcards allowed. */
  readonly pattern: string;
  readonly queue: string;
  readonly answer: Parameters<Bus['respond']>[2];
}
export interface JetStreamStrategyOptions {
  readonly bus: Bus;
  readonly consumers: readonly ConsumerRoute[];
  readonly responders?: readonly ResponderRoute[];
  readonly onProblem?: (problem: Error, durable: string) => void;
}

/**
 * The bus as a Nest transport. Nest's own event handling does not wait for what a handler does, so nothing could be acknowledged after it; here every
 * batch is awaited, and its handler acknowledges after its transaction. The bus stays the caller's: `close` stops what was started and leaves it open.
 */
export class JetStreamStrategy extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('osier.jetstream');
  readonly #options: JetStreamStrategyOptions;
  #running: { stop(): Promise<void> }[] = [];

  constructor(options: JetStreamStrategyOptions) {
    super();
    this.#options = options;
  }

  /** Answers first, then consumes: who is told of a change may ask about it at once. */
  listen(callback: (error?: unknown) => void): void {
    this.#start().then(() => callback(), callback);
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((started) => started.stop()));
  }

  on(): never {
    throw new Error('this transport has no events: use onProblem');
  }
  unwrap<T>(): T {
    return this.#options.bus as T;
  }

  async #start(): Promise<void> {
    const { bus, consumers, responders = [], onProblem } = this.#options;
    for (const { pattern, queue, answer } of responders) this.#running.push(await bus.respond(pattern, queue, answer));
    for (const route of consumers) {
      const consumption: Consumption = await bus.consume({ ...route, ...(onProblem === undefined ? {} : { onProblem: (problem: Error) => onProblem(problem, route.durable) }) });
      this.#running.push(consumption);
    }
  }
}
