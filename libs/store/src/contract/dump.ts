import { expect, it } from '@jest/globals';
import { none } from '@osier/contracts/names';
import type { AnyProposed } from '@osier/domain/decision';
import type { DumpRow } from '../dump/tables.ts';
import { memoryStore } from '../memory.ts';
import type { Outgoing, Store, Waiting } from '../store.ts';

interface Tools {
  readonly store: () => Store;
  readonly make: () => Promise<Store>;
  readonly network: (n: number, more?: object) => AnyProposed;
  readonly waiting: (awaits: string, deadlineAt: number) => Waiting;
}

export async function dumped(store: Store): Promise<DumpRow[]> {
  const rows: DumpRow[] = [];
  await store.dump(async (some) => void rows.push(...some));
  return rows;
}
export async function* pages(rows: readonly DumpRow[], size = 3): AsyncGenerator<readonly DumpRow[]> {
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size);
}

/** Something in every table, and text of which databases may think differently. */
export async function fillAll(store: Store, { network, waiting }: Pick<Tools, 'network' | 'waiting'>): Promise<void> {
  const by = (intentId: string) => ({ intentId, at: 1_000 });
  await store.transaction(async (unit) => {
    await unit.seen('acme/shop/a');
    for (let n = 1; n <= 7; n++) await unit.put(network(n), by('a'));
    await unit.put(network(8, { spec: { subnets: ['10.0.8.0/24'], description: 'größer, "quoted", \\ and 🪢' } }), by('a'));
    await unit.next('vni');
    await unit.wait(waiting('acme/shop/child', 5_000));
    await unit.wait(waiting('line of endpoint x', Number.MAX_SAFE_INTEGER));
    const known = await unit.put(network(50), by('a'));
    await unit.learn({ ...known, kind: 'environment', name: 'staging' } as typeof known, 12);
  });
  const items = await store.outgoing(3);
  await store.published(items.map((item: Outgoing, index) => ({ item, revision: 100 + index })), new Map([['max-revision', '102']]));
  await store.transaction(async (unit) => {
    await unit.put(network(2, { phase: 'deleted' }), by('b'));
    await unit.send({ id: 'c', name: 'lease.release', scope: { domain: 'acme', project: 'shop', environment: none }, body: { lease: 'x' } } as unknown as Parameters<typeof unit.send>[0], {});
  });
}

/** That all of a database can be carried to another one, of whatever kind. */
export function dumpContract({ store, make, network, waiting }: Tools): void {
  it('gives and takes all that it holds: the dump of a copy is the dump of the original', async () => {
    await fillAll(store(), { network, waiting });
    const original = await dumped(store());
    expect(new Set(original.map(({ table }) => table))).toEqual(new Set(['entities', 'known', 'history', 'inbox', 'outbox', 'waiting', 'marks']));
    const copy = await make();
    try {
      await copy.transaction((unit) => unit.put(network(99), { intentId: 'z', at: 0 }));
      await copy.setMark('mine', 'x');
      const counts = await copy.load(pages(original), new Map([['restore', 'done']]));
      expect(counts).toEqual(await store().dump(async () => undefined));
      expect(await dumped(copy)).toEqual(original);
      expect([await copy.mark('restore'), await copy.mark('mine')]).toEqual(['done', undefined]);
    } finally {
      await copy.close();
    }
  });

  it('takes the dump of another kind of database', async () => {
    const twin = memoryStore({ now: () => 1_234 });
    await fillAll(twin, { network, waiting });
    const original = await dumped(twin);
    await store().load(pages(original, 100), new Map());
    expect(await dumped(store())).toEqual(original);
  });

  it('goes on after a load: numbers, names and what is to be published', async () => {
    await fillAll(store(), { network, waiting });
    const copy = await make();
    try {
      await copy.load(pages(await dumped(store())), new Map());
      expect(await copy.transaction((unit) => unit.next('vni'))).toBe(2);
      expect((await copy.outgoing(100)).map(({ row, type }) => ({ row, type }))).toEqual((await store().outgoing(100)).map(({ row, type }) => ({ row, type })));
      await copy.transaction((unit) => unit.put(network(1), { intentId: 'later', at: 2_000 }));
      const rows = (await copy.outgoing(100)).map(({ row }) => row);
      expect(rows).toEqual([...rows].sort((a, b) => a - b));
      expect(new Set(rows).size).toBe(rows.length);
      expect((await copy.read.history(network(1).id)).map(({ document }) => document.version)).toEqual([1, 2]);
      await expect(copy.transaction((unit) => unit.put(network(60, { name: 'net-3' }), { intentId: 'same name', at: 0 }))).rejects.toThrow();
    } finally {
      await copy.close();
    }
  });

  it('is as it was when a load fails half-way', async () => {
    await fillAll(store(), { network, waiting });
    const before = await dumped(store());
    async function* broken(): AsyncGenerator<readonly DumpRow[]> {
      yield before.slice(0, 2);
      throw new Error('the archive cannot be read any further');
    }
    await expect(store().load(broken(), new Map([['restore', 'loaded']]))).rejects.toThrow('cannot be read');
    expect(await dumped(store())).toEqual(before);
    expect(await store().mark('restore')).toBeUndefined();
  });

  it('leaves what is of this process and of this installation out of a dump', async () => {
    await store().setMark('active-process', 'me');
    await store().setMark('restore', 'done');
    await store().setMark('kept', 'x');
    expect((await dumped(store())).filter(({ table }) => table === 'marks').map(({ row }) => row['name'])).toEqual(['kept']);
    await store().load(pages([]), new Map());
    expect([await store().mark('active-process'), await store().mark('kept')]).toEqual(['me', undefined]);
  });
}
