import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import type { Outcome } from '@osier/contracts/outcome';
import type { AnyProposed, Intent } from '@osier/domain/decision';
import { dumpContract } from './contract/dump.ts';
import type { At, OpenOutcome, Outgoing, Page, Store, Waiting } from './store.ts';

export const scope: Scope = { domain: 'acme', project: 'shop', environment: 'staging' };
export const idOf = (n: number): string => `01997f5e-5b3c-7cc0-8000-${String(n).padStart(12, '0')}`;
export function network(n: number, more: Partial<AnyProposed> = {}): AnyProposed {
  return {
    kind: 'network', id: idOf(n), name: `net-${n}`, parent: none, phase: 'active', ...scope,
    spec: { subnets: [`10.0.${n}.0/24`] }, status: { routingDomain: idOf(999), vni: 7, number: n }, ...more,
  } as AnyProposed;
}
const by = (intentId: string, at = 1_000) => ({ intentId, at });
const open = (intentId: string, about: string[] = []): OpenOutcome => ({
  scope, about,
  outcome: { intentId, intent: 'network.apply', credential: 'ci', at: '2026-01-01T00:00:00Z', service: 'topology', result: 'accepted', revision: 0, changes: [] } as Outcome,
});
const waiting = (awaits: string, deadlineAt: number): Waiting => ({
  awaits, deadlineAt, note: { a: [1] },
  intent: { id: 'i', name: 'endpoint.apply', scope, credential: 'ci', body: { name: 'e', spec: {} } } as unknown as Intent,
});
const shape = (items: Outgoing[]): string[] => items.map((o) =>
  o.type === 'state' ? `state ${o.document.name} v${o.document.version} after ${o.publishedRevision}` : o.type === 'intent' ? `intent ${o.child.id}` : `outcome ${o.open.outcome.intentId}`);
async function publishAll(store: Store, from: number): Promise<number> {
  let revision = from;
  for (const item of await store.outgoing(100)) await store.published([{ item, revision: item.type === 'state' ? ++revision : 0 }]);
  return revision;
}

/** What every store must do: run on the in-memory twin and on each database. */
export function storeContract(name: string, make: () => Promise<Store>): void {
  describe(`store contract: ${name}`, () => {
    let store: Store;
    beforeEach(async () => void (store = await make()));
    afterEach(() => store.close());

    dumpContract({ store: () => store, make, network, waiting });

    it('gives a put its version, times and intent, and lets the transaction see it at once', async () => {
      await store.transaction(async (unit) => {
        await unit.put(network(1), by('a', 0));
        expect(await unit.own.byName('network', scope, 'net-1')).toMatchObject({ id: idOf(1), version: 1, createdAt: '1970-01-01T00:00:00.000Z', intent: 'a' });
        expect(await unit.own.list('network', { environment: 'staging' })).toHaveLength(1);
        expect(await unit.own.list('network', { environment: 'production' })).toHaveLength(0);
      });
      await store.transaction((unit) => unit.put(network(1), by('b', 60_000)));
      expect(await store.read.get('network', idOf(1))).toMatchObject({ version: 2, createdAt: '1970-01-01T00:00:00.000Z', updatedAt: '1970-01-01T00:01:00.000Z', intent: 'b' });
    });

    it('finds who holds a network namespace: of any environment, in the transaction that puts it too, and no longer when it is deleted', async () => {
      const endpoint = (n: number, node: string, containerId: string, more: object = {}): AnyProposed => ({
        ...network(n), kind: 'endpoint', name: `e-${n}`, spec: { network: 'net-1', node, tags: {}, attachment: { containerId, interface: 'eth0' } },
        status: { address: `10.0.0.${n}`, mac: '02:00:00:00:00:01', lease: idOf(n) }, ...more,
      } as AnyProposed);
      const holders = async (reader: { list: Store['read']['list'] }, holds: string) => (await reader.list('endpoint', { holds })).map((e) => e.name);
      await store.transaction(async (unit) => {
        await unit.put(endpoint(1, 'node-1', 'web'), by('a'));
        await unit.put(endpoint(2, 'node-1', 'web', { environment: 'production' }), by('b'));
        await unit.put(endpoint(3, 'node-2', 'web'), by('c'));
        expect(await holders(unit.own, 'node-1/web')).toEqual(['e-1', 'e-2']);
      });
      expect([await holders(store.read, 'node-1/web'), await holders(store.read, 'node-2/web'), await holders(store.read, 'node-1/db')]).toEqual([['e-1', 'e-2'], ['e-3'], []]);
      await store.transaction(async (unit) => {
        await unit.put(endpoint(1, 'node-1', 'web', { phase: 'deleted' }), by('d'));
        expect(await holders(unit.own, 'node-1/web')).toEqual(['e-2']);
      });
      expect(await holders(store.read, 'node-1/web')).toEqual(['e-2']);
    });

    it('sets marks together with what was published', async () => {
      await store.transaction((unit) => unit.put(network(1), by('a')));
      const [item] = await store.outgoing(10);
      await store.setMark('max', '3');
      await store.published([{ item: item as Outgoing, revision: 7 }], new Map([['max', '7'], ['witness', 'w']]));
      expect([await store.mark('max'), await store.mark('witness'), await store.read.revisionOf(idOf(1)), await store.outgoing(10)]).toEqual(['7', 'w', 7, []]);
      await store.published([], new Map([['max', '8']]));
      expect(await store.mark('max')).toBe('8');
    });

    it('leaves nothing behind of a transaction that throws', async () => {
      const failing = store.transaction(async (unit) => {
        await unit.seen('k');
        await unit.put(network(1), by('a'));
        await unit.conclude(open('a'));
        await unit.setMark('m', '1');
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await store.read.get('network', idOf(1))).toBeUndefined();
      expect(await store.outgoing(10)).toEqual([]);
      expect(await store.mark('m')).toBeUndefined();
      expect(await store.transaction((unit) => unit.seen('k'))).toBe(false);
    });

    it('knows what it has handled, within a transaction and after', async () => {
      expect(await store.transaction(async (unit) => [await unit.seen('k'), await unit.seen('k')])).toEqual([false, true]);
      expect(await store.transaction((unit) => unit.seen('k'))).toBe(true);
      await store.pruneInbox(Number.MAX_SAFE_INTEGER);
      expect(await store.transaction((unit) => unit.seen('k'))).toBe(false);
    });

    it('answers the same after it was told what will be asked', async () => {
      await store.transaction(async (unit) => {
        await unit.seen('handled');
        for (const n of [1, 2]) await unit.put(network(n), by('a'));
        await unit.learn({ ...network(7), version: 1, createdAt: '', updatedAt: '', intent: 'i' } as AnyDocument, 5);
      });
      await store.transaction((unit) => unit.put(network(2, { phase: 'deleted' }), by('b')));
      await store.transaction(async (unit) => {
        const named = ['net-1', 'net-2', 'net-3', 'net-3'].map((name) => ({ kind: 'network' as const, scope, name }));
        const known = [7, 8].map((n) => ({ kind: 'network' as const, id: idOf(n) }));
        await unit.prefetch({ seen: ['new', ...Array.from({ length: 300 }, (_, n) => `more ${n}`), 'handled'], named, known });
        expect([await unit.seen('handled'), await unit.seen('new'), await unit.seen('new'), await unit.seen('more 299')]).toEqual([true, false, true, false]);
        const names = async () => Promise.all([1, 2, 3].map(async (n) => (await unit.own.byName('network', scope, `net-${n}`))?.version));
        expect(await names()).toEqual([1, undefined, undefined]);
        await unit.put(network(3), by('c'));
        await unit.put(network(1, { phase: 'deleted' }), by('c'));
        expect(await names()).toEqual([undefined, undefined, 1]);
        const learned = (n: number, revision: number) => unit.learn({ ...network(n), version: 2, createdAt: '', updatedAt: '', intent: 'i' } as AnyDocument, revision);
        expect([await learned(7, 4), await learned(7, 6), await learned(8, 1)]).toEqual([false, true, true]);
      });
    });
    it('counts versions of what it was told is new from 1', async () => {
      await store.transaction(async (unit) => {
        expect(await unit.put(network(1, { id: unit.born(idOf(1)) }), by('a'))).toMatchObject({ version: 1 });
        expect(await unit.put(network(1), by('a'))).toMatchObject({ version: 2 });
      });
    });

    it('does not return tombstones, and gives their names back', async () => {
      await store.transaction((unit) => unit.put(network(1, { name: 'n' }), by('a')));
      await store.transaction(async (unit) => {
        expect(await unit.own.byName('network', scope, 'n')).toMatchObject({ id: idOf(1) });
        await unit.put(network(1, { name: 'n', phase: 'deleted' }), by('b'));
        expect(await unit.own.get('network', idOf(1))).toBeUndefined();
        expect(await unit.own.byName('network', scope, 'n')).toBeUndefined();
        expect(await unit.own.list('network')).toEqual([]);
        await unit.put(network(2, { name: 'n' }), by('b'));
        expect(await unit.own.byName('network', scope, 'n')).toMatchObject({ id: idOf(2) });
      });
      expect(await store.read.byName('network', scope, 'n')).toMatchObject({ id: idOf(2) });
      expect((await store.read.list('network')).map((d) => d.id)).toEqual([idOf(2)]);
    });

    it('refuses two of one name, and takes neither', async () => {
      const two = store.transaction(async (unit) => {
        await unit.put(network(1, { name: 'n' }), by('a'));
        await unit.put(network(2, { name: 'n' }), by('a'));
      });
      await expect(two).rejects.toThrow(/unique/i);
      expect(await store.read.list('network')).toEqual([]);
    });

    it('keeps one name apart in two environments, and lists by any part of the place', async () => {
      await store.transaction(async (unit) => {
        await unit.put(network(1, { name: 'n' }), by('a'));
        await unit.put(network(2, { name: 'n', environment: 'production' }), by('a'));
      });
      expect(await store.read.byName('network', { ...scope, environment: 'production' }, 'n')).toMatchObject({ id: idOf(2) });
      expect((await store.read.list('network', { domain: 'acme', project: 'shop' })).map((d) => d.id)).toEqual([idOf(1), idOf(2)]);
      expect((await store.read.list('network', { environment: 'staging', name: 'n' })).map((d) => d.id)).toEqual([idOf(1)]);
      expect(await store.read.list('network', { domain: 'other' })).toEqual([]);
      expect(await store.read.list('endpoint', {})).toEqual([]);
    });

    it('lets changes go first, then child intents, then outcomes, each transaction after the one before', async () => {
      await store.transaction(async (unit) => {
        await unit.conclude(open('a', [idOf(1)]));
        await unit.send({ id: 'child', name: 'lease.release', scope, body: { lease: idOf(3) } }, { traceparent: 't' });
        await unit.put(network(1), by('a'));
      });
      await store.transaction((unit) => unit.put(network(1), by('b')));
      expect(shape(await store.outgoing(10))).toEqual(['state net-1 v1 after 0', 'intent child', 'outcome a', 'state net-1 v2 after 0']);
      expect(shape(await store.outgoing(2))).toHaveLength(2);
      expect((await store.outgoing(10))[1]).toMatchObject({ traceparent: 't' });
    });

    it('forgets what was published and remembers where', async () => {
      await store.transaction(async (unit) => {
        await unit.put(network(1), by('a'));
        await unit.conclude(open('a', [idOf(1), idOf(77)]));
      });
      const [state] = await store.outgoing(10);
      await store.published([{ item: state as Outgoing, revision: 41 }]);
      const [outcome, ...rest] = await store.outgoing(10);
      expect(rest).toEqual([]);
      expect(outcome).toMatchObject({ type: 'outcome' });
      expect([...(outcome as Extract<Outgoing, { type: 'outcome' }>).revisions]).toEqual([[idOf(1), 41], [idOf(77), 0]]);
      await store.published([{ item: outcome as Outgoing, revision: 0 }]);
      expect(await store.outgoing(10)).toEqual([]);
      expect(await store.read.revisionOf(idOf(1))).toBe(41);
      expect(await store.read.revisionOf(idOf(2))).toBe(0);
      expect(await store.read.listed('network')).toMatchObject([{ revision: 41, document: { name: 'net-1' } }]);
      const [first] = await store.read.listed('network', {}, { limit: 1 });
      expect(first).toMatchObject({ document: { name: 'net-1' } });
      expect(await store.read.listed('network', {}, { limit: 1, after: first?.document.id })).toEqual([]);
    });

    it('lists what there was at a revision and at a time: the versions of then, without what came later or was gone', async () => {
      const at = (minute: number) => ({ intentId: 'a', at: minute * 60_000 });
      const minute = (n: number) => ({ time: new Date(n * 60_000).toISOString() });
      const told = async (revision: number): Promise<void> => {
        for (const item of await store.outgoing(10)) await store.published([{ item, revision }]);
      };
      await store.transaction((unit) => unit.put(network(1), at(1)));
      await told(10);
      await store.transaction((unit) => unit.put({ ...network(1), spec: { subnets: ['10.1.0.0/24'] } } as AnyProposed, at(2)));
      await store.transaction((unit) => unit.put(network(2), at(2)));
      await told(20);
      await store.transaction((unit) => unit.put({ ...network(1), phase: 'deleted' } as AnyProposed, at(3)));
      await told(30);
      await store.transaction((unit) => unit.put(network(3), at(4)));
      const then = async (moment: At, page?: Page) => (await store.read.listedAt(moment, 'network', scope, page)).map(({ document, revision }) => [document.name, document.version, revision]);
      expect(await Promise.all([9, 10, 19, 20, 29, 30, 99].map((revision) => then({ revision })))).toEqual([
        [], [['net-1', 1, 10]], [['net-1', 1, 10]], [['net-1', 2, 20], ['net-2', 1, 20]], [['net-1', 2, 20], ['net-2', 1, 20]], [['net-2', 1, 20]], [['net-2', 1, 20]],
      ]);
      expect(await Promise.all([0.9, 1, 1.9, 2, 3, 4].map((n) => then(minute(n))))).toEqual([
        [], [['net-1', 1, 10]], [['net-1', 1, 10]], [['net-1', 2, 20], ['net-2', 1, 20]], [['net-2', 1, 20]], [['net-2', 1, 20], ['net-3', 1, 0]],
      ]);
      // A page is full although some of its first were gone by then.
      expect(await then(minute(4), { limit: 1 })).toEqual([['net-2', 1, 20]]);
      expect(await then(minute(4), { limit: 5, after: idOf(2) })).toEqual([['net-3', 1, 0]]);
      expect(await store.read.listedAt(minute(4), 'network', { ...scope, environment: 'elsewhere' })).toEqual([]);
      expect(await store.read.listedAt(minute(4), 'policy')).toEqual([]);
    });

    it('keeps an entity to be published that changed while it was being published', async () => {
      await store.transaction((unit) => unit.put(network(1), by('a')));
      const inFlight = await store.outgoing(10);
      await store.transaction((unit) => unit.put(network(1), by('b')));
      await store.published(inFlight.map((item) => ({ item, revision: 5 })));
      expect(shape(await store.outgoing(10))).toEqual(['state net-1 v2 after 5']);
    });

    it('never lets a published revision run backwards', async () => {
      await store.transaction((unit) => unit.put(network(1), by('a')));
      const [item] = await store.outgoing(1);
      await store.published([{ item: item as Outgoing, revision: 9 }]);
      await store.published([{ item: item as Outgoing, revision: 4 }]);
      expect(await store.read.revisionOf(idOf(1))).toBe(9);
    });

    it('keeps every version in history, with its times and revisions', async () => {
      for (const at of [1_000, 2_000, 3_000]) await store.transaction((unit) => unit.put(network(1), by(`at-${at}`, at)));
      await publishAll(store, 10);
      await store.transaction((unit) => unit.put(network(1, { phase: 'deleted' }), by('gone', 4_000)));
      const versions = await store.read.history(idOf(1));
      expect(versions.map((v) => [v.document.intent, v.validFrom.slice(17, 19), v.validTo?.slice(17, 19), v.revision])).toEqual([
        ['at-1000', '01', '02', 11], ['at-2000', '02', '03', 12], ['at-3000', '03', '04', 13], ['gone', '04', undefined, undefined],
      ]);
    });

    it('publishes all anew on demand, what was there first comes first, and outcomes stay behind their changes', async () => {
      await store.transaction((unit) => unit.put(network(2), by('a')));
      await publishAll(store, 0);
      await store.transaction((unit) => unit.put(network(1), by('b')));
      await publishAll(store, 1);
      await store.transaction(async (unit) => {
        await unit.put(network(3, { phase: 'deleted' }), by('c'));
        await unit.conclude(open('c', [idOf(3)]));
      });
      expect(await store.republishAll()).toBe(3);
      expect(shape(await store.outgoing(10))).toEqual(['state net-2 v1 after 0', 'state net-1 v1 after 0', 'state net-3 v1 after 0', 'outcome c']);
    });

    it('lets an intent wait for its child, once', async () => {
      await store.transaction((unit) => unit.wait(waiting('child', 500)));
      await store.transaction(async (unit) => {
        expect(await unit.takeWaiting('other')).toBeUndefined();
        expect(await unit.takeWaiting('child')).toMatchObject({ awaits: 'child', note: { a: [1] }, intent: { name: 'endpoint.apply' } });
        expect(await unit.takeWaiting('child')).toBeUndefined();
        expect(await unit.overdue(1_000)).toEqual([]);
      });
      expect(await store.transaction((unit) => unit.takeWaiting('child'))).toBeUndefined();
    });

    it('keeps nothing waiting that was taken after it was put over what had waited before', async () => {
      await store.transaction((unit) => unit.wait(waiting('line', 500)));
      await store.transaction(async (unit) => {
        expect(await unit.takeWaiting('line')).toMatchObject({ deadlineAt: 500 });
        await unit.wait(waiting('line', 900));
        expect(await unit.takeWaiting('line')).toMatchObject({ deadlineAt: 900 });
      });
      expect(await store.transaction((unit) => unit.takeWaiting('line'))).toBeUndefined();
      await store.transaction((unit) => unit.wait(waiting('line', Number.MAX_SAFE_INTEGER)));
      expect(await store.transaction((unit) => unit.takeWaiting('line'))).toMatchObject({ deadlineAt: Number.MAX_SAFE_INTEGER });
    });

    it('finds what has waited too long, the longest first', async () => {
      await store.transaction(async (unit) => {
        for (const [awaits, at] of [['late', 300], ['later', 200], ['in-time', 900]] as const) await unit.wait(waiting(awaits, at));
      });
      expect((await store.transaction((unit) => unit.overdue(300))).map((w) => w.awaits)).toEqual(['later', 'late']);
    });

    it('learns what others publish, never an older over a newer', async () => {
      const document = (version: number, phase: 'active' | 'deleted' = 'active') => ({ ...network(1, { phase }), version, createdAt: '', updatedAt: '', intent: '' }) as never;
      await store.transaction(async (unit) => {
        expect(await unit.learn(document(2), 20)).toBe(true);
        expect(await unit.learn(document(1), 10)).toBe(false);
        expect(await unit.known.byName('network', scope, 'net-1')).toMatchObject({ version: 2 });
        expect(await unit.own.byName('network', scope, 'net-1')).toBeUndefined();
      });
      expect(await store.transaction((unit) => unit.learn(document(2), 20))).toBe(false);
      expect(await store.known.list('network', { environment: 'staging' })).toHaveLength(1);
      await store.transaction((unit) => unit.learn(document(3, 'deleted'), 30));
      expect(await store.known.get('network', idOf(1))).toBeUndefined();
      expect(await store.known.byName('network', scope, 'net-1')).toBeUndefined();
      expect(await store.transaction((unit) => unit.learn(document(2), 20))).toBe(false);
    });

    it('knows two kinds of one id', async () => {
      const lease = { ...network(1), kind: 'lease', name: 'l', version: 1, createdAt: '', updatedAt: '', intent: '' } as never;
      const of = { ...network(1), version: 1, createdAt: '', updatedAt: '', intent: '' } as never;
      expect(await store.transaction(async (unit) => [await unit.learn(lease, 5), await unit.learn(of, 4)])).toEqual([true, true]);
      expect(await store.known.get('lease', idOf(1))).toMatchObject({ name: 'l' });
      expect(await store.known.get('network', idOf(1))).toMatchObject({ name: 'net-1' });
    });

    it('keeps marks', async () => {
      await store.setMark('a', '1');
      await store.transaction(async (unit) => {
        await unit.setMark('a', '2');
        expect(await unit.mark('a')).toBe('2');
      });
      await store.setMark('b', '3');
      expect([await store.mark('a'), await store.mark('b'), await store.mark('c')]).toEqual(['2', '3', undefined]);
    });

    it('counts, each counter by itself, and takes a number back only with its whole transaction', async () => {
      expect(await store.transaction(async (unit) => [await unit.next('vni'), await unit.next('vni'), await unit.next('other')])).toEqual([1, 2, 1]);
      await store.transaction(async (unit) => { await unit.next('vni'); throw new Error('no'); }).catch(() => undefined);
      expect(await store.transaction((unit) => unit.next('vni'))).toBe(3);
    });

    it('does transactions one after another', async () => {
      const order: string[] = [];
      const slow = (label: string) => store.transaction(async (unit) => {
        order.push(`${label} begins`);
        await unit.seen(label);
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(`${label} ends`);
      });
      await Promise.all([slow('a'), slow('b'), slow('c')]);
      expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    });
  });
}
