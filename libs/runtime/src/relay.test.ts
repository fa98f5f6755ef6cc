import { describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker } from '@osier/bus/memory';
import type { AnyDocument } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import type { Outcome } from '@osier/contracts/outcome';
import { documentSubject } from '@osier/contracts/subjects';
import type { AnyProposed } from '@osier/domain/decision';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import { silent } from '@osier/telemetry/log';
import { relayOnce } from './relay.ts';

const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
const around = { service: 'topology' as const, log: silent, now: () => 0, newId: () => 'unused' };
const network = (n: number): AnyProposed => ({
  kind: 'network', id: `01997f5e-5b3c-7cc0-8000-00000000000${n}`, name: `net-${n}`, parent: none, phase: 'active', ...scope,
  spec: { subnets: ['10.0.0.0/24'] }, status: { routingDomain: '01997f5e-5b3c-7cc0-8000-000000000009', vni: 1, number: 1 },
});
const outcome = (intentId: string): Outcome =>
  ({ intentId, intent: 'network.apply', credential: 'ci', at: '2026-01-01T00:00:00Z', service: 'topology', result: 'accepted', revision: 0, changes: [] });

async function wish(store: Store, intentId: string, n: number): Promise<void> {
  await store.transaction(async (unit) => {
    const { id } = await unit.put(network(n), { intentId, at: 0 });
    await unit.conclude({ scope, outcome: outcome(intentId), about: [id] });
  });
}
async function published(bus: Bus, stream: string): Promise<{ subject: string; body: Record<string, unknown> }[]> {
  const messages = [];
  for await (const { subject, data } of bus.read({ stream })) messages.push({ subject, body: JSON.parse(new TextDecoder().decode(data)) as Record<string, unknown> });
  return messages;
}
const drain = async (bus: Bus, store: Store): Promise<void> => {
  while ((await relayOnce({ bus, store, around })) > 0) continue;
};

/** Lets two relays take their steps in the order that `schedule` says, one step at a time; who has no step left lets the other go on. */
function interleave(schedule: readonly number[]) {
  const waiting: (() => void)[][] = [[], []];
  const busy = [true, true];
  let turn = 0;
  const next = (): void => {
    if ([0, 1].some((who) => busy[who] && waiting[who]?.length === 0)) return;
    const wanted = schedule[turn++] ?? 0;
    const go = waiting[wanted]?.shift() ?? waiting[1 - wanted]?.shift();
    go?.();
  };
  const stepped = <T extends object>(who: number, target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get: (object, name) => {
        const value = Reflect.get(object, name) as unknown;
        if (typeof value !== 'function' || !names.includes(String(name))) return value;
        return async (...args: unknown[]) => {
          await new Promise<void>((resolve) => {
            waiting[who]?.push(resolve);
            next();
          });
          return (value as (...a: unknown[]) => unknown).apply(object, args);
        };
      },
    });
  return {
    stepped,
    ended: (who: number) => {
      busy[who] = false;
      next();
    },
  };
}

describe('two relays over one database', () => {
  const schedules = Array.from({ length: 2 ** 8 }, (_, bits) => Array.from({ length: 8 }, (_, i) => (bits >> i) & 1));

  it('never lay an older document over a newer, nor publish an outcome twice, in whichever order they take their steps', async () => {
    for (const schedule of schedules) {
      const bus = memoryBroker().connect('test');
      await bus.ensureStreams();
      const store = memoryStore();
      await wish(store, 'first', 1);
      const { stepped, ended } = interleave(schedule);
      const relay = async (who: number): Promise<void> => {
        const deps = { around, bus: stepped(who, bus, ['publish', 'last']), store: stepped(who, store, ['outgoing', 'published']) };
        await relayOnce(deps);
        if (who === 0) await wish(store, 'second', 1);
        await relayOnce(deps);
        ended(who);
      };
      await Promise.all([relay(0), relay(1)]);
      await drain(bus, store);

      const versions = (await published(bus, 'CHANGES')).map((m) => m.body['version']);
      expect([schedule.join(''), versions]).toEqual([schedule.join(''), [1, 2]]);
      expect((await published(bus, 'OUTCOMES')).map((m) => m.body['intentId']).sort()).toEqual(['first', 'second']);
    }
  });
});

describe('a relay', () => {
  it.each([256, 1])('publishes no version twice when it was killed between publishing several and recording it (%i rows at once)', async (rows) => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    for (const id of ['first', 'second', 'third']) await wish(store, id, 1);
    await expect(relayOnce({ bus, around, store: { ...store, published: () => Promise.reject(new Error('killed')) } })).rejects.toThrow('killed');
    await drain(bus, { ...store, outgoing: async (limit) => (await store.outgoing(limit)).slice(0, rows) });
    expect((await published(bus, 'CHANGES')).map((m) => m.body['version'])).toEqual([1, 2, 3]);
    expect((await store.read.history(network(1).id)).map((version) => version.revision)).toEqual([1, 2, 3]);
  });

  it('finds the sequence by itself when the database knows an older one than the stream has', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    await wish(store, 'first', 1);
    const [item] = await store.outgoing(1);
    if (item?.type !== 'state') throw new Error('no state');
    await bus.publish(documentSubject(item.document), new TextEncoder().encode(JSON.stringify({ ...item.document, version: 0 })));
    await drain(bus, store);
    expect((await published(bus, 'CHANGES')).map((m) => m.body['version'])).toEqual([0, 1]);
  });

  it('takes a newer document in the stream for its own being done', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    await wish(store, 'first', 1);
    const [item] = await store.outgoing(1);
    if (item?.type !== 'state') throw new Error('no state');
    const later = await bus.publish(documentSubject(item.document), new TextEncoder().encode(JSON.stringify({ ...item.document, version: 7 })));
    await drain(bus, store);
    expect((await published(bus, 'STATE')).map((m) => m.body['version'])).toEqual([7]);
    expect(await published(bus, 'OUTCOMES')).toMatchObject([{ body: { revision: later.sequence } }]);
  });

  it('records what it has published when the bus goes away in the middle, and publishes no outcome before its changes', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    await wish(store, 'a', 1);
    await wish(store, 'b', 2);
    let publishes = 0;
    const failing = new Proxy(bus, {
      get: (object, name) => (name === 'publish' && ++publishes === 2 ? async () => { throw new Error('away'); } : Reflect.get(object, name) as unknown),
    });
    await expect(relayOnce({ bus: failing, store, around })).rejects.toThrow('away');
    expect(await published(bus, 'OUTCOMES')).toEqual([]);
    expect((await store.outgoing(10)).map((o) => o.type)).toEqual(['outcome', 'state', 'outcome']);
    await drain(bus, store);
    expect((await published(bus, 'OUTCOMES')).map((m) => [m.body['intentId'], m.body['revision']])).toEqual([['a', 1], ['b', 2]]);
  });

  it('records a round at once, and where the outcomes fail, the changes that were published before', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    const recorded: string[][] = [];
    const watched: Store = { ...store, published: (items, marks) => {
      recorded.push(items.map(({ item }) => item.type));
      return store.published(items, marks);
    } };
    await wish(store, 'a', 1);
    await relayOnce({ bus, store: watched, around });
    await wish(store, 'b', 2);
    let publishes = 0;
    const failing = new Proxy(bus, {
      get: (object, name) => (name === 'publish' && ++publishes === 2 ? async () => { throw new Error('away'); } : Reflect.get(object, name) as unknown),
    });
    await expect(relayOnce({ bus: failing, store: watched, around })).rejects.toThrow('away');
    expect(recorded).toEqual([['state', 'outcome'], ['state']]);
    await drain(bus, store);
    expect((await published(bus, 'OUTCOMES')).map((m) => [m.body['intentId'], m.body['revision']])).toEqual([['a', 1], ['b', 2]]);
  });

  it('tells of each change once it is recorded, in order for each entity', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const store = memoryStore();
    for (const id of ['a', 'b', 'c']) await wish(store, id, 1);
    const told: [number, number, number][] = [];
    const onPublished = async (document: AnyDocument, revision: number): Promise<void> => {
      told.push([document.version, revision, await store.read.revisionOf(document.id)]);
    };
    while ((await relayOnce({ bus, store, around, onPublished })) > 0) continue;
    expect(told).toEqual([[1, 1, 3], [2, 2, 3], [3, 3, 3]]);
  });
});

describe('given an id that another service has decided another wish under', () => {
  const decided = async (store: Store, service: 'ipam' | 'topology'): Promise<void> =>
    store.transaction(async (unit) => void (await unit.conclude({ scope, outcome: { ...outcome('same'), service }, about: [] })));
  const lives = (bus: Bus, service: 'ipam' | 'topology', store: Store) => ({ bus, store, around: { ...around, service } });

  it('says what became of this one too, once, however often either is killed before it has recorded that', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    const stores = { topology: memoryStore(), ipam: memoryStore() };
    for (const service of ['topology', 'ipam'] as const) await decided(stores[service], service);
    const forgetful = (store: Store): Store => ({ ...store, published: () => Promise.reject(new Error('killed')) });
    for (const service of ['topology', 'ipam', 'topology', 'ipam'] as const) {
      await expect(relayOnce(lives(bus, service, forgetful(stores[service])))).rejects.toThrow('killed');
    }
    for (const service of ['ipam', 'topology'] as const) await relayOnce(lives(bus, service, stores[service]));
    expect((await published(bus, 'OUTCOMES')).map((m) => [m.subject, m.body['service']])).toEqual([
      ['osier.outcome.acme.shop.same', 'topology'], ['osier.outcome.acme.shop.same', 'ipam'],
    ]);
  });

  it('goes on where what stands there is no outcome at all', async () => {
    const bus = memoryBroker().connect('test');
    await bus.ensureStreams();
    await bus.publish('osier.outcome.acme.shop.same', new TextEncoder().encode('{'));
    const store = memoryStore();
    await decided(store, 'ipam');
    await relayOnce(lives(bus, 'ipam', store));
    const last = await bus.last('OUTCOMES', 'osier.outcome.acme.shop.same');
    expect(JSON.parse(new TextDecoder().decode(last?.data))).toMatchObject({ service: 'ipam', intentId: 'same' });
  });
});

describe('given a stream that has lost what was published to it, and counts on', () => {
  it('publishes nothing on top of it, and remembers what is missing for the guard to look for', async () => {
    const [broker, store] = [memoryBroker(), memoryStore()];
    const bus = broker.connect('topology');
    await bus.ensureStreams();
    await wish(store, 'a', 1);
    await drain(bus, store);
    const subject = (await published(bus, 'CHANGES'))[0]?.subject ?? '';
    await bus.purge('CHANGES', subject);

    await store.transaction(async (unit) => void (await unit.put({ ...network(1), spec: { subnets: ['10.1.0.0/24'] } } as AnyProposed, { intentId: 'b', at: 1 })));
    await expect(relayOnce({ bus, store, around })).rejects.toThrow('has lost');
    expect(await published(bus, 'CHANGES')).toEqual([]);
    expect(JSON.parse((await store.mark('witness')) ?? '')).toEqual({ subject, sequence: 1 });
    await broker.stop();
  });
});
