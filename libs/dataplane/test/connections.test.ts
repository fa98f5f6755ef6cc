/** What the agent reads of the connections that the programs remember, from the real map. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ConntrackState } from '../src/records.gen.ts';
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
  bench.allowAll(a, b);
  bench.kernel.flip(100n);
});

afterAll(() => bench.close());

const CLIENT = 5000;
const forth = (flags: number) => bench.send(a, p.tcp({ from: a, to: b.ip }, CLIENT, 80, flags)).result;
const back = (flags: number) => bench.send(b, p.tcp({ from: b, to: a.ip }, 80, CLIENT, flags)).result;
const connect = () => [forth(p.SYN), back(p.SYN | p.ACK), forth(p.ACK)];

describe('what is tracked', () => {
  it('is told of the routing domains that are wanted, as the programs remember it', () => {
    connect();
    const other = [bench.local(8, 1, '10.0.0.1', 21), bench.local(8, 1, '10.0.0.2', 22)] as const;
    bench.allowAll(...other);
    bench.kernel.flip(101n);
    bench.send(other[0], p.tcp({ from: other[0], to: other[1].ip }, CLIENT, 80, p.SYN));
    const told = [...bench.kernel.connections((rd) => rd === 7)].flat();
    expect(told).toEqual(bench.conntrack.list().filter(([key]) => key.rd === 7));
    expect(told).toEqual([[
      { low: address(a.ip), high: address(b.ip), lowPort: CLIENT, highPort: 80, rd: 7, protocol: p.TCP },
      expect.objectContaining({ packets: [2n, 1n], state: ConntrackState.established, policyPort: 80, egressRule: 1, ingressRule: 2, initiatorHigh: 0, ended: 0 }),
    ]]);
  });

  it('comes once in a full table, while others come and go between the batches', () => {
    const full = new Bench({ conntrack: 65_536 });
    try {
      full.kernel.flip(1n);
      const blank = { firstSeen: 1n, lastSeen: 1n, packets: [1n, 0n], bytes: [1n, 0n], revision: 1n, epoch: 1, network: 1, egressRule: 1, ingressRule: 1, sourceIdentity: 1, destinationIdentity: 1, sourceIfindex: 1, destinationIfindex: 1, ended: 0, policyPort: 80, state: ConntrackState.new, initiatorHigh: 0, fins: 0, shadowVerdict: 0, shadowEgressRule: 0, shadowIngressRule: 0, sparedUntil: 0n } as const;
      const keyOf = (rd: number, i: number) => ({ low: address('10.0.0.1'), high: address(`10.1.${i >> 8}.${i & 255}`), lowPort: i & 0xffff, highPort: 80, rd, protocol: p.TCP });
      const put = (rd: number, from: number, to: number) => full.conntrack.put(Array.from({ length: to - from }, (_, i) => [keyOf(rd, from + i), { ...blank, packets: [1n, 0n], bytes: [1n, 0n] }] as const));
      for (let i = 0; i < 60_000; i += 4_000) put(7, i, i + 4_000);
      const seen = new Map<string, number>();
      let batches = 0;
      for (const batch of full.kernel.connections((rd) => rd === 7)) {
        for (const [key] of batch) seen.set(String(key.lowPort), (seen.get(String(key.lowPort)) ?? 0) + 1);
        put(8, batches * 100, batches * 100 + 100);
        if (batches > 0) full.conntrack.remove(Array.from({ length: 50 }, (_, i) => keyOf(8, (batches - 1) * 100 + i)));
        batches++;
      }
      expect([seen.size, Math.max(...seen.values()), batches > 10]).toEqual([60_000, 1, true]);
    } finally {
      full.close();
    }
  }, 30_000);
});
