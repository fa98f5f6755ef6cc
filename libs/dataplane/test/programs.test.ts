/** Each packet's verdict, by test runs of the real programs on the real maps. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Action, Direction } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address } from './lab/lab.ts';
import * as p from './lab/packet.ts';

let bench: Bench;
let a: Place;
let b: Place;
let far: Place;
let other: Place;

beforeAll(() => {
  bench = new Bench();
});

beforeEach(() => {
  bench.reset();
  a = bench.local(7, 1, '10.0.0.1', 11);
  b = bench.local(7, 1, '10.0.0.2', 12);
  far = bench.remote(7, 1, '10.0.0.9', 19, '192.0.2.9');
  other = bench.local(7, 2, '10.0.9.1', 14);
  bench.allowAll(a, b, other);
  bench.kernel.flip(1n);
});

afterAll(() => bench.close());

const to = (from: Place, ip: string, rest: Partial<p.Ip> = {}): p.Ip => ({ from, to: ip, ...rest });

describe('delivery', () => {
  it('rewrites both MACs and the TTL and leaves every checksum right', () => {
    const { result, packet } = bench.send(a, p.tcp(to(a, b.ip), 4000, 80));
    expect(result).toBe('passed');
    expect(packet.subarray(0, 6)).toEqual(b.mac);
    expect(packet.subarray(6, 12)).toEqual(p.ROUTER);
    expect(packet[22]).toBe(63);
    expect(p.checksumsAreRight(packet)).toBe(true);
  });

  it.each([1, 2, 63, 64, 127, 128, 254, 255])('keeps the IP checksum right for a TTL of %i', (ttl) => {
    const { result, packet } = bench.send(a, p.udp(to(a, b.ip, { ttl }), 4000, 53));
    expect(result).toBe(ttl === 1 ? 'ttl_exceeded' : 'passed');
    if (ttl > 1) expect([packet[22], p.checksumsAreRight(packet)]).toEqual([ttl - 1, true]);
  });

  it.each([['an INIT', [p.INIT]], ['data', [p.COOKIE_ECHO, p.DATA, p.DATA]], ['more chunks than are read', Array<number>(40).fill(p.DATA)]])('carries %s of SCTP with its checksum', (_name, types) => {
    const { result, packet } = bench.send(a, p.sctp(to(a, b.ip), 4000, 3868, ...types));
    expect([result, packet[22], p.checksumsAreRight(packet)]).toEqual(['passed', 63, true]);
  });

  it('carries a last SCTP chunk whether or not it is padded (RFC 9260, 3.2)', () => {
    const bytes = p.sctpBytes(4000, 3868, p.chunk(p.DATA, Array<number>(14).fill(1)).slice(0, 18));
    expect(bench.send(a, p.ipv4(to(a, b.ip), p.SCTP, bytes)).result).toBe('passed');
  });

  it('carries the padding of a short frame, and does not count it', () => {
    const frame = p.udp(to(a, b.ip), 1, 2);
    expect(bench.send(a, Uint8Array.from([...frame, ...Array<number>(14).fill(0)])).result).toBe('passed');
    expect(bench.conntrack.list()[0]?.[1].bytes[0]).toBe(BigInt(frame.length - 14));
  });

  it('sends to another node through the overlay', () => {
    expect(bench.send(a, p.udp(to(a, far.ip), 1, 2)).result).toBe('passed');
  });

  it('drops for another node while there is no overlay', () => {
    bench.kernel.configure({ vxlanIfindex: 0 });
    expect(bench.send(a, p.udp(to(a, far.ip), 1, 2)).result).toBe('not_configured');
  });
});

describe('what never passes', () => {
  const sctp = (chunks: number[], tag?: number) => p.ipv4(to(a, b.ip), p.SCTP, p.sctpBytes(1, 2, chunks, tag));
  const thief = { ip: '10.0.0.2', mac: Uint8Array.of(2, 0, 0, 0, 7, 11) };
  it.each<[string, () => Uint8Array, string]>([
    ['a forged source address', () => p.tcp({ from: thief, to: far.ip }, 1, 2), 'spoofed_source'],
    ['a forged source MAC', () => p.tcp({ from: { ip: a.ip, mac: b.mac }, to: b.ip }, 1, 2), 'spoofed_source'],
    ['an unknown destination', () => p.tcp(to(a, '10.0.0.77'), 1, 2), 'unknown_destination'],
    ['a broadcast', () => p.udp(to(a, '255.255.255.255'), 68, 67), 'unknown_destination'],
    ['another network of the same domain', () => p.tcp(to(a, other.ip), 1, 2), 'no_connection'],
    ['a first fragment', () => p.udp(to(a, b.ip, { fragment: 0x2000 }), 1, 2), 'fragment'],
    ['a later fragment', () => p.udp(to(a, b.ip, { fragment: 0x0010 }), 1, 2), 'fragment'],
    ['IPv6', () => p.ethernet(a.mac, 0x86dd, Array<number>(60).fill(0)), 'ipv6'],
    ['LLDP', () => p.ethernet(a.mac, 0x88cc, Array<number>(60).fill(0)), 'ethertype'],
    ['a VLAN tag', () => p.ethernet(a.mac, 0x8100, Array<number>(60).fill(0)), 'ethertype'],
    ['GRE', () => p.ipv4(to(a, b.ip), 47, Array<number>(20).fill(0)), 'protocol'],
    ['DCCP', () => p.ipv4(to(a, b.ip), 33, Array<number>(20).fill(0)), 'protocol'],
    ['an ICMP redirect', () => p.icmp(to(a, b.ip), 5, 0, Array<number>(28).fill(0)), 'icmp_type'],
    ['an ICMP echo reply that nobody asked for', () => p.icmp(to(a, b.ip), 0, 9), 'no_flow'],
    ['a RST of no connection', () => p.tcp(to(a, b.ip), 1, 2, p.RST), 'no_flow'],
    ['an SCTP ABORT of no association', () => p.sctp(to(a, b.ip), 1, 2, p.ABORT), 'no_flow'],
    ['an SCTP SHUTDOWN COMPLETE of no association', () => p.sctp(to(a, b.ip), 1, 2, p.SHUTDOWN_COMPLETE), 'no_flow'],
    ['an SCTP header cut short', () => sctp([]).subarray(0, 14 + 20 + 11), 'malformed'],
    ['an SCTP packet without a chunk', () => sctp([]), 'malformed'],
    ['an SCTP chunk header cut short', () => sctp([...p.chunk(p.COOKIE_ECHO), 0, 0]), 'malformed'],
    ['an SCTP chunk shorter than its header', () => sctp(p.chunk(p.COOKIE_ECHO, [1, 2, 3, 4], 3)), 'malformed'],
    ['an SCTP chunk that its packet does not hold', () => sctp(p.chunk(p.COOKIE_ECHO, [1, 2, 3, 4], 9)), 'malformed'],
    ['a second SCTP chunk that its packet does not hold', () => sctp([...p.chunk(p.COOKIE_ECHO), ...p.chunk(p.DATA, [1], 99)]), 'malformed'],
    ['an SCTP INIT cut short', () => sctp(p.chunk(p.INIT, [0, 0, 0, 1]), 0), 'malformed'],
    ['an SCTP INIT with another chunk', () => p.sctp(to(a, b.ip), 1, 2, p.INIT, p.DATA), 'malformed'],
    ['an SCTP INIT behind another chunk', () => p.sctp(to(a, b.ip), 1, 2, p.COOKIE_ECHO, p.INIT), 'malformed'],
    ['an SCTP INIT ACK with another chunk', () => p.sctp(to(a, b.ip), 1, 2, p.INIT_ACK, p.DATA), 'malformed'],
    ['an SCTP INIT with a tag', () => sctp(p.chunk(p.INIT), 7), 'malformed'],
    ['SCTP without a tag that is no INIT', () => sctp(p.chunk(p.DATA), 0), 'malformed'],
    ['a length that ends in the SCTP header', () => p.sctp(to(a, b.ip, { length: 31 }), 1, 2, p.INIT), 'malformed'],
    ['a length that ends in the INIT', () => p.sctp(to(a, b.ip, { length: 51 }), 1, 2, p.INIT), 'malformed'],
    ['a TCP header cut short', () => p.ipv4(to(a, b.ip), p.TCP, Array<number>(13).fill(0)), 'malformed'],
    ['a UDP header cut short', () => p.ipv4(to(a, b.ip), p.UDP, [0, 1, 0, 2]), 'malformed'],
    ['an IP header of 16 bytes', () => p.udp(to(a, b.ip, { first: 0x44 }), 1, 2), 'malformed'],
    ['IP version 5', () => p.udp(to(a, b.ip, { first: 0x55 }), 1, 2), 'malformed'],
    ['a length beyond the packet', () => p.udp(to(a, b.ip, { length: 999 }), 1, 2), 'malformed'],
    ['a length of its IP header alone', () => p.tcp(to(a, b.ip, { length: 20 }), 1, 2), 'malformed'],
    ['a length less than its IP header', () => p.udp(to(a, b.ip, { length: 19 }), 1, 2), 'malformed'],
    ['a length that ends in the TCP header', () => p.tcp(to(a, b.ip, { length: 39 }), 1, 2), 'malformed'],
    ['a length that ends in the UDP header', () => p.udp(to(a, b.ip, { length: 27 }), 1, 2), 'malformed'],
    ['a length that ends in the ICMP header', () => p.icmp(to(a, b.ip, { length: 27 }), 8, 1), 'malformed'],
    ['an ICMP error whose length ends before what it is about', () => p.icmpError(to(a, b.ip, { length: 55 }), 3, { from: b.ip, to: a.ip, protocol: p.TCP, payload: p.tcpBytes(b.ip, a.ip, 1, 2, p.SYN) }), 'malformed'],
    ['IP options that its length does not hold', () => p.udp(to(a, b.ip, { first: 0x46, length: 28 }), 1, 2), 'malformed'],
    ['a length of zero', () => p.udp(to(a, b.ip, { length: 0 }), 1, 2), 'malformed'],
  ])('%s', (_name, packet, reason) => {
    expect(bench.send(a, packet()).result).toBe(reason);
  });

  it('anything from a device without an endpoint', () => {
    expect(bench.send(null, p.tcp(to(a, b.ip), 1, 2)).result).toBe('unknown_endpoint');
  });

  it('anything to an endpoint that is not active', () => {
    bench.kernel.endpoints.put([[b.ifindex, { ...bench.endpointRecord(b), flags: 0 }]]);
    expect(bench.send(a, p.tcp(to(a, b.ip), 1, 2)).result).toBe('stale_endpoint');
  });

  it('anything to a device that was given to another address', () => {
    bench.kernel.endpoints.put([[b.ifindex, { ...bench.endpointRecord(b), address: address('10.0.0.3') }]]);
    expect(bench.send(a, p.tcp(to(a, b.ip), 1, 2)).result).toBe('stale_endpoint');
  });

  it('anything that the host itself sends to a workload', () => {
    expect(bench.run('to_endpoint', p.tcp(to(a, b.ip), 1, 2)).result).toBe('sealed');
  });

  it('anything on the overlay device that did not come through a tunnel', () => {
    expect(bench.run('from_vxlan', p.tcp(to(a, b.ip), 1, 2)).result).toBe('malformed');
  });

  it('an address that is not part of the present world', () => {
    const identity: [number, number] = bench.kernel.config().epoch & 1 ? [12, 0] : [0, 12];
    const [, record] = bench.kernel.addresses.list().find(([key]) => key.address[15] === 2)!;
    bench.kernel.addresses.put([[{ rd: 7, address: address(b.ip) }, { ...record, identity }]]);
    expect(bench.send(a, p.tcp(to(a, b.ip), 1, 2)).result).toBe('unknown_destination');
  });
});

describe('ARP', () => {
  it.each(['169.254.1.1', '10.0.0.2', '8.8.8.8'])('answers for %s with the router', (target) => {
    const { result, packet } = bench.send(a, p.arp(a, target));
    expect(result).toBe('passed');
    expect([...packet]).toEqual([...a.mac, ...p.ROUTER, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, ...p.ROUTER, ...p.quad(target), ...a.mac, ...p.quad(a.ip)]);
  });

  it.each([
    ['for the asker’s own address', () => p.arp(a, a.ip), 'arp_ignored'],
    ['that are replies', () => p.arp(a, b.ip, { operation: 2 }), 'arp_ignored'],
    ['that claim another’s address', () => p.arp(a, '169.254.1.1', { sender: b.ip }), 'spoofed_source'],
    ['that claim another’s MAC', () => p.arp(a, '169.254.1.1', { senderMac: b.mac }), 'spoofed_source'],
    ['that are cut short', () => p.arp(a, b.ip).subarray(0, 34), 'malformed'],
  ])('does not answer packets %s', (_name, packet, reason) => {
    expect(bench.send(a, packet()).result).toBe(reason);
  });
});

describe('policy', () => {
  beforeEach(() => {
    bench.kernel.policy.remove(bench.kernel.policy.list().map(([key]) => key));
  });

  const ask = () => bench.send(a, p.tcp(to(a, b.ip), 5000, 80)).result;
  const { egress, ingress } = Direction;
  const { allow, deny } = Action;

  it('refuses without any entry', () => {
    expect(ask()).toBe('policy_missing');
  });

  it('needs both sides on one node', () => {
    bench.rule(a, 0, egress, allow);
    expect(ask()).toBe('policy_missing');
    bench.rule(b, 0, ingress, allow);
    expect(ask()).toBe('passed');
  });

  it('asks only the sender’s side for a peer on another node', () => {
    bench.rule(a, 0, egress, allow);
    expect(bench.send(a, p.tcp(to(a, far.ip), 5000, 80)).result).toBe('passed');
  });

  it.each([
    ['the exact peer over any peer when its precedence is higher', deny, 1, allow, 2, 'passed'],
    ['any peer over the exact one when its precedence is higher', deny, 3, allow, 2, 'policy_denied'],
    ['deny at a tie, any peer denying', deny, 2, allow, 2, 'policy_denied'],
    ['deny at a tie, the exact peer denying', allow, 2, deny, 2, 'policy_denied'],
  ])('takes %s', (_name, anyAction, anyPrecedence, exactAction, exactPrecedence, result) => {
    bench.rule(a, 0, egress, anyAction, { precedence: anyPrecedence });
    bench.rule(a, b, egress, exactAction, { precedence: exactPrecedence });
    bench.rule(b, 0, ingress, allow);
    expect(ask()).toBe(result);
  });

  it.each([
    ['every protocol', {}, 'passed'],
    ['the protocol', { protocol: p.TCP }, 'passed'],
    ['another protocol', { protocol: p.UDP }, 'policy_missing'],
    ['the port', { protocol: p.TCP, port: 80 }, 'passed'],
    ['another port', { protocol: p.TCP, port: 81 }, 'policy_missing'],
    ['ports 64 to 127', { protocol: p.TCP, port: 64, bits: 10 }, 'passed'],
    ['ports 128 to 191', { protocol: p.TCP, port: 128, bits: 10 }, 'policy_missing'],
  ])('matches by %s', (_name, match, result) => {
    bench.rule(a, b, egress, allow, match);
    bench.rule(b, 0, ingress, allow);
    expect(ask()).toBe(result);
  });

  it.each([
    ['SCTP', { protocol: p.SCTP }, 'passed'],
    ['its port', { protocol: p.SCTP, port: 3868 }, 'passed'],
    ['another port', { protocol: p.SCTP, port: 3869 }, 'policy_missing'],
    ['the same port of TCP', { protocol: p.TCP, port: 3868 }, 'policy_missing'],
  ])('matches an SCTP packet by %s', (_name, match, result) => {
    bench.rule(a, b, egress, allow, match);
    bench.rule(b, 0, ingress, allow);
    expect(bench.send(a, p.sctp(to(a, b.ip), 5000, 3868, p.INIT)).result).toBe(result);
  });

  it('keeps egress and ingress apart', () => {
    bench.rule(a, 0, ingress, allow);
    bench.rule(b, 0, egress, allow);
    expect(ask()).toBe('policy_missing');
  });

  it('sees type and code of ICMP as its port', () => {
    bench.rule(a, 0, egress, allow, { protocol: p.ICMP, port: 8 << 8 });
    bench.rule(b, 0, ingress, allow);
    expect(bench.send(a, p.icmp(to(a, b.ip), 8, 77)).result).toBe('passed');
  });
});

describe('equal addresses in two routing domains', () => {
  it('have policies and connections of their own', () => {
    const a8 = bench.local(8, 1, '10.0.0.1', 21);
    const b8 = bench.local(8, 1, '10.0.0.2', 22);
    expect(bench.send(a, p.tcp(to(a, b.ip), 5000, 80)).result).toBe('passed');
    expect(bench.send(b8, p.tcp(to(b8, a8.ip), 80, 5000, p.SYN | p.ACK)).result).toBe('policy_missing');
    bench.allowAll(a8, b8);
    const { result, packet } = bench.send(a8, p.tcp(to(a8, b8.ip), 5000, 80));
    expect([result, packet.subarray(0, 6)]).toEqual(['passed', b8.mac]);
    expect(bench.kernel.forget(7, address(a.ip))).toBe(1);
    expect(bench.kernel.forget(8, address(a.ip))).toBe(1);
  });

  it('reach nothing that only the other domain has', () => {
    const a8 = bench.local(8, 1, '10.0.0.1', 21);
    bench.allowAll(a8);
    expect(bench.send(a8, p.tcp(to(a8, b.ip), 5000, 80)).result).toBe('unknown_destination');
  });
});
