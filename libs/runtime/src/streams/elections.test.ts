import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Bus, BusUnavailable, type StreamState } from '@osier/bus/bus';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import { memoryStore } from '@osier/store/memory';
import { silent } from '@osier/telemetry/log';
import { Projection } from '../projection.ts';
import { relayOnce } from '../relay.ts';
import { leadElsewhereAfterMs, leadElsewhereEveryMs, stuckAfterMs } from './decide.ts';
import { StreamGuard } from './guard.ts';

/** What a server of a cluster says of a stream, made of what is really there; `confirmed` is always true or not answered at all. */
type Answer = (name: string, real: StreamState | undefined, confirmed: boolean) => StreamState | undefined;
let broker: MemoryBroker;
let bus: Bus;
let guard: StreamGuard;
let again: () => StreamGuard;
/** What happens just before streams are ensured. */
let before: () => void;
let answer: Answer;
let now = 0;
const moved: string[] = [];
const warned: string[] = [];
/** What was there when the settings of streams were brought up to date. */
const brought: string[][] = [];
const store = () => memoryStore();

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('truth');
  answer = (_name, real) => real;
  moved.length = 0;
  warned.length = 0;
  brought.length = 0;
  before = () => undefined;
  const own = broker.connect('tenant');
  const seen: Bus = {
    ...own,
    get session() { return own.session; },
    get connected() { return own.connected; },
    stream: async (name, how) => answer(name, await own.stream(name), how?.confirmed ?? false),
    leadElsewhere: async (name) => void moved.push(name),
    ensureStreams: async (after) => {
      before();
      brought.push((await Promise.all(['CHANGES', 'STATE', 'AUDIT'].map(async (name) => (await own.stream(name)) && name))).filter((name) => name !== undefined));
      await own.ensureStreams(after);
    },
  };
  const db = store();
  const around = { service: 'tenant', log: { ...silent, warn: (_facts: object, message: string) => void warned.push(message) }, now: () => 0, newId: () => '', bury: async () => undefined } as never;
  again = () => new StreamGuard({ bus: seen, store: db, around, projection: new Projection({ knows: [] } as never, { bus: seen, store: db, around }) });
  guard = again();
  await guard.prepare();
  const domain = { kind: 'domain', id: '01997f5e-5b3c-7cc0-8000-000000000001', name: 'd', parent: '_', phase: 'active', domain: 'd', project: '_', environment: '_', spec: {}, status: {} } as never;
  await db.transaction((unit) => unit.put(domain, { intentId: 'i', at: 0 }));
  await relayOnce({ bus: own, store: db, around });
  await bus.publish('osier.observation.node-1.health', new Uint8Array());
  await guard.check();
  // The other streams are looked at every five seconds.
  now = Date.now();
  jest.spyOn(Date, 'now').mockImplementation(() => now);
  now += 6_000;
  await guard.check();
  now += 6_000;
});
afterEach(async () => {
  jest.restoreAllMocks();
  await bus.close();
});
const incarnations = () => Promise.all(['CHANGES', 'STATE', 'OBSERVATIONS'].map(async (name) => (await bus.stream(name))?.incarnation));
const behind = (real: StreamState | undefined): StreamState | undefined => real && { ...real, replicas: 3, lastSequence: real.lastSequence - 1 };
const unavailable = (): never => {
  throw new BusUnavailable('no leader');
};

describe('at a start', () => {
  it('the settings of streams that are there are brought up to date, once', async () => {
    expect(brought.filter((there) => there.length === 3)).toHaveLength(1);
    await guard.check();
    await guard.check();
    expect(brought.filter((there) => there.length === 3)).toHaveLength(1);
  });
  it('what another service takes away meanwhile, to make it anew, is made above all that was known', async () => {
    const known = (await bus.stream('CHANGES'))?.lastSequence ?? 0;
    before = () => ['STATE', 'CHANGES'].forEach((name) => broker.deleteStream(name));
    await again().check();
    expect(known).toBeGreaterThan(0);
    const made = await bus.stream('CHANGES');
    expect(made).toMatchObject({ rebuilt: true });
    expect(made?.firstSequence).toBeGreaterThan(known);
  });
});

describe('at the first start', () => {
  it('a STATE that is not there yet is made, and one that another service makes meanwhile is left alone', async () => {
    for (const name of ['CHANGES', 'STATE']) broker.deleteStream(name);
    await bus.ensureStreams();
    const [, made] = await incarnations();
    const db = store();
    const own = broker.connect('ipam');
    const around = { service: 'ipam', log: silent, now: () => 0, newId: () => '', bury: async () => undefined } as never;
    const early: Bus = { ...own, get session() { return own.session; }, get connected() { return own.connected; }, stream: async (name) => (name === 'STATE' && (await db.mark('incarnation')) === undefined ? undefined : own.stream(name)) };
    await new StreamGuard({ bus: early, store: db, around, projection: new Projection({ knows: [] } as never, { bus: early, store: db, around }) }).check();
    expect((await incarnations())[1]).toBe(made);
    await own.close();
  });
});

describe('while the servers of a cluster elect who leads a stream', () => {
  const lies: readonly [string, Answer][] = [
    ['a leader that has not worked off all that was accepted', (name, real, confirmed) => (name === 'CHANGES' && !confirmed ? behind(real) : real)],
    ['a server that has not heard of the streams yet', (_name, real, confirmed) => (confirmed ? real : undefined)],
    ['one that has not heard of STATE yet', (name, real, confirmed) => (name === 'STATE' && !confirmed ? undefined : real)],
    ['one that has not heard of the last observation yet', (name, real, confirmed) => (name === 'OBSERVATIONS' && !confirmed ? behind(real) : real)],
  ];
  it.each(lies)('%s is not believed: nothing is made anew, and what is true goes on', async (_who, lie) => {
    const before = await incarnations();
    answer = lie;
    expect(await guard.check()).toBe(false);
    expect(await incarnations()).toEqual(before);
    expect(guard.trusted).toBe(true);
  });

  it('what cannot be confirmed is left as it is, and looked at again', async () => {
    const before = await incarnations();
    answer = (_name, real, confirmed) => (confirmed ? unavailable() : behind(real));
    await expect(guard.check()).rejects.toBeInstanceOf(BusUnavailable);
    expect(await incarnations()).toEqual(before);
    answer = (_name, real) => real;
    await guard.check();
    expect(await incarnations()).toEqual(before);
  });

  it('that a stream which confirms nothing was set back is believed at the second look only', async () => {
    await bus.publish('osier.outcome.acme.shop.o', new Uint8Array());
    await guard.check();
    const look = () => { now += 6_000; return guard.check(); };
    answer = (name, real) => (name === 'OUTCOMES' ? behind(real) : real);
    await look();
    answer = (_name, real) => real;
    await look();
    expect(warned).toEqual([]);
    answer = (name, real) => (name === 'OUTCOMES' ? behind(real) : real);
    await look();
    await look();
    await look();
    expect(warned).toEqual(['OUTCOMES was set back; what it lost cannot be told from the databases']);
  });

  it('what is confirmed is acted on', async () => {
    const before = await incarnations();
    answer = (name, real) => (name === 'CHANGES' && real?.incarnation === before[0] ? behind(real) : real);
    expect(await guard.check()).toBe(true);
    expect((await incarnations())[0]).not.toBe(before[0]);
  });

  it('the time of an election does not count as time for which the mirror stands still', async () => {
    const before = await incarnations();
    const stuck: Answer = (name, real) => (name === 'STATE' ? behind(real) : real);
    answer = stuck;
    await guard.check();
    answer = unavailable;
    now += stuckAfterMs.replicated;
    await expect(guard.check()).rejects.toBeInstanceOf(BusUnavailable);
    answer = stuck;
    await guard.check();
    expect(await incarnations()).toEqual(before);
  });

  it('a mirror that stands still is led by another server first, and made anew only when that has not helped', async () => {
    const before = await incarnations();
    answer = (name, real) => (name === 'STATE' && real?.incarnation === before[1] ? behind(real) : real);
    await guard.check();
    now += leadElsewhereAfterMs - 1;
    await guard.check();
    expect(moved).toEqual([]);
    now += 1;
    for (let looks = 0; looks < 3; looks++) await guard.check();
    expect(moved).toEqual(['STATE']);
    now += leadElsewhereEveryMs;
    await guard.check();
    expect(moved).toEqual(['STATE', 'STATE']);
    expect(await incarnations()).toEqual(before);
    now += stuckAfterMs.replicated;
    await guard.check();
    expect((await incarnations())[1]).not.toBe(before[1]);
  });
});
