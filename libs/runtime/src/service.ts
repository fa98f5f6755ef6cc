import { tmpdir } from 'node:os';
import type { Bus, ConsumerDeclaration, Delivery } from '@osier/bus/bus';
import { intentsOf } from '@osier/contracts/catalogue';
import type { QueryRequest } from '@osier/contracts/queries';
import { intentPattern } from '@osier/contracts/subjects';
import type { Store } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import { Batches, type Work } from './batch.ts';
import type { Companion, StartCompanion } from './companion.ts';
import type { AnyDefinition, Surroundings } from './context.ts';
import { buryIn } from './dead.ts';
import { deadlineWork, type Deciding, outcomeWork } from './continuation.ts';
import { decideWith, intentWork } from './intake.ts';
import { Dumps } from './hold/dump.ts';
import type { Gate } from './hold/gate.ts';
import { Hold } from './hold/hold.ts';
import { Projection } from './projection.ts';
import { publishIntent } from './publish.ts';
import { type Responder, responders } from './queries.ts';
import { Relay } from './relay.ts';
import { restoreWhileWorking } from './restore/steps.ts';
import { StreamGuard } from './streams/guard.ts';
import { MirrorLag } from './streams/lag.ts';
import { deliveredBefore, oneAtATime, overdueAlways, type Suspects } from './suspects.ts';

export type { AnyDefinition };

export interface ServiceDeps {
  readonly bus: Bus;
  readonly store: Store;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A new UUIDv7. */
  newId(): string;
  readonly companion?: StartCompanion | undefined;
  /** Milliseconds before the first repeat of what failed; doubled by each further failure. Default 200. */
  readonly retryMs?: number;
  /** Where files may be put that are removed again. Default: the system's folder for such. */
  readonly folder?: string | undefined;
  /** Ends this life of the service after what it is doing, and begins the next; absent where nobody could. */
  readonly restart?: ((why: string) => void) | undefined;
}

/** One durable consumer, for whatever transport runs it. The next batch comes when `onBatch` has returned. */
export interface Consumer {
  readonly stream: string;
  readonly durable: string;
  readonly declaration: ConsumerDeclaration;
  readonly batch: number;
  /** Milliseconds between the beginnings of batches, at the least. */
  readonly paceMs?: number;
  readonly onBatch: (batch: readonly Delivery[]) => Promise<void>;
  readonly onProblem: (problem: Error) => void;
}

export interface Readiness { readonly ready: boolean; readonly bus: boolean; readonly relay: boolean; readonly companion: boolean; readonly streams: boolean }

/** A service's whole work, without a transport: what it consumes, what it answers, and what it does beside. */
export interface Service {
  readonly name: string;
  /** Brings the streams and the database into step; to be called before anything is consumed. Repeat it if it throws. */
  prepare(): Promise<void>;
  /** After `prepare`. */
  consumers(): readonly Consumer[];
  readonly responders: readonly Responder[];
  /** Starts what it does beside: publishing, deadlines, its companion. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Goes on, whoever holds it still: what is to stop must not wait for a backup. */
  letGo(): void;
  readiness(): Readiness;
  /** Looks for deadlines that have passed; done by itself every second. */
  checkDeadlines(): Promise<void>;
  /** Looks whether CHANGES is still the stream that the database published to; done by itself every second. */
  checkStreams(): Promise<void>;
  /** Whether everything committed has been published. */
  idle(): Promise<boolean>;
}

/** Intents in one transaction: as many as have come meanwhile, and no more than this. It costs a write to the disk, so that the more there are behind, the less each costs. */
const batchSize = 256;
/** Milliseconds between batches of others' changes: their copy is waited for by few, and each batch costs a write to the disk that everybody shares. */
const copyPace = 10;
/** Milliseconds. */
const every = { deadlines: 1_000, streams: 1_000 };
const inboxAge = 60 * 24 * 60 * 60 * 1000;

//   INTENTS ──► intents-<service> ──► handlers ─┐                              ┌─► CHANGES
//   STATE ────► known-<service> ────► onState ──┼─► one transaction ─► relay ──┼─► INTENTS (of other services)
//   OUTCOMES ─► outcomes-<service> ─► onOutcome ┘      (store)                 └─► OUTCOMES
export function createService(definition: AnyDefinition, deps: ServiceDeps): Service {
  const { bus, store, log } = deps;
  const service = definition.name;
  const around: Surroundings = { service, log, now: () => deps.now(), newId: () => deps.newId(), bury: buryIn(bus, service, () => deps.now()) };
  const projection = new Projection(definition, { bus, store, around });
  let companion: Companion | undefined;
  const timers: NodeJS.Timeout[] = [];

  const guard = new StreamGuard({ bus, store, around, projection });
  const relay = new Relay({ bus, store, around, trusted: () => guard.trusted, lag: new MirrorLag(bus), onPublished: deps.companion && ((document, revision) => companion?.onOwnChange?.(document, revision)) });
  const catchUp = () => projection.catchUp();
  const hold = new Hold({ service, log, whole: () => guard.trusted, drained: async () => (await store.outgoing(1)).length === 0, kick: () => relay.kick() });
  const dumps = new Dumps({ service, store, folder: deps.folder ?? tmpdir(), holding: () => hold.id });
  const restore = restoreWhileWorking({ service, store, log, folder: deps.folder ?? tmpdir(), restart: deps.restart }, () => readiness().ready);
  const installation = {
    [`${service}.hold`]: ({ hold: id, action }: QueryRequest<'tenant.hold'>) => (action === 'hold' ? hold.hold(id) : Promise.resolve(hold.release(id))),
    [`${service}.dump`]: (request: QueryRequest<'tenant.dump'>) => dumps.answer(request),
    [`${service}.restore`]: restore,
  };
  const batches = <T>(work: Work<T>, suspected?: Suspects<T>) => new Batches({ store, work, catchUp, log, retryMs: deps.retryMs ?? 200, suspects: suspected });
  const deciding: Deciding | undefined = definition.onOutcome && { onOutcome: definition.onOutcome, decide: decideWith(definition) };

  const durables = { intents: `intents-${service}`, outcomes: `outcomes-${service}` };
  const turn = oneAtATime();
  const suspects = {
    intents: deliveredBefore({ bus, store, stream: 'INTENTS', durable: durables.intents, turn }),
    outcomes: deliveredBefore({ bus, store, stream: 'OUTCOMES', durable: durables.outcomes, turn }),
    deadlines: overdueAlways({ store, turn }),
  };
  const deadlines = deciding && batches(deadlineWork(deciding, around), suspects.deadlines);

  function consumer<T extends Delivery>(stream: string, durable: string, filters: readonly string[] | undefined, work: Work<T>, gate: Gate, o: { from?: () => NonNullable<ConsumerDeclaration['from']>; paceMs?: number; suspects?: Suspects<T> } = {}): Consumer {
    const handler = batches(work, o.suspects);
    return {
      stream, durable, batch: batchSize, ...(o.paceMs === undefined ? {} : { paceMs: o.paceMs }),
      declaration: { stream, ...(filters && { filters }), get from() { return o.from?.() ?? 'all'; }, ackPolicy: 'explicit', ackWaitMs: 30_000, maxAckPending: 1_000 },
      onBatch: async (batch) => {
        await gate.run(() => handler.handle(batch as readonly T[]));
        relay.kick();
      },
      onProblem: (problem) => log.warn({ err: problem, durable }, 'consuming was interrupted; going on'),
    };
  }

  async function checkDeadlines(): Promise<void> {
    if (!deadlines) return;
    await hold.deciding.run(async () => {
      const overdue = await store.transaction((unit) => unit.overdue(deps.now()));
      if (overdue.length === 0) return;
      await deadlines.handle(overdue);
      relay.kick();
    });
  }

  async function checkStreams(): Promise<void> {
    const before = guard.trusted;
    if ((await hold.following.run(() => guard.check())) || !before) relay.kick();
  }

  const guarded = (what: string, work: () => Promise<unknown>) => {
    let running = false;
    return () => {
      if (running) return;
      running = true;
      work().catch((error: unknown) => log.warn({ err: error }, `${what} failed; it will be tried again`)).finally(() => (running = false));
    };
  };

  const readiness = (): Readiness => {
    const parts = { bus: bus.connected, relay: relay.healthy, companion: deps.companion === undefined || companion !== undefined, streams: guard.trusted };
    return { ready: parts.bus && parts.relay && parts.companion && parts.streams, ...parts };
  };
  return {
    name: service,
    responders: responders(service, store.read, () => ({ ...companion?.queries, ...installation }), log),
    async prepare() {
      await guard.prepare();
      await projection.prepare();
      await suspects.intents.look();
      if (definition.onOutcome) await Promise.all([suspects.outcomes.look(), suspects.deadlines.look()]);
      await store.pruneInbox(deps.now() - inboxAge);
    },
    consumers() {
      const filters = intentsOf(service).map((intent) => intentPattern(intent.noun, intent.verb));
      return [
        consumer('INTENTS', durables.intents, filters, intentWork(definition, around), hold.deciding, { suspects: suspects.intents }),
        ...(projection.kinds.length > 0 ? [consumer('STATE', projection.durable, projection.filters, projection.work(), hold.following, { from: () => projection.from, paceMs: copyPace })] : []),
        ...(deciding ? [consumer('OUTCOMES', durables.outcomes, undefined, outcomeWork(service, deciding, around), hold.deciding, { suspects: suspects.outcomes })] : []),
      ];
    },
    async start() {
      relay.start();
      timers.push(
        setInterval(guarded('looking for deadlines', checkDeadlines), every.deadlines),
        setInterval(guarded('comparing CHANGES with the database', checkStreams), every.streams),
      );
      companion = await deps.companion?.({
        bus: heldBus(bus, hold.following), read: store.read, log, now: around.now, newId: around.newId, whole: () => guard.whole,
        publishIntent: (child) => hold.following.run(() => publishIntent(bus, service, child, deps.now(), undefined)),
      });
    },
    async stop() {
      hold.letGo();
      dumps.close();
      for (const timer of timers) clearInterval(timer);
      await companion?.stop();
      await relay.stop();
    },
    letGo: () => hold.letGo(),
    readiness,
    checkDeadlines, checkStreams,
    idle: async () => (await store.outgoing(1)).length === 0,
  };
}

/** What a companion says by itself waits while the service holds still. */
function heldBus(bus: Bus, gate: Gate): Bus {
  return new Proxy(bus, {
    get: (object, name) => {
      if (name === 'publish') return (...args: Parameters<Bus['publish']>) => gate.run(() => object.publish(...args));
      const found = Reflect.get(object, name) as unknown;
      return typeof found === 'function' ? (found as (...args: unknown[]) => unknown).bind(object) : found;
    },
  });
}
