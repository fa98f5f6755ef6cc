import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Message } from '@osier/bus/bus';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import { intentDeclaration, intentName } from '@osier/contracts/catalogue';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import { type Kind, kinds } from '@osier/contracts/kinds';
import { intentIdOf } from '@osier/contracts/envelope';
import { type Outcome, outcomeSchema } from '@osier/contracts/outcome';
import { documentSubject, intentSubject, outcomeSubject, outcomeToken, parseIntentSubject, querySubject } from '@osier/contracts/subjects';
import type { StartCompanion } from '@osier/runtime/companion';
import { isWhole, standingOf } from '@osier/runtime/restore-phase';
import { waitForRestore } from '@osier/runtime/restore-waiting';
import { serve } from '@osier/runtime/serve';
import { type AnyDefinition, createService } from '@osier/runtime/service';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import { type Log, silent } from '@osier/telemetry/log';
import { countedIds, type FakeClock, fakeClock } from './clock.ts';

export interface PlatformService { readonly definition: AnyDefinition; readonly companion?: StartCompanion }
export interface Wish extends Partial<Scope> {
  readonly noun: string;
  readonly verb: string;
  readonly credential?: string;
  readonly id: string;
  /** An object is sent as JSON, a text as it is. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The whole control plane in memory: every service on a bus and stores that are no less strict than the real ones. */
export interface Platform {
  readonly broker: MemoryBroker;
  readonly bus: Bus;
  readonly clock: FakeClock;
  /** Publishes an intent and waits for its outcome. */
  wish(wish: Wish): Promise<Outcome>;
  publish(wish: Wish): Promise<Message['sequence']>;
  outcome(scope: Pick<Scope, 'domain' | 'project'>, id: string): Promise<Outcome>;
  list(kind: Kind, scope: Partial<Scope>): Promise<{ document: AnyDocument; revision: number }[]>;
  start(service: string): Promise<void>;
  /** Its store stays, as a database would. */
  stop(service: string): Promise<void>;
  /** Moves the clock and lets deadlines pass. */
  advance(ms: number): Promise<void>;
  /** Lets every service compare CHANGES with its database, as each does every ten seconds. */
  checkStreams(): Promise<void>;
  /** Waits until nothing moves any more. */
  settle(): Promise<void>;
  /** Throws unless every stored intent has exactly one outcome, and STATE holds what the stores hold. */
  check(): Promise<void>;
  /** The store of a service, to look into. */
  store(service: string): Store;
  close(): Promise<void>;
}

const none = '_';
const whole = (scope: Partial<Scope>): Scope => ({ domain: scope.domain ?? none, project: scope.project ?? none, environment: scope.environment ?? none });
const encode = (body: unknown): Uint8Array => new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
const decode = (data: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(data));
const patience = 5_000;

export interface PlatformOptions {
  readonly log?: Log;
  readonly makeStore?: (name: string, now: () => number) => Promise<Store>;
  /** What a service gets instead of its bus and its store, each time it is started: to watch it, or to break it. */
  readonly wrap?: (name: string, parts: { bus: Bus; store: Store }) => { bus: Bus; store: Store };
  /** Milliseconds before the first repeat of what failed. */
  readonly retryMs?: number;
  /** Where the services put files that they remove again. Default: the system's folder for such. */
  readonly folder?: string;
}

export async function startPlatform(services: readonly PlatformService[], options: PlatformOptions = {}): Promise<Platform> {
  const log = options.log ?? silent;
  const clock = fakeClock();
  const newId = countedIds();
  // The bus waits in real time: what is to be delivered again comes by itself, while the services see the clock stand still.
  const broker = memoryBroker();
  const bus = broker.connect('test');
  await bus.ensureStreams();
  const stores = new Map<string, Store>();
  const running = new Map<string, { service?: ReturnType<typeof createService>; stop(): Promise<void> }>();

  async function start(name: string): Promise<void> {
    const found = services.find((s) => s.definition.name === name);
    if (!found) throw new Error(`no service is called ${name}`);
    const store = stores.get(name) ?? (await (options.makeStore?.(name, clock.now) ?? Promise.resolve(memoryStore({ now: clock.now }))));
    stores.set(name, store);
    const own = broker.connect(name);
    const parts = options.wrap?.(name, { bus: own, store }) ?? { bus: own, store };
    // As a supervisor does it.
    const restart = (): void => void setTimeout(() => void stop(name).then(() => start(name)), 1);
    if (!isWhole(await standingOf(store))) {
      const waiting = await waitForRestore({ service: found.definition.name, ...parts, log, folder: options.folder ?? tmpdir(), restart });
      running.set(name, { stop: async () => (await waiting.stop(), own.close()) });
      return;
    }
    const service = createService(found.definition, { ...parts, log, now: clock.now, newId, companion: found.companion, retryMs: options.retryMs ?? 10, folder: options.folder, restart });
    const giveUp = new AbortController();
    const serving = serve(service, parts.bus, log, giveUp.signal);
    running.set(name, {
      service,
      stop: async () => {
        giveUp.abort();
        await serving.then((started) => started.stop(), () => undefined);
        await own.close();
      },
    });
    await serving;
  }
  async function stop(name: string): Promise<void> {
    await running.get(name)?.stop();
    running.delete(name);
  }

  async function outcome(scope: Pick<Scope, 'domain' | 'project'>, id: string): Promise<Outcome> {
    const until = Date.now() + patience;
    for (;;) {
      const message = await bus.last('OUTCOMES', outcomeSubject(scope.domain, scope.project, id));
      if (message) return outcomeSchema.parse(decode(message.data));
      if (Date.now() > until) throw new Error(`intent ${id} has no outcome`);
      await sleep(2);
    }
  }
  async function publish(wish: Wish): Promise<number> {
    const subject = intentSubject({ ...whole(wish), noun: wish.noun, verb: wish.verb, credential: wish.credential ?? 'ci' });
    return (await bus.publish(subject, encode(wish.body), { headers: { 'ce-id': wish.id, ...wish.headers } })).sequence;
  }
  async function list(kind: Kind, scope: Partial<Scope>): Promise<{ document: AnyDocument; revision: number }[]> {
    const { domain, project } = whole(scope);
    const owner = kinds[kind].owner;
    const request = { kind, ...(scope.environment === undefined ? {} : { environment: scope.environment }) };
    const reply = decode((await bus.request(querySubject(owner, domain, project, 'list'), encode(request))).data) as
      { ok: true; data: { items: { document: AnyDocument; revision: number }[] } } | { ok: false; problem: unknown };
    if (!reply.ok) throw new Error(JSON.stringify(reply.problem));
    return reply.data.items;
  }

  async function settle(): Promise<void> {
    const until = Date.now() + patience;
    for (let quiet = 0; quiet < 3; ) {
      await broker.idle(patience);
      const idle = await Promise.all([...running.values()].map(async ({ service }) => service === undefined || service.idle()));
      quiet = idle.every(Boolean) ? quiet + 1 : 0;
      if (Date.now() > until) throw new Error('the platform does not come to rest');
      await sleep(2);
    }
  }

  for (const { definition } of services) await start(definition.name);
  return {
    broker, bus, clock, publish, outcome, list, start, stop, settle,
    wish: async (wish) => {
      const sequence = await publish(wish);
      return outcome(whole(wish), wish.id === '' ? `seq-${sequence}` : wish.id);
    },
    advance: async (ms) => {
      clock.advance(ms);
      for (const { service } of running.values()) await service?.checkDeadlines();
    },
    checkStreams: async () => {
      for (const { service } of running.values()) await service?.checkStreams();
    },
    check: () => check(bus, stores),
    store: (name) => {
      const found = stores.get(name);
      if (!found) throw new Error(`no service is called ${name}`);
      return found;
    },
    close: async () => {
      for (const name of [...running.keys()]) await stop(name);
      await Promise.all([...stores.values()].map((store) => store.close()));
      await bus.close();
    },
  };
}

async function all(bus: Bus, stream: string): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of bus.read({ stream })) messages.push(message);
  return messages;
}

/** What holds at the end of anything that may happen. */
async function check(bus: Bus, stores: ReadonlyMap<string, Store>): Promise<void> {
  const wished = new Set((await all(bus, 'INTENTS')).map((message) => {
    const intent = parseIntentSubject(message.subject);
    const subject = outcomeSubject(outcomeToken(intent?.domain ?? ''), outcomeToken(intent?.project ?? ''), intentIdOf(message.headers['ce-id'], message.sequence));
    return `${subject} of ${intent && intentDeclaration(intentName(intent))?.owner}`;
  }));
  const concluded = (await all(bus, 'OUTCOMES')).map((message) => `${message.subject} of ${(decode(message.data) as Outcome).service}`);
  const twice = concluded.filter((one, index) => concluded.indexOf(one) !== index);
  const missing = [...wished].filter((one) => !concluded.includes(one));
  if (twice.length > 0 || missing.length > 0) throw new Error(`outcomes that are missing: ${missing.join(', ') || 'none'}; that came twice: ${twice.join(', ') || 'none'}`);

  const state = new Map((await all(bus, 'STATE')).map((message) => [message.subject, { body: decode(message.data) as AnyDocument, sequence: message.sequence }]));
  for (const store of stores.values()) {
    for (const kind of Object.keys(kinds) as Kind[]) {
      for (const { document, revision } of await store.read.listed(kind)) {
        const published = state.get(documentSubject(document));
        if (published?.body.version !== document.version || published.sequence !== revision) {
          throw new Error(`${kind} ${document.name}: version ${document.version} at revision ${revision} in the store, version ${published?.body.version} at ${published?.sequence} in STATE`);
        }
      }
    }
  }
}
