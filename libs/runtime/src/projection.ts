import type { Bus, Delivery } from '@osier/bus/bus';
import { type AnyDocument, documentSchema } from '@osier/contracts/document';
import { headers } from '@osier/contracts/envelope';
import type { Kind } from '@osier/contracts/kinds';
import { parseStateSubject, statePattern } from '@osier/contracts/subjects';
import type { ServiceDefinition } from '@osier/domain/service';
import type { Store, UnitOfWork } from '@osier/store/store';
import { spans } from '@osier/telemetry/names';
import { currentTraceparent, inSpan } from '@osier/telemetry/trace';
import { Temporary, type Work } from './batch.ts';
import { type AnyDefinition, handlerContext, type Surroundings } from './context.ts';

const cursorMark = 'known-cursor';
const kindsMark = 'known-kinds';
/** Milliseconds that an intent waits for the projection before its batch is put off. */
const catchUpTimeout = 5_000;

function readDocument(delivery: Delivery, kinds: readonly Kind[]): AnyDocument | undefined {
  try {
    const body = JSON.parse(new TextDecoder().decode(delivery.data)) as AnyDocument;
    return kinds.includes(body.kind) && documentSchema(body.kind).safeParse(body).success ? body : undefined;
  } catch {
    return undefined;
  }
}

/** A service's copy of the entities of others, fed from STATE; how far it has come is kept in the same transaction as the copy. */
export class Projection {
  readonly kinds: readonly Kind[];
  readonly #bus: Bus;
  readonly #store: Store;
  readonly #around: Surroundings;
  readonly #onState: ServiceDefinition['onState'];
  #cursor = 0;
  #waiters: (() => void)[] = [];

  constructor(definition: Pick<AnyDefinition, 'knows' | 'onState'>, deps: { bus: Bus; store: Store; around: Surroundings }) {
    this.kinds = definition.knows;
    this.#onState = definition.onState;
    this.#bus = deps.bus;
    this.#store = deps.store;
    this.#around = deps.around;
  }

  get durable(): string {
    return `known-${this.#around.service}`;
  }
  get filters(): string[] {
    return this.kinds.map((kind) => statePattern({ noun: kind }));
  }

  /**
   * The database knows where to read on from, so the consumer is made anew at every start: one that survived a database that was
   * lost or restored would skip what the database lacks.
   */
  async prepare(): Promise<void> {
    const kinds = this.kinds.join(' ');
    const cursor = (await this.#store.mark(kindsMark)) === kinds ? Number(await this.#store.mark(cursorMark)) : 0;
    await this.#store.setMark(kindsMark, kinds);
    this.#cursor = Number.isFinite(cursor) ? cursor : 0;
    await this.#bus.deleteConsumer('STATE', this.durable);
  }

  /** Asked for whenever the consumer has to be made, so that one that was lost goes on where the database stands by then. */
  get from(): { sequence: number } | 'last-per-subject' {
    return this.#cursor > 0 ? { sequence: this.#cursor + 1 } : 'last-per-subject';
  }

  /** Learns everything again: the revisions that it counted in are no more. */
  async forget(): Promise<void> {
    await this.#store.setMark(cursorMark, '0');
    await this.prepare();
  }

  /** Waits until everything of the known kinds that stands in CHANGES now is known. Throws Temporary when that takes too long. */
  async catchUp(): Promise<void> {
    if (this.kinds.length === 0) return;
    const lasts = await Promise.all(this.filters.map((filter) => this.#bus.last('CHANGES', filter)));
    const target = Math.max(0, ...lasts.map((message) => message?.sequence ?? 0));
    const deadline = Date.now() + catchUpTimeout;
    while (this.#cursor < target) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Temporary(`what is known stands at revision ${this.#cursor}, and ${target} is needed`);
      await this.#moved(left);
    }
  }

  #moved(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  work(): Work<Delivery> {
    return {
      key: (delivery) => `${delivery.subject} at ${delivery.sequence}`,
      prefetch: (unit, deliveries) => unit.prefetch({ known: deliveries.flatMap(({ subject }) => parseStateSubject(subject) ?? []).map(({ noun, id }) => ({ kind: noun as Kind, id })) }),
      one: (unit, delivery) => this.#learn(unit, delivery, true),
      giveUp: (unit, delivery) => this.#learn(unit, delivery, false),
      done: (delivery) => {
        delivery.ack();
        this.#cursor = Math.max(this.#cursor, delivery.sequence);
        const waiters = this.#waiters;
        this.#waiters = [];
        for (const wake of waiters) wake();
      },
      later: (delivery, delayMs) => delivery.nak(delayMs),
    };
  }

  async #learn(unit: UnitOfWork, delivery: Delivery, react: boolean): Promise<void> {
    const document = readDocument(delivery, this.kinds);
    if (!document) this.#around.log.error({ subject: delivery.subject, revision: delivery.sequence }, 'a document that does not fit the contracts; left aside');
    else if ((await unit.learn(document, delivery.sequence)) && react) await this.#react(unit, document, delivery);
    if (delivery.sequence > Number((await unit.mark(cursorMark)) ?? 0)) await unit.setMark(cursorMark, String(delivery.sequence));
  }

  async #react(unit: UnitOfWork, document: AnyDocument, delivery: Delivery): Promise<void> {
    const onState = this.#onState;
    if (!onState) return;
    await inSpan(spans.react(document.kind), { traceparent: delivery.headers[headers.traceparent] ?? '', kind: 'CONSUMER' }, async () => {
      const { puts, intents = [] } = await onState(document, handlerContext(unit, this.#around, true));
      const traceparent = currentTraceparent();
      for (const put of puts) await unit.put(put, { intentId: document.intent, at: this.#around.now(), traceparent });
      for (const child of intents) await unit.send(child, { traceparent });
    });
  }
}
