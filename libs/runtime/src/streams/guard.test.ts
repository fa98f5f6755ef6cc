import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import type { AnyDocument } from '@osier/contracts/document';
import { type Service } from '@osier/contracts/kinds';
import { documentSubject } from '@osier/contracts/subjects';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import { silent } from '@osier/telemetry/log';
import { Projection } from '../projection.ts';
import { relayOnce } from '../relay.ts';
import { DatabaseOlder, StreamGuard } from './guard.ts';

const names: readonly Service[] = ['tenant', 'ipam', 'topology', 'policy'];
const platform = { domain: '_', project: '_', environment: '_' };
interface Party { readonly bus: Bus; readonly store: Store; readonly guard: StreamGuard; relay(): Promise<void> }
let broker: MemoryBroker;
let bus: Bus;

function party(service: Service, store = memoryStore()): Party {
  const own = broker.connect(service);
  const around = { service, log: silent, now: () => 0, newId: () => '', bury: async () => undefined } as never;
  const guard = new StreamGuard({ bus: own, store, around, projection: new Projection({ knows: [] } as never, { bus: own, store, around }) });
  return {
    bus: own, store, guard,
    relay: async () => {
      while (guard.trusted && (await relayOnce({ bus: own, store, around })) > 0);
    },
  };
}
const id = (n: number): string => `01997f5e-5b3c-7cc0-8000-${String(n).padStart(12, '0')}`;
const domain = (n: number, phase: 'active' | 'deleted' = 'active') => ({ kind: 'domain', id: id(n), name: `d${n}`, parent: '_', phase, ...platform, domain: `d${n}`, spec: {}, status: {} }) as never;
const put = (store: Store, ...what: never[]): Promise<void> => store.transaction(async (unit) => {
  for (const one of what) await unit.put(one, { intentId: 'i', at: 0 });
});
const stateOf = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const m of bus.read({ stream: 'STATE', filters: ['osier.state.*.*.*.domain.*.*'] })) {
    const d = JSON.parse(new TextDecoder().decode(m.data)) as AnyDocument;
    expect(m.subject).toBe(documentSubject(d));
    found.push(`${d.name} v${d.version} ${d.phase}`);
  }
  return found.sort();
};
/** As the timers do, until nothing changes: a service that is not the first waits for its turn. */
async function rounds(parties: readonly Party[], done: () => boolean): Promise<void> {
  const until = Date.now() + 10_000;
  for (let round = 0; round < 3 || !done(); round++) {
    for (const one of parties) {
      await one.guard.check().catch(() => false);
      await one.relay();
    }
    if (Date.now() > until) throw new Error('the streams do not become whole');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const whole = (parties: readonly Party[]) => () => parties.every((one) => one.guard.whole);

let all: Party[];
beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  all = names.map((name) => party(name));
  for (const one of all) await one.guard.prepare();
  const { store } = all[0] as Party;
  await put(store, domain(1), domain(2), domain(3));
  await put(store, domain(2), domain(3, 'deleted'));
  await rounds(all, whole(all));
});
afterEach(async () => {
  for (const one of [bus, ...all.map((p) => p.bus)]) await one.close();
});
const content = ['d1 v1 active', 'd2 v2 active', 'd3 v2 deleted'];

describe('four services whose streams are lost', () => {
  it.each([[['STATE']], [['CHANGES']], [['CHANGES', 'STATE']], [['CHANGES', 'STATE', 'INTENTS', 'OUTCOMES', 'RECEIPTS', 'OBSERVATIONS']]])('%j: one makes them anew above all that was known, all fill them, tombstones too', async (lost) => {
    const before = await bus.stream('CHANGES');
    for (const name of lost) broker.deleteStream(name);
    let made = 0;
    const incarnations = new Set<string>();
    for (const one of all) {
      await one.guard.check();
      const now = (await bus.stream('CHANGES'))?.incarnation ?? '';
      if (!incarnations.has(now)) made++;
      incarnations.add(now);
      await one.relay();
    }
    expect(made).toBe(1);
    await rounds(all, whole(all));
    expect(await stateOf()).toEqual(content);
    if (lost.includes('CHANGES')) expect((await bus.last('CHANGES', 'osier.state.>'))?.sequence).toBeGreaterThan((before?.lastSequence ?? 0) + 100_000);
    for (const name of lost) expect(await bus.stream(name)).toBeDefined();
  });

  it('are not whole before the last of them has published and compared', async () => {
    for (const name of ['CHANGES', 'STATE']) broker.deleteStream(name);
    const [policy] = all.slice(3) as [Party];
    await rounds(all.slice(0, 3), () => all.slice(0, 3).every((one) => one.guard.trusted));
    for (let i = 0; i < 5; i++) for (const one of all.slice(0, 3)) await one.guard.check().then(() => one.relay());
    expect(all.slice(0, 3).map((one) => one.guard.whole)).toEqual([false, false, false]);
    await rounds([...all.slice(0, 3), policy], whole(all));
  });

  it('say that their part is whole only when it has been published', async () => {
    for (const name of ['CHANGES', 'STATE']) broker.deleteStream(name);
    const [tenant] = all as [Party];
    const said = () => bus.last('OBSERVATIONS', 'osier.observation._.streams-tenant');
    for (let i = 0; i < 3; i++) await tenant.guard.check();
    expect(await said()).toBeUndefined();
    await tenant.relay();
    await tenant.guard.check();
    expect(JSON.parse(new TextDecoder().decode((await said())?.data))).toMatchObject({ detail: { changes: (await bus.stream('CHANGES'))?.incarnation } });
  });

  it('publish nothing over a connection on which they have not looked yet', async () => {
    broker.stop();
    broker.start();
    const [tenant] = all as [Party];
    expect(tenant.guard.trusted).toBe(false);
    await tenant.guard.check();
    expect(tenant.guard.trusted).toBe(true);
  });

  it('begin above what the last of them knows, also when one who knew less made the stream', async () => {
    const [, , topology] = all as [Party, Party, Party];
    await topology.store.setMark('max-revision', '5000000');
    for (const name of ['CHANGES', 'STATE']) broker.deleteStream(name);
    await rounds(all, whole(all));
    expect((await bus.last('CHANGES', 'osier.state.>'))?.sequence).toBeGreaterThan(5_000_000);
    expect(await stateOf()).toEqual(content);
  }, 20_000);
});

describe('a database that is older than STATE', () => {
  it('is refused at the start, with the fix named, and nothing is published', async () => {
    const old = memoryStore();
    await old.setMark('incarnation', (await bus.stream('CHANGES'))?.incarnation ?? '');
    await put(old, domain(1), domain(2));
    const before = await bus.stream('CHANGES');
    const again = party('tenant', old);
    await expect(again.guard.prepare()).rejects.toThrow(DatabaseOlder);
    await expect(again.guard.prepare()).rejects.toMatchObject({ fix: expect.stringContaining('newest copy') });
    expect(again.guard.trusted).toBe(false);
    await again.relay();
    expect((await bus.stream('CHANGES'))?.lastSequence).toBe(before?.lastSequence);
    await again.bus.close();
  });
  it('is refused though it is empty', async () => {
    const again = party('tenant');
    await expect(again.guard.prepare()).rejects.toThrow(DatabaseOlder);
    await again.bus.close();
  });
  it('is not meant where it is the newer one', async () => {
    await put((all[0] as Party).store, domain(1));
    const again = party('tenant', (all[0] as Party).store);
    await again.guard.prepare();
    expect(again.guard.trusted).toBe(true);
    await again.bus.close();
  });
});
