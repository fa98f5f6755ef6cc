/** What a flow remembers: directions, ends, worlds that change under it, idleness. By test runs of the real programs. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Action, type ConfigRecord, ConntrackState, Direction, DropReason, EndedBy, FlowKind } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address } from './lab/lab.ts';
import * as p from './lab/packet.ts';

let bench: Bench;
let a: Place;
let b: Place;

beforeAll(() => {
  bench = new Bench();
});

beforeEach(() => {
  bench.reset();
  a = bench.local(7, 1, '10.0.0.1', 11);
  b = bench.local(7, 1, '10.0.0.2', 12);
  bench.rule(a, 0, Direction.egress, Action.allow, { rule: 1 });
  bench.rule(b, 0, Direction.ingress, Action.allow, { rule: 2 });
  bench.kernel.flip(100n);
});

afterAll(() => bench.close());

const CLIENT = 5000;
const forth = (flags: number) => bench.send(a, p.tcp({ from: a, to: b.ip }, CLIENT, 80, flags)).result;
const back = (flags: number) => bench.send(b, p.tcp({ from: b, to: a.ip }, 80, CLIENT, flags)).result;
const connect = () => [forth(p.SYN), back(p.SYN | p.ACK), forth(p.ACK)];
const state = () => bench.conntrack.list()[0]?.[1].state;
const endings = () => bench.events().filter((event) => event.kind === FlowKind.end);

/** Both of its columns, as after an agent's second write. */
function inWorld(change: () => void, revision: bigint): void {
  change();
  bench.kernel.flip(revision);
}

const pass = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('a connection', () => {
  it('lets the reply through where no policy allows the other way', () => {
    expect(connect()).toEqual(['passed', 'passed', 'passed']);
    expect(state()).toBe(ConntrackState.established);
    expect(bench.send(b, p.tcp({ from: b, to: a.ip }, 6000, 22)).result).toBe('policy_missing');
  });

  it('is told when it starts, with both rules and the revision', () => {
    forth(p.SYN);
    expect(bench.events()).toEqual([
      expect.objectContaining({
        kind: FlowKind.start,
        source: address(a.ip),
        destination: address(b.ip),
        sourcePort: CLIENT,
        destinationPort: 80,
        protocol: p.TCP,
        egressRule: 1,
        ingressRule: 2,
        revision: 100n,
        sourceIdentity: 11,
        destinationIdentity: 12,
        sourceIfindex: a.ifindex,
        destinationIfindex: b.ifindex,
        rd: 7,
        network: 1,
      }),
    ]);
  });

  it('is told once when both sides have said FIN, with what it carried', () => {
    connect();
    forth(p.FIN | p.ACK);
    expect(state()).toBe(ConntrackState.closing);
    back(p.FIN | p.ACK);
    expect(forth(p.ACK)).toBe('passed');
    expect(state()).toBe(ConntrackState.closed);
    expect(endings()).toEqual([expect.objectContaining({ endedBy: EndedBy.fin, packets: [3n, 2n], bytes: [120n, 80n], sourcePort: CLIENT })]);
  });

  it('ends with a RST from either side', () => {
    connect();
    expect(back(p.RST)).toBe('passed');
    expect(endings()).toEqual([expect.objectContaining({ endedBy: EndedBy.rst })]);
  });

  it('that has ended begins anew with a SYN', () => {
    connect();
    back(p.RST);
    bench.events();
    expect(forth(p.SYN)).toBe('passed');
    expect(state()).toBe(ConntrackState.new);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.start })]);
  });

  it('lends nothing to a SYN of the other side', () => {
    connect();
    expect(back(p.SYN)).toBe('policy_missing');
    expect(forth(p.ACK)).toBe('passed');
  });

  it('that is closing lends nothing to a SYN of the other side', () => {
    connect();
    forth(p.FIN | p.ACK);
    expect(back(p.SYN)).toBe('policy_missing');
  });

  it('is picked up in the middle when its entry is lost', () => {
    connect();
    bench.kernel.forget(7, address(a.ip));
    expect(forth(p.ACK)).toBe('passed');
    expect(back(p.ACK)).toBe('passed');
  });
});

describe('an SCTP association (RFC 9260)', () => {
  const there = (...chunks: number[]) => bench.send(a, p.sctp({ from: a, to: b.ip }, CLIENT, 3868, ...chunks)).result;
  const here = (...chunks: number[]) => bench.send(b, p.sctp({ from: b, to: a.ip }, 3868, CLIENT, ...chunks)).result;
  const associate = () => [there(p.INIT), here(p.INIT_ACK), there(p.COOKIE_ECHO, p.DATA)];

  it('is opened by an INIT, and established when both sides were seen', () => {
    expect(there(p.INIT)).toBe('passed');
    expect(state()).toBe(ConntrackState.new);
    expect(here(p.INIT_ACK)).toBe('passed');
    expect(state()).toBe(ConntrackState.established);
    expect(here(p.DATA)).toBe('passed');
    expect(bench.send(b, p.sctp({ from: b, to: a.ip }, 6000, 22, p.INIT)).result).toBe('policy_missing');
  });

  it('is told when it starts, by its own number', () => {
    there(p.INIT);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.start, protocol: p.SCTP, sourcePort: CLIENT, destinationPort: 3868, egressRule: 1, ingressRule: 2 })]);
  });

  it.each([
    ['a SHUTDOWN COMPLETE of the one who began', () => there(p.SHUTDOWN_COMPLETE), EndedBy.fin],
    ['a SHUTDOWN COMPLETE of the other side', () => here(p.SHUTDOWN_COMPLETE), EndedBy.fin],
    ['an ABORT', () => here(p.ABORT), EndedBy.rst],
    ['an ABORT behind other chunks', () => there(p.COOKIE_ECHO, p.ABORT), EndedBy.rst],
  ])('ends with %s', (_name, end, endedBy) => {
    associate();
    expect(end()).toBe('passed');
    expect(state()).toBe(ConntrackState.closed);
    expect(endings()).toEqual([expect.objectContaining({ endedBy, protocol: p.SCTP })]);
  });

  it('that was aborted begins anew with an INIT', () => {
    associate();
    here(p.ABORT);
    bench.events();
    expect(there(p.INIT)).toBe('passed');
    expect(state()).toBe(ConntrackState.new);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.start })]);
  });

  it('goes on when its own side starts it again (5.2.2)', () => {
    associate();
    bench.events();
    expect([there(p.INIT), here(p.INIT_ACK)]).toEqual(['passed', 'passed']);
    expect([state(), bench.events()]).toEqual([ConntrackState.established, []]);
  });

  it('lends nothing to an INIT from where none may come', () => {
    associate();
    expect(here(p.INIT)).toBe('policy_missing');
    expect(there(p.DATA)).toBe('passed');
    here(p.ABORT);
    expect(here(p.INIT)).toBe('policy_missing');
  });

  it('is picked up in the middle when its entry is lost, in its own direction, as TCP is', () => {
    associate();
    bench.kernel.forget(7, address(a.ip));
    expect(here(p.DATA)).toBe('policy_missing');
    expect([there(p.DATA), here(p.DATA)]).toEqual(['passed', 'passed']);
  });

  it('is ended by a world that denies it, and does not live again in a later one without an INIT', () => {
    associate();
    inWorld(() => bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9, protocol: p.SCTP, port: 3868 }), 101n);
    expect([here(p.DATA), there(p.DATA)]).toEqual(['policy_denied', 'policy_denied']);
    inWorld(() => bench.kernel.policy.remove([{ prefixlen: 96, policy: 11, peer: 12, direction: Direction.egress, protocol: p.SCTP, port: 3868 }]), 102n);
    expect(there(p.DATA)).toBe('policy_denied');
    expect([there(p.INIT), here(p.INIT_ACK)]).toEqual(['passed', 'passed']);
  });

  it('gets the ICMP errors that are about it, and no others', () => {
    associate();
    const about = (port: number, protocol: number) => ({ from: a.ip, to: b.ip, protocol, payload: p.sctpBytes(CLIENT, port, p.chunk(p.DATA)) });
    const error = (original: Parameters<typeof p.icmpError>[2]) => bench.send(b, p.icmpError({ from: b, to: a.ip }, 3, original)).result;
    expect([error(about(3868, p.SCTP)), error(about(3869, p.SCTP)), error(about(3868, p.TCP))]).toEqual(['passed', 'no_flow', 'no_flow']);
    expect(state()).toBe(ConntrackState.established);
  });

  it.each<[string, Partial<ConfigRecord>, () => void, EndedBy | undefined]>([
    ['an INIT without an answer', { sctpInit: 10 }, () => void there(p.INIT), EndedBy.timeout],
    ['an idle association', { sctpEstablished: 10 }, () => void associate(), EndedBy.timeout],
    ['an aborted one, told already', { sctpClosing: 10 }, () => void [associate(), here(p.ABORT)], undefined],
    ['one that was shut down, told already', { sctpClosing: 10 }, () => void [associate(), here(p.SHUTDOWN_COMPLETE)], undefined],
  ])('is removed after a time of its own: %s', (_name, timeouts, begin, endedBy) => {
    begin();
    bench.events();
    bench.kernel.configure({ tcpSyn: 10, tcpEstablished: 10, tcpClosing: 10, udpNew: 10, udpReplied: 10, icmp: 10 });
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    bench.kernel.configure(timeouts);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 1, revoked: 0 });
    expect(endings()).toEqual(endedBy === undefined ? [] : [expect.objectContaining({ endedBy })]);
  });
});

describe('UDP and ICMP', () => {
  it('replies pass without a policy of their own', () => {
    expect(bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)).result).toBe('passed');
    expect(bench.send(b, p.udp({ from: b, to: a.ip }, 53, 9)).result).toBe('passed');
    expect(bench.send(b, p.udp({ from: b, to: a.ip }, 54, 9)).result).toBe('policy_missing');
  });

  it('an echo reply passes for the id that was asked', () => {
    expect(bench.send(a, p.icmp({ from: a, to: b.ip }, 8, 77)).result).toBe('passed');
    expect(bench.send(b, p.icmp({ from: b, to: a.ip }, 0, 77)).result).toBe('passed');
    expect(bench.send(b, p.icmp({ from: b, to: a.ip }, 0, 78)).result).toBe('no_flow');
  });

  it('an echo request of the other side is judged on its own', () => {
    bench.send(a, p.icmp({ from: a, to: b.ip }, 8, 77));
    expect(bench.send(b, p.icmp({ from: b, to: a.ip }, 8, 77)).result).toBe('policy_missing');
  });
});

describe('an ICMP error', () => {
  const about = (port: number) => ({ from: a.ip, to: b.ip, protocol: p.UDP, payload: p.udpBytes(a.ip, b.ip, 9, port) });
  const error = (type: number, original: Parameters<typeof p.icmpError>[2]) =>
    bench.send(b, p.icmpError({ from: b, to: a.ip }, type, original)).result;

  beforeEach(() => void bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)));

  it.each([3, 11, 12])('of type %i passes for a flow that exists', (type) => {
    expect(error(type, about(53))).toBe('passed');
  });

  it.each([
    ['about no flow', () => about(54)],
    ['about a flow between others', () => ({ ...about(53), from: '10.0.0.3' })],
    ['about a flow to another', () => ({ ...about(53), to: '10.0.0.3' })],
    ['about the same ports of another protocol', () => ({ ...about(53), protocol: p.TCP })],
  ])('%s is dropped', (_name, original) => {
    expect(error(3, original())).toBe('no_flow');
  });

  it('cut short is dropped', () => {
    const whole = p.icmpError({ from: b, to: a.ip }, 3, about(53));
    const short = p.ipv4({ from: b, to: a.ip }, p.ICMP, [...whole.subarray(34, 34 + 20)]);
    expect(bench.send(b, short).result).toBe('malformed');
  });

  it('about a flow that is now denied is dropped', () => {
    inWorld(() => bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9 }), 101n);
    expect(error(3, about(53))).toBe('policy_denied');
  });
});

describe('a new world', () => {
  const deny = () => bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9, rule: 66, protocol: p.TCP, port: 80 });
  const allow = () => bench.kernel.policy.remove([{ prefixlen: 96, policy: 11, peer: 12, direction: Direction.egress, protocol: p.TCP, port: 80 }]);

  it('ends a live connection that it denies, from both sides', () => {
    connect();
    inWorld(deny, 101n);
    expect([back(p.ACK), forth(p.ACK), back(p.ACK)]).toEqual(['policy_denied', 'policy_denied', 'policy_denied']);
    expect(state()).toBe(ConntrackState.revoked);
  });

  it('tells the end by policy once, and the denial with its rule and revision', () => {
    connect();
    bench.events();
    inWorld(deny, 101n);
    forth(p.ACK);
    forth(p.ACK);
    expect(bench.events()).toEqual([
      expect.objectContaining({ kind: FlowKind.end, endedBy: EndedBy.policy, revision: 100n }),
      expect.objectContaining({ kind: FlowKind.denied, egressRule: 66, revision: 101n, reason: DropReason.policy_denied }),
    ]);
  });

  it('names the rule in every later record of a connection that goes on knocking', () => {
    connect();
    inWorld(deny, 101n);
    forth(p.ACK);
    bench.kernel.configure({ denialRepeat: 10 });
    bench.events();
    pass(20);
    forth(p.ACK);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.denied, egressRule: 66, direction: Direction.egress })]);
  });

  it('lets a connection live that it still allows, under its own revision', () => {
    connect();
    inWorld(() => {}, 101n);
    expect(back(p.ACK)).toBe('passed');
    expect(bench.conntrack.list()[0]?.[1]).toMatchObject({ revision: 101n, epoch: bench.kernel.config().epoch });
  });

  it('does not let a revoked connection go on when a later one allows it, but a new SYN', () => {
    connect();
    inWorld(deny, 101n);
    forth(p.ACK);
    inWorld(allow, 102n);
    expect(forth(p.ACK)).toBe('policy_denied');
    expect([forth(p.SYN), back(p.SYN | p.ACK)]).toEqual(['passed', 'passed']);
  });

  it('lets UDP begin again when a later one allows it', () => {
    const ask = () => bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)).result;
    ask();
    inWorld(() => bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9 }), 101n);
    expect(ask()).toBe('policy_denied');
    inWorld(() => bench.kernel.policy.remove([{ prefixlen: 72, policy: 11, peer: 12, direction: Direction.egress, protocol: 0, port: 0 }]), 102n);
    expect(ask()).toBe('passed');
  });

  it('is seen whole: the column that is not current decides nothing', () => {
    const epoch = bench.kernel.config().epoch;
    const inactive = (epoch + 1) & 1;
    const policy: [number, number] = [11, 11];
    policy[inactive] = 99;
    bench.kernel.endpoints.put([[a.ifindex, { ...bench.endpointRecord(a), policy }]]);
    expect(forth(p.SYN)).toBe('passed');
    bench.kernel.flip(101n);
    expect(forth(p.ACK)).toBe('policy_missing');
  });

  it('without the address ends its flows', () => {
    connect();
    inWorld(() => bench.kernel.addresses.remove([{ rd: 7, address: address(a.ip) }]), 101n);
    expect(back(p.ACK)).toBe('unknown_destination');
    bench.kernel.collect();
    expect(endings()).toEqual([expect.objectContaining({ endedBy: EndedBy.policy })]);
  });
});

describe('denials', () => {
  it('are told at once, then counted, then told with their number', () => {
    bench.kernel.configure({ denialRepeat: 50 });
    const ask = (port: number) => bench.send(b, p.tcp({ from: b, to: a.ip }, port, 22)).result;
    expect([ask(1), ask(2), ask(3)]).toEqual(['policy_missing', 'policy_missing', 'policy_missing']);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.denied, repeats: 0, sourcePort: 1, reason: DropReason.policy_missing })]);
    pass(60);
    ask(4);
    expect(bench.events()).toEqual([expect.objectContaining({ repeats: 2, sourcePort: 4 })]);
  });

  it('are told by the collector when no more come: their number over all source ports, and so no port and no packet', () => {
    bench.kernel.configure({ denialRepeat: 50 });
    for (const port of [1, 2, 3]) bench.send(b, p.tcp({ from: b, to: a.ip }, port, 23));
    expect(bench.events()).toEqual([expect.objectContaining({ repeats: 0, sourcePort: 1, packets: [1n, 0n] })]);
    pass(60);
    bench.kernel.collect();
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.denied, repeats: 2, sourcePort: 0, destinationPort: 23, packets: [0n, 0n], reason: DropReason.policy_missing })]);
    bench.kernel.collect();
    expect(bench.events()).toEqual([]);
  });

  it('that are never repeated again are told by the collector', () => {
    bench.kernel.configure({ denialRepeat: 20 });
    const ask = () => bench.send(b, p.tcp({ from: b, to: a.ip }, 1, 22));
    ask();
    ask();
    bench.events();
    pass(30);
    bench.kernel.collect();
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.denied, repeats: 1, destinationPort: 22 })]);
    bench.kernel.collect();
    expect(bench.events()).toEqual([]);
  });

  it('of forged sources share one entry', () => {
    const forge = (ip: string) => bench.send(a, p.tcp({ from: { ip, mac: a.mac }, to: b.ip }, 1, 22)).result;
    expect([forge('10.3.0.1'), forge('10.3.0.2'), forge('10.3.0.3')]).toEqual(Array(3).fill('spoofed_source'));
    expect(bench.denials.list()).toHaveLength(1);
  });

  it('are not told when nobody wants them', () => {
    bench.kernel.configure({ recordFlags: 0 });
    bench.send(b, p.tcp({ from: b, to: a.ip }, 1, 22));
    expect(bench.events()).toEqual([]);
  });
});

describe('the collector', () => {
  const TIMES: [string, Partial<ConfigRecord>, () => void, EndedBy | undefined][] = [
    ['a SYN without an answer', { tcpSyn: 10 }, () => void forth(p.SYN), EndedBy.timeout],
    ['an idle connection', { tcpEstablished: 10 }, () => void connect(), EndedBy.timeout],
    ['a half-closed connection', { tcpEstablished: 10 }, () => void [connect(), forth(p.FIN)], EndedBy.timeout],
    ['a FIN without an answer', { tcpSyn: 10 }, () => void [forth(p.SYN), forth(p.FIN)], EndedBy.timeout],
    ['a connection closed by both, told already', { tcpClosing: 10 }, () => void [connect(), forth(p.FIN | p.ACK), back(p.FIN | p.ACK), bench.events()], undefined],
    ['a closed connection, told already', { tcpClosing: 10 }, () => void [connect(), forth(p.RST)], undefined],
    ['UDP without an answer', { udpNew: 10 }, () => void bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)), EndedBy.timeout],
    [
      'answered UDP',
      { udpReplied: 10 },
      () => void [bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)), bench.send(b, p.udp({ from: b, to: a.ip }, 53, 9))],
      EndedBy.timeout,
    ],
    ['an echo', { icmp: 10 }, () => void bench.send(a, p.icmp({ from: a, to: b.ip }, 8, 77)), EndedBy.timeout],
  ];

  it.each(TIMES)('removes %s after its time', (_name, timeouts, begin, endedBy) => {
    begin();
    bench.events();
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    bench.kernel.configure(timeouts);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 1, revoked: 0 });
    expect(bench.conntrack.list()).toEqual([]);
    expect(endings()).toEqual(endedBy === undefined ? [] : [expect.objectContaining({ endedBy })]);
  });

  it('keeps a half-closed connection, so that its other side may answer late', () => {
    bench.kernel.configure({ tcpClosing: 10, tcpSyn: 10 });
    connect();
    forth(p.FIN | p.ACK);
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    expect([back(p.ACK), back(p.FIN | p.ACK)]).toEqual(['passed', 'passed']);
  });

  it('ends an idle connection that the new world denies', () => {
    connect();
    bench.events();
    inWorld(() => bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9 }), 101n);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 1 });
    expect(endings()).toEqual([expect.objectContaining({ endedBy: EndedBy.policy })]);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
  });

  it('forgets an address on both sides of its flows, in its own domain only', () => {
    forth(p.SYN);
    bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53));
    expect(bench.kernel.forget(8, address(b.ip))).toBe(0);
    expect(bench.kernel.forget(7, address('10.0.0.3'))).toBe(0);
    bench.events();
    expect(bench.kernel.forget(7, address(b.ip))).toBe(2);
    expect(endings().map((event) => event.endedBy)).toEqual([EndedBy.removed, EndedBy.removed]);
    expect(bench.conntrack.list()).toEqual([]);
  });
});
