import { describe, expect, it } from '@jest/globals';
import { id, production, staging } from '../../test/documents.ts';
import { added, compact, coverage, coveredBy, grown, interestOf } from './interest.ts';

const platform = ['osier.state._._._.barrier._.all', `osier.state._._._.interest._.${id(1)}`, 'osier.state._._._.node._.*'];
const ofStaging = (...networks: number[]): string[] => networks.flatMap((n) => [`osier.state.acme.shop.staging.network._.${id(n)}`, `osier.state.acme.shop.staging.endpoint.${id(n)}.*`]);
/** What is kept in the project and in the domain, and on the platform. */
const aroundIn = (project: string, domain: string): string[] => [
  ...['project-policy', 'address-group', 'endpoint-group', 'service-group'].map((noun) => `osier.state.${project}.${noun}._.*`), `osier.state.${domain}.domain-policy._.*`, 'osier.state._._._.platform-policy._.*',
];
const around = aroundIn('acme.shop._', 'acme._._');
const rules = (environment: string): string[] => [`osier.state.acme.shop.${environment}.policy._.*`, `osier.state.acme.shop.${environment}.routing-domain._.*`];
const wide = (at: string): string[] => [`${at}.endpoint.*.*`, `${at}.network._.*`, `${at}.policy._.*`, `${at}.routing-domain._.*`].map((f) => `osier.state.${f}`);
const sorted = (filters: string[]): string[] => [...filters].sort();

/** As a server matches them, worked out by other code than the one under test. */
const matches = (filter: string, subject: string): boolean => new RegExp(`^${filter.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`).test(subject);

describe('the interest of a node', () => {
  it('is what concerns every node, where it has no endpoints', () => expect(interestOf(id(1), [])).toEqual(sorted(platform)));
  it('is its networks with everybody in them, and the rules of their environments, each once', () => {
    const networks = [{ ...staging, id: id(2) }, { ...staging, id: id(3) }, { ...production, id: id(4) }];
    expect(interestOf(id(1), networks)).toEqual(sorted([
      ...platform, ...around, ...ofStaging(2, 3), ...rules('staging'), ...rules('production'),
      `osier.state.acme.shop.production.network._.${id(4)}`, `osier.state.acme.shop.production.endpoint.${id(4)}.*`,
    ]));
  });
  it('does not hear of networks, or environments, that it has no endpoint in', () => {
    const mine = interestOf(id(1), [{ ...staging, id: id(2) }]);
    for (const foreign of [`osier.state.acme.shop.staging.endpoint.${id(9)}.${id(5)}`, `osier.state.acme.shop.production.policy._.${id(5)}`, `osier.state.rival.shop.staging.policy._.${id(5)}`, `osier.state._._._.interest._.${id(2)}`]) {
      expect(coveredBy(mine, foreign)).toBe(false);
      expect(mine.some((filter) => matches(filter, foreign))).toBe(false);
    }
  });

  const many = (count: number, scopeOf: (n: number) => object) => Array.from({ length: count }, (_, n) => ({ ...staging, ...scopeOf(n), id: id(100 + n) }));
  it.each([
    ['the environment', many(60, () => ({})), [...wide('acme.shop.staging'), ...around]],
    ['the project', many(60, (n) => ({ environment: `e${n}` })), [...wide('acme.shop.*'), ...aroundIn('acme.shop.*', 'acme._.*')]],
    ['the domain', many(60, (n) => ({ project: `p${n}` })), [...wide('acme.*.*'), ...aroundIn('acme.*.*', 'acme.*.*')]],
    ['everything', many(60, (n) => ({ domain: `d${n}` })), [...wide('*.*.*'), ...aroundIn('*.*.*', '*.*.*')]],
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
    expect(grown(all, before)).toEqual(sorted([...platform, ...around, ...all]));
    expect(added(all, grown(all, before))).toEqual(sorted([...platform, ...around]));
  });
  it('never has two filters for the same subject', () => {
    expect(compact(['osier.state.a.b.*.policy._.*', 'osier.state.a.b.c.policy._.*', 'osier.state.a.b.c.policy._.x', 'osier.state.a.b.c.policy._.x'])).toEqual(['osier.state.a.b.*.policy._.*']);
  });
});

describe('any interest that grows, whatever comes in whatever order', () => {
  /** A small generator with a seed, so that a failure can be run again. */
  const random = (seed: number) => () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  const overlap = (a: string, b: string): boolean => {
    const [left, right] = [a.split('.'), b.split('.')];
    return left.length === right.length && left.every((token, i) => token === '*' || right[i] === '*' || token === right[i]);
  };

  it.each(Array.from({ length: 20 }, (_, seed) => seed + 1))('covers all that is wanted, keeps all that it had, and never overlaps itself (seed %i)', (seed) => {
    const next = random(seed);
    const pick = (prefix: string, of: number): string => `${prefix}${Math.floor(next() * of)}`;
    const spread = 1 + Math.floor(next() * 12);
    let filters = interestOf(id(1), []);
    const wanted: string[] = [];
    for (let step = 0; step < 40; step++) {
      const networks = Array.from({ length: 1 + Math.floor(next() * 4) }, () => ({ domain: pick('d', spread), project: pick('p', spread), environment: pick('e', spread), id: id(Math.floor(next() * 40) + 100) }));
      wanted.push(...networks.flatMap((n) => [`osier.state.${n.domain}.${n.project}.${n.environment}.endpoint.${n.id}.${id(7)}`, `osier.state.${n.domain}.${n.project}.${n.environment}.policy._.${id(8)}`]));
      const before = filters;
      filters = grown(before, interestOf(id(1), networks));
      const patterns = filters.map((filter) => new RegExp(`^${filter.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`));
      expect(wanted.slice(-8).filter((subject) => !patterns.some((pattern) => pattern.test(subject)))).toEqual([]);
      const fresh = added(before, filters);
      const covered = coverage(filters);
      expect(wanted.filter((subject) => !covered(subject))).toEqual([]);
      expect(before.filter((filter) => !covered(filter))).toEqual([]);
      expect(filters.filter((filter) => !fresh.includes(filter) && !coveredBy(before, filter))).toEqual([]);
      expect(filters.length).toBeLessThanOrEqual(100);
      expect(filters.filter((a, index) => filters.some((b, other) => other > index && overlap(a, b)))).toEqual([]);
    }
  });
});
