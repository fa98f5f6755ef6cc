/** What becomes of connections that were allowed and that a later world denies, by the grace of the rule that does. By test runs of the real programs. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Action, ConntrackState, Direction, DropReason, EndedBy, type FlowEvent, FlowKind, Grace, Verdict } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address, NONE } from './lab/lab.ts';
import * as p from './lab/packet.ts';

let bench: Bench;
let a: Place;
let b: Place;
let revision = 100n;

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
const SOON = 60;
const LONG = 60_000;
const forth = (flags: number, port = CLIENT) => bench.send(a, p.tcp({ from: a, to: b.ip }, port, 80, flags)).result;
const back = (flags: number) => bench.send(b, p.tcp({ from: b, to: a.ip }, 80, CLIENT, flags)).result;
const connect = () => [forth(p.SYN), back(p.SYN | p.ACK), forth(p.ACK)];
const entry = () => bench.conntrack.list()[0]?.[1];
const pass = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const row = (rule: number, grace: number): void =>
  bench.kernel.rules.put([[rule, { policyId: NONE, ruleIndex: 0, direction: Direction.egress, action: Action.deny, precedence: 1, grace }]]);
const flip = (): void => void bench.kernel.flip(++revision);
/** From now on, by a rule of this grace; undefined: one that no row tells of. */
function deny(grace: number | undefined, direction: Direction = Direction.egress, rule = 66): void {
  if (grace !== undefined) row(rule, grace);
  const [subject, peer] = direction === Direction.egress ? [a, b] : [b, a];
  bench.rule(subject, peer, direction, Action.deny, { precedence: 9, rule });
  flip();
}
function allow(direction: Direction = Direction.egress): void {
  const [policy, peer] = direction === Direction.egress ? [11, 12] : [12, 11];
  bench.kernel.policy.remove([{ prefixlen: 72, policy, peer, direction, protocol: 0, port: 0 }]);
  flip();
}
const told = (events: FlowEvent[]) => events.filter(({ kind }) => kind !== FlowKind.start);

describe('a live connection that is denied since', () => {
  it.each([['without a grace', Grace.none], ['of a rule that no row tells of', undefined]])('is cut: %s', (_what, grace) => {
    connect();
    deny(grace);
    expect([forth(p.ACK), back(p.ACK)]).toEqual(['policy_denied', 'policy_denied']);
    expect(entry()).toMatchObject({ state: ConntrackState.revoked, sparedUntil: 0n });
  });

  it('is kept, in both directions, until it ends by itself', () => {
    connect();
    deny(Grace.endless);
    expect([forth(p.ACK), back(p.ACK), forth(p.FIN | p.ACK), back(p.FIN | p.ACK)]).toEqual(['passed', 'passed', 'passed', 'passed']);
    expect(entry()?.state).toBe(ConntrackState.closed);
  });

  it('that is silent is kept by the collector until its own time is over', () => {
    connect();
    deny(Grace.endless);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    pass(20);
    bench.kernel.configure({ tcpEstablished: 10 });
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 1, revoked: 0 });
    expect(told(bench.events())).toEqual([expect.objectContaining({ kind: FlowKind.denied }), expect.objectContaining({ kind: FlowKind.end, endedBy: EndedBy.timeout, sparedUntil: 2n ** 64n - 1n })]);
  });

  it('drains: it goes on for its time, and is then cut by its next packet', () => {
    connect();
    deny(SOON);
    expect([forth(p.ACK), back(p.ACK)]).toEqual(['passed', 'passed']);
    pass(SOON + 20);
    expect([back(p.ACK), forth(p.ACK)]).toEqual(['policy_denied', 'policy_denied']);
    expect(entry()?.state).toBe(ConntrackState.revoked);
  });

  it('drains from when the collector finds it, and is cut by the collector where it is silent', () => {
    connect();
    bench.events();
    deny(SOON);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    pass(SOON + 20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 1 });
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    expect(bench.events().map(({ kind, endedBy }) => [kind, endedBy])).toEqual([[FlowKind.denied, EndedBy.not], [FlowKind.end, EndedBy.policy]]);
    expect(forth(p.ACK)).toBe('policy_denied');
  });

  it('is told when it is first spared, and at its end, with the rule that denies it', () => {
    connect();
    bench.events();
    deny(Grace.endless);
    forth(p.ACK);
    back(p.ACK);
    flip();
    forth(p.ACK);
    back(p.RST);
    expect(bench.events()).toEqual([
      expect.objectContaining({ kind: FlowKind.denied, verdict: Verdict.allowed, reason: DropReason.policy_denied, egressRule: 66, ingressRule: 0, direction: Direction.egress, sourcePort: CLIENT, sparedUntil: 2n ** 64n - 1n }),
      expect.objectContaining({ kind: FlowKind.end, endedBy: EndedBy.rst, verdict: Verdict.allowed, reason: DropReason.none, egressRule: 66, sparedUntil: 2n ** 64n - 1n }),
    ]);
  });

  it('that drains is told until when, and cut with the same rule', () => {
    connect();
    bench.events();
    deny(SOON);
    forth(p.ACK);
    const [first] = bench.events();
    expect(Number((first?.sparedUntil ?? 0n) - (first?.time ?? 0n))).toBe(SOON * 1_000_000);
    pass(SOON + 20);
    forth(p.ACK);
    expect(bench.events()).toEqual([
      expect.objectContaining({ kind: FlowKind.end, endedBy: EndedBy.policy, egressRule: 66, sparedUntil: first?.sparedUntil }),
      expect.objectContaining({ kind: FlowKind.denied, verdict: Verdict.denied, egressRule: 66, direction: Direction.egress, sparedUntil: 0n }),
    ]);
  });

  it('is UDP, or an echo, as well', () => {
    const ask = () => [bench.send(a, p.udp({ from: a, to: b.ip }, 9, 53)).result, bench.send(a, p.icmp({ from: a, to: b.ip }, 8, 77)).result];
    ask();
    deny(Grace.endless);
    expect(ask()).toEqual(['passed', 'passed']);
    expect([bench.send(b, p.udp({ from: b, to: a.ip }, 53, 9)).result, bench.send(b, p.icmp({ from: b, to: a.ip }, 0, 77)).result]).toEqual(['passed', 'passed']);
    expect([bench.send(a, p.udp({ from: a, to: b.ip }, 10, 53)).result, bench.send(a, p.icmp({ from: a, to: b.ip }, 8, 78)).result]).toEqual(['policy_denied', 'policy_denied']);
  });
});

describe('a change after that', () => {
  it('does not lengthen a drain, whatever it grants', () => {
    connect();
    deny(LONG);
    forth(p.ACK);
    const { sparedUntil } = entry() ?? {};
    pass(5);
    for (const grace of [LONG, 2 * LONG, Grace.endless]) {
      row(66, grace);
      flip();
      expect(forth(p.ACK)).toBe('passed');
      expect(entry()?.sparedUntil).toBe(sparedUntil);
    }
  });

  it('shortens a drain, and makes one of what was kept', () => {
    connect();
    deny(Grace.endless);
    forth(p.ACK);
    deny(LONG);
    forth(p.ACK);
    deny(SOON);
    expect(forth(p.ACK)).toBe('passed');
    pass(SOON + 20);
    expect(forth(p.ACK)).toBe('policy_denied');
  });

  it('cuts what it no longer spares', () => {
    connect();
    deny(Grace.endless);
    forth(p.ACK);
    deny(Grace.none);
    expect(forth(p.ACK)).toBe('policy_denied');
  });

  it('that allows it again forgets the drain', () => {
    connect();
    deny(SOON);
    forth(p.ACK);
    allow();
    expect(forth(p.ACK)).toBe('passed');
    expect(entry()).toMatchObject({ sparedUntil: 0n, egressRule: 1, ingressRule: 2 });
    pass(SOON + 20);
    expect(forth(p.ACK)).toBe('passed');
    bench.kernel.collect();
    expect(forth(p.ACK)).toBe('passed');
  });

  it('after the time is over spares nothing, even where none of its packets came meanwhile', () => {
    connect();
    deny(SOON);
    forth(p.ACK);
    pass(SOON + 20);
    row(66, LONG);
    flip();
    expect(forth(p.ACK)).toBe('policy_denied');
  });
});

describe('what was cut', () => {
  /** As most policies have it: the server may call the client. */
  const mayCallBack = () => {
    bench.rule(b, 0, Direction.egress, Action.allow, { rule: 3 });
    bench.rule(a, 0, Direction.ingress, Action.allow, { rule: 4 });
  };

  it.each([['at once', Grace.none], ['when its time was over', SOON]])('%s is not begun again from the middle by the other side, however late it speaks', (_what, grace) => {
    mayCallBack();
    connect();
    deny(grace);
    forth(p.ACK);
    pass(grace + 10);
    bench.kernel.collect();
    bench.kernel.configure({ tcpClosing: 10, tcpSyn: 10 });
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    expect([back(p.ACK), forth(p.ACK)]).toEqual(['policy_denied', 'policy_denied']);
    expect([back(p.SYN), forth(p.SYN | p.ACK)]).toEqual(['passed', 'passed']);
  });

  it('is forgotten when it would have been, had it gone on', () => {
    connect();
    deny(Grace.none);
    bench.kernel.collect();
    bench.kernel.configure({ tcpEstablished: 10 });
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 1, revoked: 0 });
  });

  it('and had ended before is forgotten soon', () => {
    connect();
    back(p.RST);
    deny(Grace.none);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 0, revoked: 0 });
    bench.kernel.configure({ tcpClosing: 10 });
    pass(20);
    expect(bench.kernel.collect()).toEqual({ walked: 1, expired: 1, revoked: 0 });
  });
});

describe('a new connection', () => {
  it.each([['kept', Grace.endless], ['drained', LONG]])('is denied at once where live ones are %s', (_what, grace) => {
    connect();
    deny(grace);
    expect([forth(p.SYN, CLIENT + 1), forth(p.ACK, CLIENT + 2)]).toEqual(['policy_denied', 'policy_denied']);
    expect(bench.conntrack.list()).toHaveLength(1);
  });

  it('from the same port is denied, before and after the one that was there was looked at, and that goes on', () => {
    connect();
    deny(Grace.endless);
    expect([forth(p.SYN), forth(p.ACK), forth(p.SYN), back(p.ACK)]).toEqual(['policy_denied', 'passed', 'policy_denied', 'passed']);
  });

  it('is denied in the place of one that was kept and has ended', () => {
    connect();
    deny(Grace.endless);
    back(p.RST);
    expect(forth(p.SYN)).toBe('policy_denied');
  });

  it('that was begun and not answered is denied its next SYN, and not its answer', () => {
    forth(p.SYN);
    deny(Grace.endless);
    expect([forth(p.SYN), back(p.SYN | p.ACK), forth(p.ACK)]).toEqual(['policy_denied', 'passed', 'passed']);
  });

  it('of SCTP is one as well: an INIT of the side that began it', () => {
    const there = (...chunks: number[]) => bench.send(a, p.sctp({ from: a, to: b.ip }, CLIENT, 3868, ...chunks)).result;
    there(p.INIT);
    bench.send(b, p.sctp({ from: b, to: a.ip }, 3868, CLIENT, p.INIT_ACK));
    deny(Grace.endless);
    expect([there(p.DATA), there(p.INIT), there(p.DATA)]).toEqual(['passed', 'policy_denied', 'passed']);
  });
});

describe('two sides on one node', () => {
  it.each<[string, number, number, 'passed' | 'policy_denied', number, number]>([
    ['that cuts, behind one that keeps', Grace.endless, Grace.none, 'policy_denied', 66, 67],
    ['that cuts, before one that keeps', Grace.none, Grace.endless, 'policy_denied', 66, 0],
    ['that drains, behind one that keeps', Grace.endless, LONG, 'passed', 66, 67],
    ['that drains, before one that keeps', LONG, Grace.endless, 'passed', 66, 0],
  ])('the stricter one counts: one %s', (_what, egress, ingress, expected, egressRule, ingressRule) => {
    connect();
    row(66, egress);
    bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9, rule: 66 });
    deny(ingress, Direction.ingress, 67);
    expect([forth(p.ACK), back(p.ACK)]).toEqual([expected, expected]);
    expect(entry()).toMatchObject({ egressRule, ingressRule });
    expect(entry()?.sparedUntil).not.toBe(2n ** 64n - 1n);
  });

  it('ingress keeps by itself, told with both rules', () => {
    connect();
    bench.events();
    deny(Grace.endless, Direction.ingress);
    expect([back(p.ACK), forth(p.ACK)]).toEqual(['passed', 'passed']);
    expect(bench.events()).toEqual([expect.objectContaining({ kind: FlowKind.denied, verdict: Verdict.allowed, egressRule: 1, ingressRule: 66, direction: Direction.ingress })]);
  });
});

describe('a border is never softened', () => {
  beforeEach(() => {
    connect();
    deny(Grace.endless);
    expect(forth(p.ACK)).toBe('passed');
  });

  it.each<[string, () => void, string]>([
    ['an address that is gone', () => bench.kernel.addresses.remove([{ rd: 7, address: address(a.ip) }]), 'unknown_destination'],
    ['an endpoint that is gone', () => bench.kernel.endpoints.remove([a.ifindex]), 'stale_endpoint'],
    ['the other endpoint that is gone', () => bench.kernel.endpoints.remove([b.ifindex]), 'stale_endpoint'],
    ['a side without a layer', () => bench.kernel.programs.put([[12, { slots: [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }]]), 'policy_missing'],
    ['a side that has no rules', () => bench.kernel.policy.remove([{ prefixlen: 72, policy: 12, peer: 0, direction: Direction.ingress, protocol: 0, port: 0 }]), 'policy_missing'],
    ['a peer in another network', () => void bench.local(7, 2, a.ip, 11), 'no_connection'],
    ['peers that are both in another network', () => void [bench.local(7, 2, a.ip, 11), bench.local(7, 2, b.ip, 12)], 'policy_denied'],
    ['a peer that runs on another node now', () => void [bench.kernel.endpoints.remove([b.ifindex]), bench.remote(7, 1, b.ip, 12, '192.0.2.9')], 'policy_denied'],
  ])('%s', (_what, change, reason) => {
    change();
    flip();
    const send = reason === 'unknown_destination' || reason === 'stale_endpoint' ? back : forth;
    expect(send(p.ACK)).toBe(reason);
    bench.kernel.collect();
    expect(entry()?.state).toBe(ConntrackState.revoked);
  });

  it('another device behind the same address', () => {
    const other = { ...b, ifindex: 990 };
    bench.kernel.endpoints.put([[other.ifindex, bench.endpointRecord(other)]]);
    const [key, record] = bench.kernel.addresses.list().find(([, found]) => found.ifindex === b.ifindex) ?? [];
    if (key && record) bench.kernel.addresses.put([[key, { ...record, ifindex: other.ifindex }]]);
    flip();
    expect(forth(p.ACK)).toBe('policy_denied');
  });

  it('another device of who began it', () => {
    const other = { ...a, ifindex: 990 };
    bench.kernel.endpoints.put([[other.ifindex, bench.endpointRecord(other)]]);
    const [key, record] = bench.kernel.addresses.list().find(([, found]) => found.ifindex === a.ifindex) ?? [];
    if (key && record) bench.kernel.addresses.put([[key, { ...record, ifindex: other.ifindex }]]);
    flip();
    expect(forth(p.ACK)).toBe('policy_denied');
  });

  it('an address that is forgotten before it is used again', () => {
    expect(bench.kernel.forget(7, address(b.ip))).toBe(1);
    expect([forth(p.ACK), back(p.ACK)]).toEqual(['policy_denied', 'policy_missing']);
  });
});

it('a shadow that denies spares and ends nothing', () => {
  row(66, SOON);
  bench.rule(99, 0, Direction.egress, Action.deny, { rule: 66 });
  bench.shadow(a, 99);
  connect();
  flip();
  expect(forth(p.ACK)).toBe('passed');
  expect(entry()?.sparedUntil).toBe(0n);
});
