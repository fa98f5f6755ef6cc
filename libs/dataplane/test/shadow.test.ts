/** Rules that are not in force, asked beside those that are: what they would say is told, and no packet ever fares otherwise for it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Action, Direction, EndedBy, FlowKind, Verdict } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import * as p from './lab/packet.ts';

let bench: Bench;
let a: Place;
let b: Place;
let far: Place;

const { egress, ingress } = Direction;
const { allow, deny } = Action;
const { none, allowed, denied } = Verdict;
/** Subjects whose rules are not in force. */
const KIND = 51;
const STRICT = 52;
const SILENT = 53;
const RULES = { kind: 501, strict: 502 };
const CLIENT = 5000;

beforeAll(() => {
  bench = new Bench();
});

beforeEach(() => {
  bench.reset();
  a = bench.local(7, 1, '10.0.0.1', 11);
  b = bench.local(7, 1, '10.0.0.2', 12);
  far = bench.remote(7, 1, '10.0.0.9', 19, '192.0.2.9');
  bench.rule(a, 0, egress, allow, { rule: 1 });
  bench.rule(b, 0, ingress, allow, { rule: 2 });
  for (const direction of [egress, ingress]) {
    bench.rule(KIND, 0, direction, allow, { rule: RULES.kind });
    bench.rule(STRICT, 0, direction, deny, { rule: RULES.strict });
  }
  bench.kernel.flip(100n);
});

afterAll(() => bench.close());

const forth = (flags: number, to = b) => bench.send(a, p.tcp({ from: a, to: to.ip }, CLIENT, 80, flags)).result;
const back = (flags: number) => bench.send(b, p.tcp({ from: b, to: a.ip }, 80, CLIENT, flags)).result;
const denyAll = (place: Place, direction: Direction, rule: number) => bench.rule(place, 0, direction, deny, { precedence: 9, rule });
/** Of the records since the last question: kind, verdict of the shadows, their rules. */
const told = () => bench.events().map((e) => [e.kind, e.shadowVerdict, e.shadowEgressRule, e.shadowIngressRule]);
const started = (...shadow: number[]) => [FlowKind.start, ...shadow];
const refused = (...shadow: number[]) => [FlowKind.denied, ...shadow];
const ended = (...shadow: number[]) => [FlowKind.end, ...shadow];

describe('a flow without a shadow', () => {
  it('has none to tell of', () => {
    forth(p.SYN);
    expect(told()).toEqual([started(none, 0, 0)]);
  });
});

describe('a shadow', () => {
  it('that denies never stops a packet, at its beginning or later', () => {
    bench.shadow(a, STRICT);
    bench.shadow(b, STRICT);
    expect([forth(p.SYN), back(p.SYN | p.ACK), forth(p.ACK)]).toEqual(['passed', 'passed', 'passed']);
    bench.kernel.flip(101n);
    expect([forth(p.ACK), back(p.ACK)]).toEqual(['passed', 'passed']);
    expect(bench.kernel.collect()).toMatchObject({ expired: 0, revoked: 0 });
  });

  it('that allows lets no packet through', () => {
    denyAll(a, egress, 66);
    bench.shadow(a, KIND);
    bench.shadow(b, KIND);
    expect(forth(p.SYN)).toBe('policy_denied');
    expect(bench.conntrack.list()).toEqual([]);
  });

  it('is asked by its own number, on both sides, and told with its rules', () => {
    bench.shadow(a, KIND);
    bench.shadow(b, STRICT);
    forth(p.SYN);
    expect(bench.events()).toEqual([
      expect.objectContaining({ kind: FlowKind.start, verdict: allowed, egressRule: 1, ingressRule: 2, shadowVerdict: denied, shadowEgressRule: RULES.kind, shadowIngressRule: RULES.strict }),
    ]);
  });

  it('that denies at the sender does not ask the other side', () => {
    bench.shadow(a, STRICT);
    bench.shadow(b, KIND);
    forth(p.SYN);
    expect(told()).toEqual([started(denied, RULES.strict, 0)]);
  });

  it('without an entry counts as a denial', () => {
    bench.shadow(a, SILENT);
    forth(p.SYN);
    expect(told()).toEqual([started(denied, 0, 0)]);
  });

  it('of one side only counts together with the rules in force of the other', () => {
    bench.shadow(b, KIND);
    forth(p.SYN);
    expect(told()).toEqual([started(allowed, 0, RULES.kind)]);
    denyAll(a, egress, 66);
    expect(bench.send(a, p.udp({ from: a, to: b.ip }, 1, 2)).result).toBe('policy_denied');
    expect(told()).toEqual([refused(denied, 0, 0)]);
  });

  it('is asked about a peer on another node at its own side', () => {
    bench.shadow(a, STRICT);
    expect(forth(p.SYN, far)).toBe('passed');
    expect(told()).toEqual([started(denied, RULES.strict, 0)]);
  });

  it('is told for what the rules in force deny: what it would have allowed, at both sides', () => {
    denyAll(a, egress, 66);
    bench.shadow(a, KIND);
    bench.shadow(b, KIND);
    forth(p.SYN);
    expect(bench.events()).toEqual([
      expect.objectContaining({ kind: FlowKind.denied, verdict: denied, egressRule: 66, ingressRule: 0, shadowVerdict: allowed, shadowEgressRule: RULES.kind, shadowIngressRule: RULES.kind }),
    ]);
  });

  it('is told with the repeats of a denial', () => {
    bench.kernel.configure({ denialRepeat: 10 });
    denyAll(b, ingress, 66);
    bench.shadow(b, KIND);
    for (let count = 0; count < 2; count++) forth(p.SYN);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    bench.kernel.collect();
    expect(told()).toEqual([refused(allowed, 0, RULES.kind), refused(allowed, 0, RULES.kind)]);
  });

  it('has nothing to say where no rules are asked', () => {
    bench.shadow(a, KIND);
    bench.send(a, p.tcp({ from: a, to: '10.0.0.77' }, 1, 2));
    bench.send(a, p.tcp({ from: a, to: b.ip }, 1, 2, p.RST));
    expect(told()).toEqual([refused(none, 0, 0), refused(none, 0, 0)]);
  });
});

describe('a shadow that changes', () => {
  it('is in force, as a shadow, from the next flip on: the flow is judged again and its end tells the new one', () => {
    bench.shadow(a, STRICT);
    forth(p.SYN);
    back(p.SYN | p.ACK);
    bench.shadow(a, KIND);
    forth(p.ACK);
    bench.kernel.flip(101n);
    forth(p.ACK);
    back(p.RST);
    expect(told()).toEqual([started(denied, RULES.strict, 0), ended(allowed, RULES.kind, 0)]);
  });

  it('is read from the column that counts, and from no other', () => {
    const column = bench.kernel.config().epoch & 1;
    const shadow: [number, number] = [STRICT, STRICT];
    shadow[column] = KIND;
    bench.kernel.endpoints.put([[a.ifindex, { ...bench.endpointRecord(a), shadow }]]);
    forth(p.SYN);
    bench.kernel.flip(101n);
    forth(p.ACK);
    back(p.RST);
    expect(told()).toEqual([started(allowed, RULES.kind, 0), ended(denied, RULES.strict, 0)]);
  });

  it('goes with what ends a connection by policy, and is told of with what knocks on it afterwards', () => {
    bench.shadow(a, KIND);
    bench.shadow(b, KIND);
    forth(p.SYN);
    denyAll(a, egress, 66);
    bench.kernel.flip(101n);
    expect([forth(p.ACK), forth(p.ACK)]).toEqual(['policy_denied', 'policy_denied']);
    const events = bench.events();
    expect(events.map((e) => [e.kind, e.endedBy, e.shadowVerdict])).toEqual([[FlowKind.start, EndedBy.not, allowed], [FlowKind.end, EndedBy.policy, allowed], [FlowKind.denied, EndedBy.not, allowed]]);
    bench.kernel.configure({ denialRepeat: 1 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    forth(p.ACK);
    expect(told()).toEqual([refused(allowed, RULES.kind, RULES.kind)]);
  });
});
