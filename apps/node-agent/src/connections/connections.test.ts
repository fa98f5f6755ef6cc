import { afterEach, describe, expect, it } from '@jest/globals';
import { serverLimits } from '@osier/bus/grants';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import { limits } from '@osier/contracts/limits';
import { type ConnectionsPart, connectionsPartSchema } from '@osier/contracts/telemetry';
import { type FakeKernel, fakeKernel } from '@osier/dataplane/fake';
import type { ConntrackEntry } from '@osier/dataplane/kernel';
import { ConntrackState } from '@osier/dataplane/records';
import { mapped16 } from '@osier/domain/net/ipv4';
import { nothingChanged, type Place, placeKey } from '@osier/domain/reconcile/program';
import { silent } from '@osier/telemetry/log';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDirectory } from '../flows/resolve.ts';
import { startConnections } from './connections.ts';

const id = '01997f5e-5b3c-4cc0-8000-000000000001';
const [staging, production] = [7, 8];
const environmentOf = { [staging]: 'acme/shop/staging', [production]: 'acme/shop/production' } as Record<number, string>;
const place = (rd: number, last: number): Place => ({
  id: `e${last}`, path: `${environmentOf[rd]}/e${last}`, environment: environmentOf[rd] ?? '', networkName: 'main', tags: { app: `e${last}` }, rd, address: `10.0.0.${last}`, network: 1, tunnel: undefined, mac: '', identity: '',
});
const places = [staging, production].flatMap((rd) => [1, 2].map((last) => place(rd, last)));
const rule = { policyId: 'p', policyPath: 'acme/shop/staging/closed', name: 'web', direction: 'ingress' as const };

let broker: MemoryBroker;
let kernel: FakeKernel;
let running: { stop(): Promise<void> } | undefined;
let parts: ConnectionsPart[];
let sizes: number[];
afterEach(() => running?.stop());

async function start(o: { ready?: boolean; now?: () => number } = {}) {
  [broker, kernel, parts, sizes] = [memoryBroker(), fakeKernel(), [], []];
  const directory = createDirectory();
  directory.learn({ program: { places: new Map(places.map((one) => [placeKey(one), one])) }, rules: new Map([[4, rule as never]]), changed: nothingChanged });
  const door = broker.connect('door');
  await door.listen('osier.connections.*', ({ subject, data }) => {
    expect(subject).toBe('osier.connections.node-1');
    sizes.push(data.byteLength);
    parts.push(connectionsPartSchema.parse(JSON.parse(new TextDecoder().decode(data))));
  });
  running = await startConnections({ kernel, bus: broker.connect('agent'), node: 'node-1', log: silent, now: o.now ?? Date.now, directory, ready: () => o.ready ?? true });
  const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
  return (asked: Partial<typeof scope> & { id?: string; most?: number } = {}) => door.tell('osier.ask.connections.node-1', new TextEncoder().encode(JSON.stringify({ id, ...scope, most: limits.connectionsPerAnswer + 1, ...asked })));
}
const answered = async (count = 1): Promise<ConnectionsPart[]> => {
  for (const until = Date.now() + 5_000; parts.filter(({ last }) => last).length < count && Date.now() < until; ) await sleep(5);
  return parts;
};
const boot = (): bigint => process.hrtime.bigint();
const ago = (ms: number): bigint => boot() - BigInt(ms) * 1_000_000n;
const hold = (rd: number, port: number, entry: Partial<ConntrackEntry> = {}, protocol = 6): void =>
  kernel.hold({ low: mapped16('10.0.0.1'), high: mapped16('10.0.0.2'), lowPort: port, highPort: 80, rd, protocol }, {
    firstSeen: ago(60_000), lastSeen: ago(1_000), packets: [5n, 4n], bytes: [500n, 4000n], revision: 12n, network: 1, egressRule: 0, ingressRule: 4, sourceIfindex: 11, policyPort: 80, state: ConntrackState.established, ...entry,
  });

describe('a node that is asked for its connections', () => {
  it('tells those that are live in the environments asked for, in the words of flow records', async () => {
    const ask = await start();
    hold(staging, 40_000);
    hold(production, 40_000);
    hold(99, 40_000);
    await ask();
    const [part] = await answered();
    expect(parts).toHaveLength(1);
    expect(part).toMatchObject({ id, node: 'node-1', part: 0, last: true, notTold: 0 });
    expect(part?.connections).toEqual([{
      domain: 'acme', project: 'shop', environment: 'staging', network: 'main', protocol: 'TCP', state: 'established',
      source: { address: '10.0.0.1', port: 40_000, endpoint: 'acme/shop/staging/e1' }, destination: { address: '10.0.0.2', port: 80, endpoint: 'acme/shop/staging/e2' },
      since: expect.any(String), lastPacketAt: expect.any(String), packets: { forward: 5, reply: 4 }, bytes: { forward: 500, reply: 4000 }, revision: 12,
      decisions: [{ direction: 'ingress', policy: 'acme/shop/staging/closed', policyId: 'p', rule: 'web' }],
    }]);
    expect(Math.abs(Date.parse(part?.connections[0]?.since ?? '') - (Date.now() - 60_000))).toBeLessThan(5_000);
  });

  it('says that its rules deny it, and how long they let it go on', async () => {
    const ask = await start();
    hold(staging, 40_000, { sparedUntil: 2n ** 64n - 1n });
    hold(staging, 40_001, { sparedUntil: ago(-30_000) });
    await ask();
    const told = (await answered()).flatMap(({ connections }) => connections).sort((a, b) => a.source.port - b.source.port).map(({ spared }) => spared);
    expect(told).toEqual([{}, { until: expect.any(String) }]);
    expect(Math.abs(Date.parse(told[1]?.until ?? '') - (Date.now() + 30_000))).toBeLessThan(5_000);
  });

  it('names as the source who began it, and asks of an echo what a rule would be asked', async () => {
    const ask = await start();
    hold(staging, 80, { initiatorHigh: 1, policyPort: 80 });
    hold(staging, 1234, { policyPort: 0x0800 }, 1);
    await ask({ environment: '_', project: '_', domain: '_' });
    expect((await answered())[0]?.connections.map(({ source, destination, protocol }) => `${protocol} ${source.address}:${source.port} ${destination.address}:${destination.port}`).sort()).toEqual(['ICMP 10.0.0.1:1234 10.0.0.2:2048', 'TCP 10.0.0.2:80 10.0.0.1:80']);
  });

  it.each<[string, boolean, Partial<ConntrackEntry>, number?]>([
    ['that has just begun', true, { state: ConntrackState.new, packets: [1n, 0n] }],
    ['of which one side is done', true, { state: ConntrackState.closing, fins: 1 }],
    ['that is silent for an hour', true, { lastSeen: -3_600_000n }],
    ['that is silent for seven hours', false, { lastSeen: -25_200_000n }],
    ['that nobody has answered for two minutes', false, { state: ConntrackState.new, packets: [1n, 0n], lastSeen: -120_000n }],
    ['that both have closed', false, { state: ConntrackState.closed, fins: 3 }],
    ['that a newer world denies', false, { state: ConntrackState.revoked }],
    ['whose end has been told', false, { ended: 1 }],
    ['of UDP that is silent for a minute', true, { lastSeen: -60_000n }, 17],
    ['of UDP that is silent for four', false, { lastSeen: -240_000n }, 17],
    ['of UDP that nobody has answered for a minute', false, { state: ConntrackState.new, lastSeen: -60_000n }, 17],
    ['of SCTP that is silent for an hour', true, { lastSeen: -3_600_000n }, 132],
    ['of an echo that was answered a minute ago', false, { lastSeen: -60_000n }, 1],
  ])('one %s: %p', async (_what, live, { lastSeen, ...entry }, protocol = 6) => {
    const ask = await start();
    hold(staging, 40_000, { ...entry, ...(lastSeen === undefined ? {} : { lastSeen: ago(Number(-lastSeen)) }) }, protocol);
    await ask();
    expect((await answered()).flatMap(({ connections }) => connections)).toHaveLength(live ? 1 : 0);
  });

  it('keeps to the timeouts that the kernel is set to', async () => {
    const ask = await start();
    kernel.configure({ tcpEstablished: 500 });
    hold(staging, 40_000);
    await ask();
    expect((await answered())[0]).toMatchObject({ connections: [], last: true });
  });

  it('tells as many as an answer may hold, in messages that the bus takes, and counts the others once over all nodes', async () => {
    const ask = await start();
    const more = 30;
    for (let i = 0; i < limits.connectionsPerAnswer + more; i++) hold(staging, 1_000 + i, i % 2 === 0 ? {} : { sourceIfindex: 0, destinationIfindex: 12 });
    await ask();
    await answered();
    expect(parts.flatMap(({ connections }) => connections)).toHaveLength(limits.connectionsPerAnswer);
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.map(({ last, notTold }) => (last ? notTold : 0))).toEqual([...parts.slice(1).map(() => 0), more / 2]);
    expect(Math.max(...sizes)).toBeLessThan(serverLimits.maxPayload);
    parts.length = 0;
    for (const rd of [staging]) kernel.forget(rd, mapped16('10.0.0.1'));
    for (let i = 0; i < limits.connectionsPerAnswer; i++) hold(staging, 1_000 + i);
    await ask();
    await answered();
    expect([parts.flatMap(({ connections }) => connections).length, parts.at(-1)?.notTold]).toEqual([limits.connectionsPerAnswer, 0]);
  }, 20_000);

  it('tells no more than it is asked for', async () => {
    const ask = await start();
    for (let i = 0; i < 5; i++) hold(staging, 1_000 + i);
    await ask({ most: 2 });
    expect((await answered()).map(({ connections, notTold }) => [connections.length, notTold])).toEqual([[2, 3]]);
  });

  it('lets other work have its turn in between', async () => {
    const ask = await start();
    for (let i = 0; i < 10_000; i++) hold(production, 1_000 + i);
    let turns = 0;
    const count = (): void => void (parts.length === 0 && (turns++, setImmediate(count)));
    await ask();
    count();
    await answered();
    expect(turns).toBeGreaterThan(8);
  });

  it('does not answer what is no question, nor before it knows what its numbers stand for', async () => {
    const ask = await start({ ready: false });
    hold(staging, 40_000);
    await ask();
    await sleep(50);
    expect(parts).toEqual([]);
    await running?.stop();
    const other = await start();
    await other({ id: '*' });
    await other({ environment: 'a.b' });
    await sleep(50);
    expect(parts).toEqual([]);
  });

  it('answers one after the other, leaves those that are too many, and those whose asker has gone', async () => {
    let late = 0;
    const ask = await start({ now: () => Date.now() + late });
    hold(staging, 40_000);
    for (let i = 0; i < limits.connectionsWaiting + 5; i++) await ask();
    await answered(limits.connectionsWaiting);
    await sleep(50);
    // The first is being answered while others wait.
    expect(parts.length).toBeGreaterThanOrEqual(limits.connectionsWaiting);
    expect(parts.length).toBeLessThan(limits.connectionsWaiting + 5);
    parts.length = 0;
    const { connections } = kernel;
    kernel.connections = function* (wanted) {
      yield* connections(wanted);
      late = limits.connectionsAnswerMs + 1_000;
    };
    for (let i = 0; i < 3; i++) await ask();
    await sleep(100);
    expect(parts).toHaveLength(1);
  });
});
