import { describe, expect, it } from '@jest/globals';
import type { Connection, ConnectionsPart } from '@osier/contracts/telemetry';
import { collect, type Holdings } from './collect.ts';

const id = '01997f5e-5b3c-4cc0-8000-000000000001';
const staging = 'acme/shop/staging';
const side = (last: number, port: number, environment = staging): Connection['source'] => ({ address: `10.0.0.${last}`, port, endpoint: `${environment}/e${last}` });
const decision = (direction: 'ingress' | 'egress') => ({ direction, policy: `${staging}/p`, policyId: 'p', rule: direction });
const connection = (over: Partial<Connection> = {}): Connection => ({
  domain: 'acme', project: 'shop', environment: 'staging', network: 'main', protocol: 'TCP', state: 'established', source: side(1, 40_000), destination: side(2, 80),
  since: '2026-01-01T10:00:00.000Z', lastPacketAt: '2026-01-01T10:00:05.000Z', packets: { forward: 5, reply: 4 }, bytes: { forward: 500, reply: 400 }, decisions: [], revision: 7, ...over,
});
const part = (node: string, connections: Connection[], over: Partial<ConnectionsPart> = {}): ConnectionsPart => ({ id, node, part: 0, last: true, connections, notTold: 0, ...over });
const holdings: Holdings = new Map([['node-1', new Set([`${staging}/e1`, `${staging}/e3`])], ['node-2', new Set([`${staging}/e2`])]]);
const asked = (most?: number, share = 100) => {
  const collection = collect(holdings, most);
  collection.ask([...holdings.keys()], share);
  return collection;
};

describe('what nodes say of their connections', () => {
  it('is one connection where two have it, with what either has seen', () => {
    const collection = asked();
    collection.take('node-2', part('node-2', [connection({ decisions: [decision('ingress')], packets: { forward: 4, reply: 6 }, bytes: { forward: 400, reply: 600 }, state: 'closing', since: '2026-01-01T10:00:00.010Z', lastPacketAt: '2026-01-01T10:00:06.000Z', revision: 8 })]));
    expect(collection.isComplete).toBe(false);
    collection.take('node-1', part('node-1', [connection({ decisions: [decision('egress')] })]));
    expect(collection.isComplete).toBe(true);
    expect(collection.answer()).toEqual({
      nodes: ['node-1', 'node-2'], missing: [], notTold: 0,
      connections: [{ ...connection(), nodes: ['node-1', 'node-2'], decisions: [decision('egress'), decision('ingress')], packets: { forward: 5, reply: 6 }, bytes: { forward: 500, reply: 600 }, state: 'closing', lastPacketAt: '2026-01-01T10:00:06.000Z' }],
    });
  });

  it.each<[string, Connection['spared'], Connection['spared'], Connection['spared']]>([
    ['by neither', undefined, undefined, undefined], ['by one for ever', undefined, {}, {}], ['by one for a while', {}, { until: '2026-01-01T10:01:00.000Z' }, { until: '2026-01-01T10:01:00.000Z' }],
    ['by both for a while', { until: '2026-01-01T10:02:00.000Z' }, { until: '2026-01-01T10:01:00.000Z' }, { until: '2026-01-01T10:01:00.000Z' }],
  ])('is spared %s, as the stricter of two has it', (_by, a, b, expected) => {
    const collection = asked();
    for (const [node, spared] of [['node-1', a], ['node-2', b]] as const) collection.take(node, part(node, [connection(spared && { spared })]));
    expect(collection.answer().connections.map(({ spared }) => spared)).toEqual([expected]);
  });

  it.each<[string, Partial<Connection>]>([
    ['another protocol', { protocol: 'UDP' }], ['another source port', { source: side(1, 40_001) }], ['another port', { destination: side(2, 81) }], ['the other direction', { source: side(2, 80), destination: side(1, 40_000) }], ['another source', { source: side(3, 40_000) }],
  ])('is two where they differ in %s', (_what, over) => {
    const collection = asked();
    collection.take('node-1', part('node-1', [connection(), connection(over)]));
    expect(collection.answer().connections).toHaveLength(2);
  });

  it.each<[string, Partial<Connection>]>([
    ['of an environment that was not asked about', { environment: 'production', source: side(1, 1, 'acme/shop/production'), destination: side(2, 2, 'acme/shop/production') }],
    ['of somebody else under names of one who was asked about', { domain: 'rival', source: side(1, 1), destination: side(2, 2) }],
    ['between one of its own and one of another environment', { destination: side(2, 2, 'acme/shop/production') }],
    ['between endpoints of other nodes', { source: side(2, 1), destination: side(9, 2) }],
    ['between addresses that are nobody', { source: { address: '10.0.0.1', port: 1 }, destination: { address: '10.0.0.2', port: 2 } }],
  ])('is not told: one %s', (_what, over) => {
    const collection = asked();
    collection.take('node-1', part('node-1', [connection(over)]));
    expect(collection.answer().connections).toEqual([]);
  });

  it('is said not to be at a node of its other end that has told all of its own', () => {
    const notAt = (other: Partial<ConnectionsPart>, connections: Connection[] = []): unknown => {
      const collection = asked();
      collection.take('node-1', part('node-1', [connection(), connection({ destination: { address: '192.0.2.9', port: 80 } })]));
      collection.take('node-2', part('node-2', connections, other));
      return collection.answer().connections.map((one) => one.notAt);
    };
    expect([notAt({}), notAt({}, [connection()]), notAt({ notTold: 1 }), notAt({ last: false }), notAt({ part: 3 })]).toEqual([[['node-2'], undefined], ...Array.from({ length: 4 }, () => [undefined, undefined])]);
  });

  it('comes in parts, and a node that leaves one out, repeats one or says what is none has not answered', () => {
    const good = asked();
    good.take('node-2', part('node-2', []));
    good.take('node-1', part('node-1', [connection()], { last: false }));
    expect(good.isComplete).toBe(false);
    good.take('node-1', part('node-1', [connection({ source: side(1, 2) })], { part: 1 }));
    expect([good.isComplete, good.answer().connections.length, good.answer().missing]).toEqual([true, 2, []]);
    const broken: [string, (ConnectionsPart | undefined)[]][] = [
      ['a gap', [part('node-1', [], { last: false }), part('node-1', [], { part: 2 })]], ['a repetition', [part('node-1', [], { last: false }), part('node-1', [])]],
      ['no answer', [undefined]], ["another's name", [part('node-2', [])]], ['more than it was asked for', [part('node-1', Array.from({ length: 101 }, (_, i) => connection({ source: side(1, i) })))]],
    ];
    for (const [what, parts] of broken) {
      const collection = asked();
      collection.take('node-2', part('node-2', []));
      for (const one of parts) collection.take('node-1', one);
      expect([what, collection.isComplete, collection.answer().missing]).toEqual([what, true, ['node-1']]);
    }
  });

  it('is missing until it has come, and counts for nothing from a node that was not asked', () => {
    const collection = asked();
    collection.take('node-3', part('node-3', [connection()]));
    expect(collection.answer()).toEqual({ connections: [], nodes: ['node-1', 'node-2'], missing: ['node-1', 'node-2'], notTold: 0 });
    collection.take('node-1', part('node-1', []));
    collection.take('node-1', part('node-1', [connection()]));
    expect(collection.answer()).toMatchObject({ connections: [], missing: ['node-2'] });
  });

  it('is told up to the limit, and what is beyond it is counted once', () => {
    const many = (count: number): Connection[] => Array.from({ length: count }, (_, i) => connection({ source: side(1, 1_000 + i) }));
    const exact = asked(3);
    exact.take('node-1', part('node-1', many(3)));
    exact.take('node-2', part('node-2', many(3)));
    expect(exact.answer()).toMatchObject({ connections: many(3), notTold: 0, missing: [] });
    const over = asked(3);
    over.take('node-2', part('node-2', many(5)));
    over.take('node-1', part('node-1', many(5)));
    expect([over.answer().connections.length, over.answer().notTold, over.room]).toEqual([3, 2, 0]);
  });

  it('is asked for again from a node that has more, which then counts for what it says last', () => {
    const collection = asked(10, 2);
    collection.take('node-1', part('node-1', [connection()], { notTold: 5 }));
    collection.take('node-2', part('node-2', []));
    expect([collection.unfinished, collection.room, collection.answer().notTold]).toEqual([['node-1'], 9, 5]);
    collection.ask(['node-1'], 9);
    expect([collection.isComplete, collection.answer().missing]).toEqual([false, ['node-1']]);
    collection.take('node-1', part('node-1', [connection(), connection({ source: side(1, 2) })], { notTold: 0 }));
    expect(collection.answer()).toMatchObject({ notTold: 0, missing: [], connections: [{}, {}] });
  });
});
