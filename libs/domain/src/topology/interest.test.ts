import { describe, expect, it } from '@jest/globals';
import { id, production, staging } from '../../test/documents.ts';
import { added, compact, covers, grown, interestOf } from './interest.ts';

const platform = ['osier.state._._._.barrier._.all', `osier.state._._._.interest._.${id(1)}`, 'osier.state._._._.node._.*'];
const ofStaging = (...networks: number[]): string[] => networks.flatMap((n) => [`osier.state.acme.shop.staging.network._.${id(n)}`, `osier.state.acme.shop.staging.endpoint.${id(n)}.*`]);
const rules = (environment: string): string[] => [`osier.state.acme.shop.${environment}.policy._.*`, `osier.state.acme.shop.${environment}.routing-domain._.*`];
const wide = (at: string): string[] => [`${at}.endpoint.*.*`, `${at}.network._.*`, `${at}.policy._.*`, `${at}.routing-domain._.*`].map((f) => `osier.state.${f}`);
const sorted = (filters: string[]): string[] => [...filters].sort();

describe('the interest of a node', () => {
  it('is what concerns every node, where it has no endpoints', () => expect(interestOf(id(1), [])).toEqual(sorted(platform)));
  it('is its networks with everybody in them, and the rules of their environments, each once', () => {
    const networks = [{ ...staging, id: id(2) }, { ...staging, id: id(3) }, { ...production, id: id(4) }];
    expect(interestOf(id(1), networks)).toEqual(sorted([
      ...platform, ...ofStaging(2, 3), ...rules('staging'), ...rules('production'),
      `osier.state.acme.shop.production.network._.${id(4)}`, `osier.state.acme.shop.production.endpoint.${id(4)}.*`,
    ]));
  });
  it('does not hear of networks, or environments, that it has no endpoint in', () => {
    const mine = interestOf(id(1), [{ ...staging, id: id(2) }]);
    for (const foreign of [`osier.state.acme.shop.staging.endpoint.${id(9)}.${id(5)}`, `osier.state.acme.shop.production.policy._.${id(5)}`, `osier.state.rival.shop.staging.policy._.${id(5)}`, `osier.state._._._.interest._.${id(2)}`]) {
      expect(mine.some((filter) => covers(filter, foreign))).toBe(false);
    }
  });

  const many = (count: number, scopeOf: (n: number) => object) => Array.from({ length: count }, (_, n) => ({ ...staging, ...scopeOf(n), id: id(100 + n) }));
  it.each([
    ['the environment', many(60, () => ({})), wide('acme.shop.staging')],
    ['the project', many(60, (n) => ({ environment: `e${n}` })), wide('acme.shop.*')],
    ['the domain', many(60, (n) => ({ project: `p${n}` })), wide('acme.*.*')],
    ['everything', many(60, (n) => ({ domain: `d${n}` })), wide('*.*.*')],
  ])('is widened to %s where it would have too many filters', (_to, networks, expected) => expect(interestOf(id(1), networks)).toEqual(sorted([...platform, ...expected])));
});

describe('an interest that grows', () => {
  const before = interestOf(id(1), [{ ...staging, id: id(2) }]);
  it('keeps what it had, and knows what is new', () => {
    const after = grown(before, interestOf(id(1), [{ ...staging, id: id(3) }]));
    expect(after).toEqual(sorted([...before, ...ofStaging(3)]));
    expect(added(before, after)).toEqual(sorted(ofStaging(3)));
    expect(added(after, grown(after, before))).toEqual([]);
  });
  it('is new in all that a widened filter covers, but not the other way round', () => {
    const all = wide('acme.shop.*');
    expect(added(before, grown(before, all))).toEqual(sorted(all));
    expect(grown(all, before)).toEqual(sorted([...platform, ...all]));
    expect(added(all, grown(all, before))).toEqual(sorted(platform));
  });
  it('never has two filters for the same subject', () => {
    expect(compact(['osier.state.a.b.*.policy._.*', 'osier.state.a.b.c.policy._.*', 'osier.state.a.b.c.policy._.x', 'osier.state.a.b.c.policy._.x'])).toEqual(['osier.state.a.b.*.policy._.*']);
  });
});
