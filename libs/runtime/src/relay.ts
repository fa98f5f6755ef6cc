import type { Bus } from '@osier/bus/bus';
import type { AnyDocument } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import type { Outgoing, Store } from '@osier/store/store';
import type { Surroundings } from './context.ts';
import { PublishedIsGone, publishIntent, publishOutcome, publishState } from './publish.ts';
import type { MirrorLag } from './streams/lag.ts';

type Of<T extends Outgoing['type']> = Extract<Outgoing, { type: T }>;
const only = <T extends Outgoing['type']>(items: readonly Outgoing[], type: T) => items.filter((item): item is Of<T> => item.type === type);

export const maxRevisionMark = 'max-revision';
/** The last own message, as JSON: what a stream that was set back does not have. */
export const witnessMark = 'witness';
/** Read and published at a time: the changes and outcomes of a batch of intents, whose batch is as large as it is for the same reason. */
export const rowsAtOnce = 512;
/** Milliseconds. */
const retry = { first: 100, longest: 2_000 };
const lookAnyway = 1_000;

export interface RelayDeps {
  readonly bus: Bus;
  readonly store: Store;
  readonly around: Pick<Surroundings, 'service' | 'log' | 'now'>;
  /** Whether the streams are those that the database published to; nothing goes out otherwise. */
  readonly trusted?: () => boolean;
  /** Whether STATE keeps up. */
  readonly lag?: Pick<MirrorLag, 'allow'>;
  readonly onPublished?: ((document: AnyDocument, revision: number) => void | Promise<void>) | undefined;
}

/**
 * Publishes what the store has committed: changes, then child intents, then outcomes. Whatever it is interrupted at, doing it
 * again ends in the same place, so it keeps no state of its own.
 */
export class Relay {
  readonly #deps: RelayDeps;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.kick();
  }

  /** There may be something new to publish. */
  kick(): void {
    this.#again = true;
    if (this.#running || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#running = this.#drain().finally(() => {
      this.#running = undefined;
      if (!this.#stopped) this.#timer = setTimeout(() => this.kick(), this.#failures > 0 ? this.#delay() : lookAnyway);
    });
  }

  /** No failure since the last success: what is committed gets out. */
  get healthy(): boolean {
    return this.#failures === 0;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #delay(): number {
    return Math.min(retry.first * 2 ** (this.#failures - 1), retry.longest);
  }

  async #drain(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        if (this.#deps.trusted?.() === false) return;
        if ((await relayOnce(this.#deps)) > 0) this.#again = true;
        this.#failures = 0;
      }
    } catch (error) {
      this.#failures++;
      const { log } = this.#deps.around;
      if (this.#failures === 1 || this.#failures % 30 === 0) log.warn({ err: error, failures: this.#failures }, 'publishing was interrupted; going on until it is done');
    }
  }
}

/**
 * One round; returns how many rows it has published. Throws what kept it from publishing all, after recording what it did. That is recorded at once, since it waits for
 * the disk; only where somebody is told of changes, they are recorded first: who comes up meanwhile reads of them, or is told.
 */
export async function relayOnce(deps: RelayDeps): Promise<number> {
  const { bus, store, around, lag, onPublished } = deps;
  const items = await store.outgoing(rowsAtOnce);
  if (items.length === 0) return 0;
  const states = only(items, 'state');
  if (states.length > 0) await lag?.allow(states.length);
  const { revisions, done, failure } = await publishStates(states, (item, after) => publishState(bus, around.service, item, after));
  const recordFirst = failure !== undefined || onPublished !== undefined;
  if (recordFirst) await record(store, done, []);
  for (const { item, revision } of done) await onPublished?.(item.document, revision);
  // What is missing is what the guard is to look for: it makes the streams anew.
  if (failure instanceof PublishedIsGone) await store.setMark(witnessMark, JSON.stringify(failure.witness));
  if (failure !== undefined) throw failure;

  const rest = await publishRest(deps, items, revisions);
  await record(store, recordFirst ? [] : done, rest.done);
  if (rest.failure !== undefined) throw rest.failure;
  return items.length;
}

async function record(store: Store, states: readonly { item: Of<'state'>; revision: number }[], others: readonly Outgoing[]): Promise<void> {
  const items = [...states, ...others.map((item) => ({ item, revision: 0 }))];
  const marks = states.length > 0 ? await highest(store, states.reduce((a, b) => (b.revision > a.revision ? b : a))) : undefined;
  if (items.length > 0) await store.published(items, marks);
}

/** Child intents, then outcomes, which say at which revisions their changes are. */
async function publishRest({ bus, around }: RelayDeps, items: readonly Outgoing[], revisions: ReadonlyMap<string, number>): Promise<{ done: readonly Outgoing[]; failure: unknown }> {
  const intents = only(items, 'intent');
  const outcomes = only(items, 'outcome');
  try {
    await Promise.all(intents.map((item) => publishIntent(bus, around.service, item.child, around.now(), item.traceparent)));
    await Promise.all(outcomes.map((item) => {
      const latest = new Map([...item.revisions].map(([id, revision]) => [id, Math.max(revision, revisions.get(id) ?? 0)]));
      return publishOutcome(bus, around.service, item, latest);
    }));
    return { done: [...intents, ...outcomes], failure: undefined };
  } catch (failure) {
    // Published again, they are the same intents and no second outcomes.
    return { done: [], failure };
  }
}

/** In order, but without waiting for each: the connection keeps the order. Versions of one entity go one after another. */
async function publishStates(items: readonly Of<'state'>[], publish: (item: Of<'state'>, after: number) => Promise<number>) {
  const chains = new Map<string, Promise<number>>();
  const results = items.map((item) => {
    const before = chains.get(item.document.id);
    const result = before ? before.then((revision) => publish(item, revision)) : publish(item, item.publishedRevision);
    chains.set(item.document.id, result);
    return result;
  });
  const settled = await Promise.allSettled(results);
  const revisions = new Map<string, number>();
  const done: { item: Of<'state'>; revision: number }[] = [];
  let failure: unknown;
  settled.forEach((result, index) => {
    const item = items[index] as Of<'state'>;
    if (result.status === 'rejected') return void (failure ??= result.reason);
    done.push({ item, revision: result.value });
    revisions.set(item.document.id, result.value);
  });
  return { revisions, done, failure };
}

/** What is to be remembered of the last of those published. */
async function highest(store: Store, { item, revision }: { item: Of<'state'>; revision: number }): Promise<Map<string, string>> {
  const witness = JSON.stringify({ subject: documentSubject(item.document), sequence: revision });
  const before = Number((await store.mark(maxRevisionMark)) ?? 0);
  return new Map([[witnessMark, witness], [maxRevisionMark, String(Math.max(before, revision))]]);
}
