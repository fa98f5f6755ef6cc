import { describe, expect, it } from '@jest/globals';
import { protocols, somePorts } from '../../test/reach/brute.ts';
import { type Random, randomOf } from '../../test/reach/random.ts';
import { cluster } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { type Block, parseBlock } from '../net/address.ts';
import { decide } from '../rules/decide.ts';
import { indexWorld } from '../rules/index-world.ts';
import type { Peer, Policy, Rule, Side, World } from '../rules/model.ts';
import { allPairs, blocksFor, everybody, familiesOf, groupsOf, pairsOf } from './alike.ts';

/** What no source says yet and the model can: what is the same on both sides, groups of names and blocks. */
function modelPolicies(r: Random, world: World): Policy[] {
  const blocks = (...texts: string[]): Block[] => r.some(texts, 50).flatMap((text) => parseBlock(text)?.block ?? []);
  const peer = (): Peer => (r.chance(50)
    ? { type: 'parties', scopeTags: [], tags: [], same: [{ of: r.pick(['party', 'scope'] as const), key: r.pick(['app', 'env', 'kubernetes.io/metadata.name']) }] }
    : { type: 'group', name: 'g', parties: new Set(r.some(world.parties.map(({ name }) => name), 40)), blocks: blocks('10.0.1.0/28', '192.0.2.0/24', 'fd00::/8'), except: blocks('10.0.1.0/30', '192.0.2.128/25'),
        selectors: r.chance(50) ? [] : [{ type: 'parties', scopeTags: [], tags: [{ key: 'app', operator: 'In', values: [r.pick(['web', 'db'])] }] }] });
  const rules = (): Rule[] => Array.from({ length: r.int(3) }, (_, i): Rule => ({ name: `rule ${i}`, action: r.pick(['Allow', 'Deny', 'Pass'] as const), peers: [peer()], ports: r.chance(50) ? [{ protocol: 'TCP', first: 80, last: 443 }] : undefined }));
  return Array.from({ length: 2 }, (_, i): Policy => ({ tier: r.pick(['Admin', 'Project', 'Baseline'] as const), priority: i, kind: 'policy', name: `model ${i}`, subject: { type: 'parties', scopeTags: [], tags: r.chance(50) ? [] : [{ key: 'app', operator: 'Exists' }] }, ingress: rules(), egress: rules(), isolates: r.some(['ingress', 'egress'] as const, 30) }));
}

describe('groups of a random world', () => {
  it('hold whom every rule decides alike, on every port that is asked', () => {
    let shared = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomOf(seed);
      const objects = cluster(random);
      const plain = worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest));
      // Each once more under another name, so that groups have members.
      const parties = [...plain.parties, ...plain.parties.map((party) => ({ ...party, name: `${party.name}-2`, tags: { ...party.tags, 'example.com/unread': 'x' } }))];
      const world = { ...plain, parties, policies: [...plain.policies, ...modelPolicies(random, { ...plain, parties })] };
      const index = indexWorld(world);
      const blocks = blocksFor([index]);
      const groups = groupsOf([index], everybody([index], blocks), blocks);
      const ports = random.some(somePorts(random, objects), 30);
      for (const from of groups) for (const to of groups) for (const pairs of pairsOf(from, to)) {
        const all = [...allPairs(pairs)];
        expect(all.length).toBe(pairs.count);
        if (all.length === 1 || random.chance(70)) continue;
        shared++;
        const said = ([a, b]: (typeof all)[number]): string => {
          const [source, target] = [a.sides[0], b.sides[0]] as [Side, Side];
          return familiesOf(source, target).map((family) => protocols.map((protocol) => ports.map((port) => {
            const { verdict, tier, policy, rule } = decide(index, { from: source, to: target, family, protocol, port });
            return `${verdict} ${tier} ${policy} ${rule}`;
          }).join()).join()).join();
        };
        const sample = said(pairs.sample);
        for (const pair of random.some(all, 50)) expect({ seed, pair: pair.map(({ name }) => name), said: said(pair) }).toEqual({ seed, pair: pair.map(({ name }) => name), said: sample });
      }
    }
    expect(shared).toBeGreaterThan(500);
  }, 60_000);
});
