/** What someone on the underlay, on the host, or in a workload might try, with real packets; and an agent that restarts meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Action, Direction } from '../src/records.gen.ts';
import { lookInside } from '../src/witness/witness.ts';
import { address, type Endpoint, Lab, type Node, PORT, run, Workload } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const RED = 201;
const BLUE = 202;
const INNER_PORT = 5353;

let lab: Lab;
let one: Node;
let two: Node;
let a: Endpoint;
let b: Endpoint;
let c: Endpoint;
let stranger: Workload;
let insideOne: Workload;

beforeAll(async () => {
  lab = new Lab();
  const [first, second, third] = lab.nodes(3) as [Node, Node, Node];
  [one, two] = [first, second];
  one.overlay();
  two.overlay();
  a = one.add({ rd: RED, network: 1, ip: '10.2.0.1', number: 1 });
  b = one.add({ rd: BLUE, network: 2, ip: '10.2.0.2', number: 2 });
  c = two.add({ rd: RED, network: 1, ip: '10.2.0.3', number: 3 });
  one.learn(two, c);
  two.learn(one, a);
  one.allowAll(a.number);
  one.allowAll(b.number);
  two.allowAll(c.number);
  one.kernel.flip(1n);
  two.kernel.flip(1n);
  // the third node's namespace plays an address on the underlay that is no node
  stranger = lab.own(new Workload(third.netns));
  insideOne = lab.own(new Workload(one.netns));
  await c.workload.ask({ kind: 'tcp-listen', port: 80 });
  await c.workload.ask({ kind: 'tally', port: INNER_PORT });
}, 30_000);

afterAll(async () => {
  await lab?.close();
}, 30_000);

function vxlan(vni: number, from: string, to: string, ttl = 64): number[] {
  const host = { ip: from, mac: Uint8Array.of(2, 0, 0, 0, 9, 9) };
  const inner = p.ipv4({ from: host, to, ttl }, p.UDP, p.udpBytes(from, to, 999, INNER_PORT, 'forged'));
  return [8, 0, 0, 0, vni >> 16, (vni >> 8) & 0xff, vni & 0xff, 0, ...inner];
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const arrivals = async (endpoint: Endpoint) => Number((await endpoint.workload.ask({ kind: 'tallied' })).text);

/** Sends one encapsulated packet to node two and says what it was dropped for, and how many arrived. */
async function forge(from: Workload, vni: number, source: string, destination: string, ttl?: number): Promise<{ dropped: string[]; arrived: number }> {
  await arrivals(c);
  const before = two.kernel.drops();
  await from.ask({ kind: 'datagrams', host: two.tunnel, port: PORT, bytes: vxlan(vni, source, destination, ttl) });
  const seen = { dropped: [] as string[], arrived: 0 };
  for (const end = Date.now() + 3000; Date.now() < end && seen.dropped.length + seen.arrived === 0; ) {
    await pause(20);
    const after = two.kernel.drops();
    const names = Object.keys(after) as (keyof typeof after)[];
    seen.dropped = names.filter((name) => after[name].packets > before[name].packets);
    seen.arrived = await arrivals(c);
  }
  return seen;
}

describe('on the underlay', () => {
  it('the node itself is heard (so that the refusals below mean something)', async () => {
    expect(await forge(insideOne, RED, a.ip, c.ip)).toEqual({ dropped: [], arrived: 1 });
  });

  it.each<[string, () => Workload, number, string, string, string]>([
    ['an address that is no node, with a source that lives on another', () => stranger, RED, '10.2.0.1', '10.2.0.3', 'spoofed_tunnel'],
    ['a node, with a source that lives where the packet goes', () => insideOne, RED, '10.2.0.3', '10.2.0.3', 'spoofed_tunnel'],
    ['a node, with a source that nobody knows', () => insideOne, RED, '10.2.0.99', '10.2.0.3', 'unknown_peer'],
    ['a node, with a routing domain that nobody knows', () => insideOne, 999, '10.2.0.1', '10.2.0.3', 'unknown_peer'],
    ['a node, with an address of another routing domain', () => insideOne, BLUE, '10.2.0.1', '10.2.0.3', 'unknown_peer'],
    ['a node, for an unknown destination', () => insideOne, RED, '10.2.0.1', '10.2.0.98', 'unknown_destination'],
    ['a node, for a destination that is not here', () => insideOne, RED, '10.2.0.1', '10.2.0.1', 'not_local'],
  ])('%s is not heard', async (_name, from, vni, source, destination, reason) => {
    expect(await forge(from(), vni, source, destination)).toEqual({ dropped: [reason], arrived: 0 });
  });

  it('a node, with a packet that has no hop left, is not heard', async () => {
    expect(await forge(insideOne, RED, a.ip, c.ip, 0)).toEqual({ dropped: ['ttl_exceeded'], arrived: 0 });
  });
});

describe('on the host', () => {
  it('nothing reaches a workload past the programs', async () => {
    run('ip', '-n', one.netns, 'route', 'add', `${a.ip}/32`, 'dev', a.hostName);
    run('ip', '-n', one.netns, 'neigh', 'add', a.ip, 'lladdr', '02:00:00:00:00:01', 'dev', a.hostName);
    const before = one.drop('sealed');
    await a.workload.ask({ kind: 'tally', port: INNER_PORT });
    await insideOne.ask({ kind: 'datagrams', host: a.ip, port: INNER_PORT, bytes: [1, 2, 3] });
    await pause(100);
    expect(await arrivals(a)).toBe(0);
    expect(one.drop('sealed')).toBe(before + 1);
  });
});

describe('while an agent restarts', () => {
  it('a transfer does not stall and no denied packet passes', async () => {
    one.rule(a.number, c.number, Direction.egress, 9, Action.deny, { protocol: p.UDP, port: INNER_PORT });
    const ms = 3000;
    await arrivals(c);
    const knocking = a.workload.ask({ kind: 'datagrams', host: c.ip, port: INNER_PORT, bytes: [1], count: ms / 3, every: 2 });
    const streaming = a.workload.ask({ kind: 'stream', host: c.ip, port: 80, ms });
    for (let restarts = 0; restarts < 3; restarts++) {
      await pause(500);
      one.restart();
    }
    const { bytes, gap } = JSON.parse((await streaming).text) as { bytes: number; gap: number };
    expect(gap).toBeLessThan(1000);
    expect(bytes).toBeGreaterThan(5_000_000);
    expect(Number((await knocking).text)).toBe(ms / 3);
    await pause(100);
    expect(await arrivals(c)).toBe(0);
  }, 15_000);
});

describe('a device that someone damaged', () => {
  const inside = () => lookInside(`/run/netns/${a.netns}`, 'eth0');

  it('is seen by the witness, what it holds and what it lost', () => {
    const whole = { up: true, mac: [...a.mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':'), addresses: [`${a.ip}/32`], defaultRoute: true };
    expect(inside()).toEqual(whole);
    run('ip', '-n', a.netns, 'route', 'del', 'default');
    expect(inside()).toEqual({ ...whole, defaultRoute: false });
    run('ip', '-n', a.netns, 'route', 'add', 'default', 'via', '169.254.1.1', 'dev', 'eth0');
    expect(inside()).toEqual(whole);
    expect(lookInside(`/run/netns/${a.netns}`, 'eth7')).toBeUndefined();
    expect(() => lookInside('/run/netns/nobody', 'eth0')).toThrow(expect.objectContaining({ code: 'read-back-failed', path: '/run/netns/nobody' }));
  });

  it('is repaired by the next ensureVeth', async () => {
    run('tc', '-n', one.netns, 'qdisc', 'del', 'dev', a.hostName, 'clsact');
    run('ip', '-n', a.netns, 'route', 'flush', 'table', 'main');
    run('ip', '-n', a.netns, 'addr', 'flush', 'dev', 'eth0');
    expect(inside()).toMatchObject({ up: true, addresses: [], defaultRoute: false });
    expect((await a.workload.ask({ kind: 'ping', host: c.ip, timeout: 200 })).ok).toBe(false);
    const options = { hostName: a.hostName, netnsPath: `/run/netns/${a.netns}`, peerName: 'eth0', mtu: 1450, mac: a.mac };
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...p.quad(a.ip));
    expect(one.kernel.links.ensureVeth({ ...options, address: mapped })).toBe(a.ifindex);
    expect(inside()).toMatchObject({ addresses: [`${a.ip}/32`], defaultRoute: true });
    expect((await a.workload.ask({ kind: 'ping', host: c.ip, timeout: 500 })).ok).toBe(true);
  });

  it('cannot be made where the workload has one of that name, and that is said in words', () => {
    const options = { hostName: 'osrtaken', netnsPath: `/run/netns/${a.netns}`, mtu: 1450, mac: a.mac, address: address('10.2.0.9') };
    const refusal = (message: string) => expect.objectContaining({ code: 'link-failed', reason: expect.stringMatching(message) });
    expect(() => one.kernel.links.prepareVeth({ ...options, peerName: 'lo' })).toThrow(refusal('^a device or an address of that name is there already \\[EEXIST'));
  });

  it('is made anew when the workload lost its side', () => {
    run('ip', '-n', a.netns, 'link', 'del', 'eth0');
    const options = { hostName: a.hostName, netnsPath: `/run/netns/${a.netns}`, peerName: 'eth0', mtu: 1450, mac: a.mac };
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...p.quad(a.ip));
    expect(one.kernel.links.ensureVeth({ ...options, address: mapped })).not.toBe(a.ifindex);
    expect(run('ip', '-n', a.netns, '-o', 'addr', 'show', 'dev', 'eth0')).toContain(`inet ${a.ip}/32`);
  });
});
