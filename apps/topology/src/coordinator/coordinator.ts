import { setTimeout as sleep } from 'node:timers/promises';
import { helloSchema, helloTopic } from '@osier/contracts/coordination';
import { documentSubject, observationSubject, parseStateSubject } from '@osier/contracts/subjects';
import { release } from '@osier/domain/topology/endpoint';
import { isFree } from '@osier/domain/topology/quarantine';
import type { Companion, CompanionDeps } from '@osier/runtime/companion';
import { Agents } from './agents.ts';
import { Heartbeat } from './barrier.ts';
import { follow, json } from './follow.ts';
import { claims, enforcementQuery, nodesQuery } from './queries.ts';
import { Receipts } from './receipts.ts';
import { View } from './view.ts';

/** Milliseconds. */
const timing = { repair: 5_000, retry: 500, releaseAgain: 5_000, startWithin: 2_000 } as const;

/**
 * Topology's other half: who is told what, who has confirmed what, which addresses are free again.
 *
 *   STATE ─────────► View ──dirty nodes──► Agents ──► consumers node-…, join-…, then the interest document
 *   hello ──────────────────────────────────┘
 *   RECEIPTS ──────► Receipts ──┬─► enforcement and nodes queries
 *                               └─► departed endpoints that every node has confirmed ──► lease.release
 *   Heartbeat ─────► barrier in CHANGES
 *
 * It keeps nothing: all of it is read again from the streams after a restart.
 */
export async function startCoordinator({ bus, log, now, publishIntent, whole = () => true }: Omit<CompanionDeps, 'read' | 'newId'>): Promise<Companion> {
  const view = new View();
  const receipts = new Receipts();
  const heartbeat = new Heartbeat(bus, log, now, whole);
  const agents = new Agents({ bus, view, receipts, log, now });
  const dirty = new Set<string>();
  const removed = new Set<string>();
  const released = new Map<string, number>();
  const stopping = new AbortController();
  let departures = true;
  let complete = false;
  let repairAt = now() + timing.repair;
  let waited = false;
  let wake = (): void => undefined;

  const take = (subject: string, revision: number, body: () => unknown): void => {
    const { touched: name, departed } = view.apply(subject, revision, body);
    if (name !== undefined) {
      dirty.add(name);
      if (view.nodeNamed(name)) removed.delete(name);
      else if (parseStateSubject(subject)?.noun === 'node') removed.add(name);
    }
    departures ||= departed;
    // Most changes concern no node by themselves: policies, leases, what is below them.
    if (name !== undefined || departed) wake();
  };
  const followings = [
    follow(bus, log, { stream: 'STATE', from: 'all' }, (message) => {
      try {
        take(message.subject, message.sequence, () => json(message));
      } finally {
        view.reach(message.sequence);
      }
    }),
    follow(bus, log, { stream: 'RECEIPTS', from: 'all' }, (message) => {
      receipts.take(message, now());
      departures = true;
      wake();
    }),
    follow(bus, log, { stream: 'OBSERVATIONS', filters: [observationSubject('*', helloTopic)], from: 'new' }, (message) => {
      const node = message.subject.split('.')[2] ?? '';
      agents.hello(node, helloSchema.parse(json(message)).session);
      dirty.add(node);
      wake();
    }),
  ];

  const settle = async (name: string): Promise<void> => {
    try {
      if (removed.has(name)) {
        await agents.forget(name);
        removed.delete(name);
      }
      await agents.settle(name);
    } catch (error) {
      dirty.add(name);
      log.warn({ err: error, node: name }, 'a node could not be told what concerns it; trying again');
      await sleep(timing.retry, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const releaseFree = async (): Promise<void> => {
    departures = false;
    const departed = view.departed();
    const nodes = departed.length === 0 ? [] : claims({ view, receipts });
    for (const endpoint of released.keys()) if (!departed.some((gone) => gone.endpoint === endpoint)) released.delete(endpoint);
    for (const gone of departed) {
      if (now() - (released.get(gone.endpoint) ?? Number.NEGATIVE_INFINITY) < timing.releaseAgain) continue;
      if (!isFree(gone, nodes, [...view.removals.values()], { incarnation: heartbeat.incarnation })) continue;
      await publishIntent(release(gone, gone.endpoint));
      released.set(gone.endpoint, now());
    }
  };
  const repair = async (): Promise<void> => {
    repairAt = now() + timing.repair;
    departures = true;
    for (const { document } of view.nodes.values()) {
      await agents.repair(document.name).catch((error: unknown) => {
        repairAt = now() + timing.retry;
        log.debug({ err: error, node: document.name }, 'cannot make sure of the consumer of a node now; trying again');
      });
    }
  };
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      // Half a world could allow what the whole one denies: nobody is told anything while the streams are being filled again.
      if (complete && whole()) {
        if (waited) {
          log.warn({}, 'the streams are whole again: the nodes are told');
          repairAt = now();
          await agents.recall().then(() => heartbeat.beat()).then(() => (waited = false), (error: unknown) => log.debug({ err: error }, 'not yet; trying again'));
        }
        const names = [...dirty];
        dirty.clear();
        for (const name of names) await settle(name);
        if (now() >= repairAt) await repair();
        if (departures) {
          await releaseFree().catch((error: unknown) => {
            departures = true;
            log.debug({ err: error }, 'an address could not be released yet; trying again');
          });
        }
      } else if (!waited && !whole()) {
        waited = true;
        log.warn({}, 'the streams are not known to be whole: no node is told anything until every service has published its part; the nodes enforce what they have');
      }
      const tired = setTimeout(wake, timing.retry);
      await woken;
      clearTimeout(tired);
    }
  };
  /** Nobody is told anything from a half-read state. */
  const begin = async (): Promise<void> => {
    while (!stopping.signal.aborted && !complete) {
      try {
        if (!whole()) throw new Error('the streams are not whole yet');
        const sequence = await heartbeat.beat();
        complete = await view.reached(sequence, timing.startWithin);
      } catch (error) {
        log.debug({ err: error }, 'the streams are not there yet; trying again');
        await sleep(timing.retry, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
    if (stopping.signal.aborted) return;
    heartbeat.start();
    wake();
  };
  const running = [begin(), work()];

  const queryDeps = { view, receipts, heartbeat, now };
  return {
    queries: { 'topology.enforcement': enforcementQuery(queryDeps), 'topology.nodes': nodesQuery(queryDeps) },
    onOwnChange: (document, revision) => {
      if (complete) take(documentSubject(document), revision, () => document);
    },
    stop: async () => {
      stopping.abort();
      heartbeat.stop();
      wake();
      await Promise.all([...running, ...followings.map((f) => f.stop())]);
    },
  };
}
