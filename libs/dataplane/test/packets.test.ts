/** Real packets between namespaces: one node, then two nodes across VXLAN, in two routing domains with equal addresses. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Action, Direction, DropReason, EndedBy, FlowKind } from '../src/records.gen.ts';
import { type Endpoint, Lab, type Node } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const RED = 101;
const BLUE = 102;
const TCP = 6;

let lab: Lab;
let one: Node;
let two: Node;
/** Two worlds with the same addresses: a and b on node one, c on node two. */
const red = {} as Record<'a' | 'b' | 'c', Endpoint>;
const blue = {} as Record<'a' | 'b' | 'c', Endpoint>;

beforeAll(async () => {
  lab = new Lab();
  [one, two] = lab.nodes(2) as [Node, Node];
  one.overlay();
  two.overlay();
  for (const [world, rd, base] of [[red, RED, 10], [blue, BLUE, 20]] as const) {
    world.a = one.add({ rd, network: rd, ip: '10.1.0.1', number: base + 1 });
    world.b = one.add({ rd, network: rd, ip: '10.1.0.2', number: base + 2 });
    world.c = two.add({ rd, network: rd, ip: '10.1.0.3', number: base + 3 });
    one.learn(two, world.c);
    two.learn(one, world.a);
    two.learn(one, world.b);
    for (const endpoint of [world.a, world.b]) one.allowAll(endpoint.number);
    two.allowAll(world.c.number);
  }
  one.kernel.flip(41n);
  two.kernel.flip(41n);
  for (const world of [red, blue]) {
    for (const endpoint of [world.b, world.c]) {
      await endpoint.workload.ask({ kind: 'tcp-listen', port: 80 });
      await endpoint.workload.ask({ kind: 'udp-listen', port: 53 });
    }
  }
}, 30_000);

afterAll(async () => {
  await lab?.close();
}, 30_000);

describe.each([
  ['on one node', '10.1.0.2'],
  ['across VXLAN', '10.1.0.3'],
])('%s', (_where, host) => {
  it('carries TCP', async () => {
    expect(await red.a.workload.ask({ kind: 'tcp', host, port: 80, text: 'hello', timeout: 2000 })).toEqual({ ok: true, text: 'hello' });
  });

  it('carries more than one segment', async () => {
    const text = 'x'.repeat(1400);
    expect(await red.a.workload.ask({ kind: 'tcp', host, port: 80, text, timeout: 2000 })).toEqual({ ok: true, text });
  });

  it('carries UDP', async () => {
    expect(await red.a.workload.ask({ kind: 'udp', host, port: 53, text: 'question', timeout: 2000 })).toEqual({ ok: true, text: 'question' });
  });

  it('carries ICMP echo and counts one hop', async () => {
    expect(await red.a.workload.ask({ kind: 'ping', host, timeout: 2000 })).toEqual({ ok: true, text: 'ttl 63' });
  });

  it('carries the refusal of a closed port', async () => {
    const answer = await red.a.workload.ask({ kind: 'tcp', host, port: 81, text: 'x', timeout: 2000 });
    expect(answer.text).toContain('ECONNREFUSED');
  });

  it('relates an ICMP error to its flow', async () => {
    const answer = await red.a.workload.ask({ kind: 'udp', host, port: 54, text: 'x', timeout: 2000 });
    expect(answer.text).toContain('ECONNREFUSED');
  });

  it('carries an SCTP association there and back, byte for byte', async () => {
    const server = host === '10.1.0.2' ? red.b : red.c;
    const across = async (from: Endpoint, to: Endpoint, ports: [number, number], ...types: number[]) => {
      const bytes = p.sctpBytes(...ports, types.flatMap((type) => p.chunk(type)), types[0] === p.INIT ? 0 : 7);
      await to.workload.ask({ kind: 'raw-heard', protocol: p.SCTP, timeout: 0 });
      expect(await from.workload.ask({ kind: 'raw', protocol: p.SCTP, host: to.ip, bytes })).toMatchObject({ ok: true });
      expect(await to.workload.ask({ kind: 'raw-heard', protocol: p.SCTP, timeout: 2000 })).toEqual({ ok: true, text: Buffer.from(bytes).toString('hex') });
    };
    await across(red.a, server, [40_132, 3868], p.INIT);
    await across(server, red.a, [3868, 40_132], p.INIT_ACK);
    await across(red.a, server, [40_132, 3868], p.COOKIE_ECHO, p.DATA);
    await across(server, red.a, [3868, 40_132], p.SHUTDOWN_COMPLETE);
    const end = await one.eventually((e) => e.kind === FlowKind.end && e.protocol === p.SCTP && e.destinationIfindex === (server === red.b ? red.b.ifindex : 0));
    expect(end).toMatchObject({ endedBy: EndedBy.fin, sourcePort: 40_132, destinationPort: 3868, packets: [2n, 2n] });
  });

  it('drops at the end of the TTL', async () => {
    const before = one.drop('ttl_exceeded');
    expect((await red.a.workload.ask({ kind: 'ping', host, ttl: 1, timeout: 200 })).ok).toBe(false);
    expect(one.drop('ttl_exceeded')).toBe(before + 1);
  });
});

describe('equal addresses in two routing domains', () => {
  it('reach the listener of their own world only', async () => {
    await red.c.workload.ask({ kind: 'tcp-listen', port: 7001 });
    await blue.c.workload.ask({ kind: 'tcp-listen', port: 7002 });
    const probe = (from: Endpoint, port: number) => from.workload.ask({ kind: 'tcp', host: '10.1.0.3', port, text: 'x', timeout: 1000 });
    expect((await probe(red.a, 7001)).ok).toBe(true);
    expect((await probe(blue.a, 7002)).ok).toBe(true);
    expect((await probe(red.a, 7002)).ok).toBe(false);
    expect((await probe(blue.a, 7001)).ok).toBe(false);
  });
});

describe('a denied pair', () => {
  it('loses every packet and is told with its rule and revision', async () => {
    one.rule(blue.a.number, blue.c.number, Direction.egress, 77, Action.deny, { protocol: TCP, port: 80 });
    const answer = await blue.a.workload.ask({ kind: 'tcp', host: '10.1.0.3', port: 80, text: 'x', timeout: 300 });
    expect(answer.ok).toBe(false);
    const event = await one.eventually((e) => e.kind === FlowKind.denied && e.rd === BLUE);
    expect(event).toMatchObject({ egressRule: 77, revision: 41n, reason: DropReason.policy_denied, destinationPort: 80 });
  });
});

describe('a denied port of SCTP', () => {
  it('is not heard, and is told', async () => {
    one.rule(blue.a.number, blue.c.number, Direction.egress, 78, Action.deny, { protocol: p.SCTP, port: 3868 });
    const heard = () => blue.c.workload.ask({ kind: 'raw-heard', protocol: p.SCTP, timeout: 300 });
    const send = (port: number) => blue.a.workload.ask({ kind: 'raw', protocol: p.SCTP, host: '10.1.0.3', bytes: p.sctpBytes(40_000, port, p.chunk(p.INIT), 0) });
    await heard();
    await send(3868);
    expect(await heard()).toMatchObject({ ok: false });
    await send(3869);
    expect(await heard()).toMatchObject({ ok: true });
    expect(await one.eventually((e) => e.kind === FlowKind.denied && e.protocol === p.SCTP)).toMatchObject({ egressRule: 78, destinationPort: 3868, reason: DropReason.policy_denied });
  });
});

describe('flow records', () => {
  it('tell the start and the end of a connection with what it carried', async () => {
    await red.a.workload.ask({ kind: 'tcp', host: '10.1.0.2', port: 80, text: 'counted', timeout: 2000, from: 40_001 });
    await one.eventually((e) => e.kind === FlowKind.start && e.sourcePort === 40_001);
    const end = await one.eventually((e) => e.kind === FlowKind.end && e.sourcePort === 40_001);
    expect(end).toMatchObject({ egressRule: 1, ingressRule: 2, endedBy: EndedBy.fin, revision: 41n });
    expect(end.packets[0]).toBeGreaterThanOrEqual(3n);
    expect(end.packets[1]).toBeGreaterThanOrEqual(2n);
  });
});

describe('a restart of the agent', () => {
  it('keeps a connection and every verdict', async () => {
    expect((await red.a.workload.ask({ kind: 'open', host: '10.1.0.3', port: 80 })).ok).toBe(true);
    one.restart();
    expect(one.kernel.restored).toBe(true);
    expect(await red.a.workload.ask({ kind: 'say', text: 'still here', timeout: 1000 })).toEqual({ ok: true, text: 'still here' });
    expect((await blue.a.workload.ask({ kind: 'tcp', host: '10.1.0.3', port: 80, text: 'x', timeout: 300 })).ok).toBe(false);
    expect(one.kernel.config().epoch).toBe(1);
  });
});
