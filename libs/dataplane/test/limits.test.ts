/** What happens when a map is full: nothing is written by halves, nothing passes that should not, and losses are counted. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { programOf, type Target } from '../src/kernel/kernel.ts';
import { Action, AddressKind, Direction, DropReason, Limits } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address, NONE } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const CONNTRACK = 512;
const DENIALS = 256;
const RING = 4096;

let bench: Bench;
let a: Place;
let b: Place;

beforeAll(() => {
  const eight = { endpoints: 8, addresses: 8, policy: 8, rules: 8, identities: 8, policies: 8, programs: 8, slots: 8 };
  bench = new Bench({ ...eight, conntrack: CONNTRACK, denials: DENIALS, flows: RING });
});

beforeEach(() => bench.reset());

afterAll(() => bench.close());

const mac = new Uint8Array(6);
const ip = (index: number) => address(`10.0.${index >> 8}.${index & 255}`);

/** A table and its `index`th entry, which `variant` makes distinguishable. */
type Row = (index: number, variant: number) => [unknown, unknown];
const TABLES: [string, () => Target<unknown, unknown>, Row][] = [
  ['endpoints', () => bench.kernel.endpoints as never, (i, v) => [i, { rd: v, network: 1, policy: [0, 0], address: ip(i), mac, flags: 0, shadow: [0, 0] }]],
  [
    'addresses',
    () => bench.kernel.addresses as never,
    (i, v) => [
      { rd: 1, address: ip(i) },
      { kind: AddressKind.remote, network: v, targetRd: 1, ifindex: 0, tunnel: NONE, identity: [0, 0], mac },
    ],
  ],
  [
    'policy',
    () => bench.kernel.policy as never,
    (i, v) => [
      { prefixlen: 72, policy: i, peer: 0, direction: Direction.egress, protocol: 0, port: 0 },
      { precedence: v, rule: 1, action: Action.allow, tier: 0, place: 0 },
    ],
  ],
  [
    'rules',
    () => bench.kernel.rules as never,
    (i, v) => [i, { policyId: NONE, ruleIndex: v, direction: Direction.egress, action: Action.deny, precedence: 1, grace: 0 }],
  ],
  ['identities', () => bench.kernel.identities as never, (i, v) => [i, { digest: new Uint8Array(32).fill(v) }]],
  ['policies', () => bench.kernel.policies as never, (i, v) => [i, { digest: new Uint8Array(32).fill(v) }]],
  ['programs', () => bench.kernel.programs as never, (i, v) => [i, programOf([v])]],
  ['slots', () => bench.kernel.slots as never, (i, v) => [i, { layer: [v, 0], digest: new Uint8Array(32) }]],
];

describe.each(TABLES)('a full table of %s', (name, table, row) => {
  const rows = (from: number, to: number, variant = 1) => Array.from({ length: to - from }, (_, index) => row(from + index, variant));

  it('refuses one more and keeps what it had', () => {
    table().put(rows(0, 8));
    expect(() => table().put([row(8, 1)])).toThrow(expect.objectContaining({ code: 'table-full', path: name }));
    expect(table().list()).toHaveLength(8);
  });

  it('writes nothing of a batch that does not fit', () => {
    table().put(rows(0, 5));
    expect(() => table().put(rows(4, 9, 2))).toThrow(expect.objectContaining({ code: 'table-full' }));
    expect(table().list()).toEqual(expect.arrayContaining(rows(0, 5)));
    expect(table().list()).toHaveLength(5);
  });

  it('takes changes of what it holds', () => {
    table().put(rows(0, 8));
    table().put(rows(0, 8, 2));
    expect(table().list()).toEqual(expect.arrayContaining(rows(0, 8, 2)));
  });

  it('takes another after one was removed', () => {
    table().put(rows(0, 8));
    table().remove([row(3, 1)[0]]);
    table().put([row(8, 1)]);
    expect(table().list()).toHaveLength(8);
  });
});

function world(): void {
  a = bench.local(7, 1, '10.0.0.1', 11);
  b = bench.local(7, 1, '10.0.0.2', 12);
  bench.rule(a, 0, Direction.egress, Action.allow);
  bench.rule(b, 0, Direction.ingress, Action.allow);
  bench.rule(a, b, Direction.egress, Action.deny, { precedence: 9, protocol: p.TCP, port: 22 });
}

const ask = (from: number, port: number) => bench.send(a, p.tcp({ from: a, to: b.ip }, from, port)).result;

describe('connection tracking when full', () => {
  it('forgets the oldest, goes on judging, and takes up again what it forgot', () => {
    world();
    for (let index = 0; index < 3 * CONNTRACK; index++) expect(ask(1024 + index, 80)).toBe('passed');
    expect(bench.conntrack.list().length).toBeLessThanOrEqual(CONNTRACK);
    expect(ask(1, 22)).toBe('policy_denied');
    expect(bench.send(a, p.tcp({ from: a, to: b.ip }, 1024, 80, p.ACK)).result).toBe('passed');
    expect(bench.send(b, p.tcp({ from: b, to: a.ip }, 80, 1024, p.ACK)).result).toBe('passed');
  });
});

describe('denials when full', () => {
  it('forget the oldest and still drop and tell', () => {
    world();
    for (let index = 0; index < 2 * DENIALS; index++) {
      expect(bench.send(a, p.tcp({ from: a, to: `10.9.${index >> 8}.${index & 255}` }, 1, 80)).result).toBe('unknown_destination');
    }
    expect(bench.denials.list().length).toBeLessThanOrEqual(DENIALS);
    bench.events();
    ask(1, 22);
    expect(bench.events()).toEqual([expect.objectContaining({ reason: DropReason.policy_denied })]);
  });
});

describe('the ring buffer when full', () => {
  it('counts what it cannot tell, and no packet suffers', () => {
    world();
    const before = bench.kernel.lost();
    for (let index = 0; index < 100; index++) expect(ask(1024 + index, 80)).toBe('passed');
    const told = bench.events().length;
    expect(told).toBeGreaterThan(10);
    expect(told).toBeLessThan(100);
    expect(Number(bench.kernel.lost() - before)).toBe(100 - told);
    ask(2000, 80);
    expect(bench.events()).toHaveLength(1);
  });

  it('goes round and round without a record broken', () => {
    world();
    for (let index = 0; index < 500; index++) {
      ask(1024 + index, 80);
      expect(bench.events()).toEqual([expect.objectContaining({ sourcePort: 1024 + index, destinationPort: 80 })]);
    }
  });
});

describe('the drop counters', () => {
  it('have a place for every reason', () => {
    expect(Object.keys(bench.kernel.drops()).sort()).toEqual(Object.keys(DropReason).sort());
    expect(Math.max(...Object.values(DropReason))).toBe(Limits.drops - 1);
  });
});
