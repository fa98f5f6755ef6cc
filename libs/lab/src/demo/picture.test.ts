import { describe, expect, it } from '@jest/globals';
import type { FlowLine } from '../client.ts';
import { withEnvironment, type Inventory } from '../inventory.ts';
import { place } from '../place.ts';
import { everyPair, type Probe } from '../probes.ts';
import { draw, failures, plain, type Scene } from './picture.ts';
import { expected, shop, shopEnvironments } from './shop.ts';

const inventory: Inventory = shopEnvironments.map((environment, turn) =>
  place({ lab: 'osier', domain: 'acme', project: 'shop', environment, turn, nodes: ['node-1', 'node-2', 'node-3'], workloads: shop, services: [] }))
  .reduce(withEnvironment, { environments: [] });
const all = everyPair(inventory).map((w): Probe => {
  const [from, to] = [`${w.from.environment}/${w.from.name}`, `${w.to.environment}/${w.to.name}`];
  return { from, to, protocol: 'TCP', port: w.port, reached: expected(from, to) };
});
const crosses = (p: Probe): boolean => p.from.split('/')[0] !== p.to.split('/')[0];
const denied = {
  node: 'node-1', revision: 7, protocol: 'TCP', source: { address: '10.20.0.10', port: 0, endpoint: 'acme/shop/staging/web' }, destination: { address: '10.20.0.13', port: 5432 },
  decisions: [{ direction: 'ingress', policy: 'acme/shop/staging/database', policyId: 'x', rule: 'never' }],
} as unknown as FlowLine;
const good: Scene = { environments: inventory.environments, inside: all.filter((p) => !crosses(p)), across: all.filter(crosses), arrivedAcross: 0, expected, denied };
const flip = (probes: readonly Probe[], from: string, to: string): Probe[] => probes.map((p) => (p.from === from && p.to === to ? { ...p, reached: !p.reached } : p));

describe('the picture', () => {
  it('stands side by side in 80 columns, and one below the other in fewer', () => {
    const lines = draw(good, { columns: 80, colour: plain }).split('\n');
    expect(lines.some((line) => line.includes('staging') && line.includes('production') && line.startsWith('╭'))).toBe(true);
    expect(Math.max(...lines.filter((line) => /^[╭│╰]/.test(line)).map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(draw(good, { columns: 60, colour: plain }).split('\n').filter((line) => line.startsWith('╭'))).toHaveLength(2);
  });
  it('has boxes whose borders are straight, coloured or not', () => {
    const coloured = draw(good, { columns: 60, colour: (_name, text) => `\u001b[1m${text}\u001b[22m` }).replaceAll(/\u001b\[\d+m/g, '');
    const widths = coloured.split('\n').filter((line) => /^[╭│╰]/.test(line)).map((line) => line.length);
    expect(new Set(widths).size).toBe(1);
    expect(coloured).toBe(draw(good, { columns: 60, colour: plain }));
  });
  it('names the record: policy, rule, node, revision; and leaves out a port that is not known', () => {
    const text = draw(good, { columns: 80, colour: plain });
    expect(text).toContain('denied on node-1 by policy acme/shop/staging/database, rule never (ingress), at revision 7');
    expect(text).toContain('acme/shop/staging/web (10.20.0.10) ');
  });
});

describe('what did not hold', () => {
  it('is nothing when all is as the author wrote', () => {
    expect(failures(good)).toEqual([]);
  });
  const bad: [string, Partial<Scene>, RegExp][] = [
    ['a denied pair that was reached', { inside: flip(good.inside, 'staging/web', 'staging/db') }, /staging\/web → staging\/db port 5432: reached, and must not be/],
    ['an allowed pair that was not', { inside: flip(good.inside, 'production/web', 'production/cart') }, /not reached, and must be/],
    ['a crossing', { across: flip(good.across, 'staging/web', 'production/cart') }, /staging\/web reached production\/cart in another environment/],
    ['a packet that arrived', { arrivedAcross: 1 }, /1 connections arrived/],
    ['no record', { denied: undefined }, /no flow record/],
    ['a record without a rule', { denied: { ...denied, decisions: [] } }, /no flow record names the rule/],
    ['nothing probed', { inside: [], across: [] }, /nothing was probed/],
  ];
  it.each(bad)('%s', (_what, change, message) => {
    const scene = { ...good, ...change };
    expect(failures(scene).join('\n')).toMatch(message);
    expect(draw(scene, { columns: 80, colour: plain })).toBeTruthy();
  });
  it('is marked in the picture', () => {
    expect(draw({ ...good, inside: flip(good.inside, 'staging/web', 'staging/db') }, { columns: 80, colour: plain })).toContain('✓ db WRONG');
  });
});
