import { describe, expect, it } from '@jest/globals';
import { families, held, nodeAddresses, partyNames, passesIn, protocols, somePorts } from '../../test/reach/brute.ts';
import { Oracle } from '../../test/reach/oracle.ts';
import { type Random, randomOf } from '../../test/reach/random.ts';
import { change, cluster, type Obj } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { contains, parseAddress } from '../net/address.ts';
import { type IndexedWorld, indexWorld } from '../rules/index-world.ts';
import { allPairs, blocksFor, everybody } from './alike.ts';
import { type Change, compare } from './compare.ts';

/** More of them: OSIER_REACH_SEEDS=500. */
const seeds = Number(process.env['OSIER_REACH_SEEDS'] ?? 60);
const firstSeed = Number(process.env['OSIER_REACH_FIRST_SEED'] ?? 1);
const [pairsPerSeed, portsPerPair] = [40, 16];
const outside = ['192.0.2.1', '192.0.2.200', '10.0.1.15', '10.0.1.100', '10.0.2.0', '127.255.255.255', '128.0.0.0', '203.0.113.9', '2001:db8::1', '2001:db8:0:1::5', 'fd00::1', 'fd00:0:0:1::e', '9000::1'];

const indexOf = (objects: readonly Obj[]): IndexedWorld => indexWorld(worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest)));

/** What stands for an address in a comparison: the node that has it, else one address of its class. */
function standIn(worlds: readonly IndexedWorld[], text: string): string {
  if (!text.startsWith('ip:')) return text;
  const address = parseAddress(text.slice(3));
  if (address === undefined) throw new Error(text);
  const blocks = blocksFor(worlds);
  const look = (of: typeof address): string => `${of.family} ${blocks.map((block) => contains(block, of)).join()}`;
  const members = everybody(worlds, blocks);
  const onNode = members.find(({ name, label }) => name === text && label.startsWith('node '));
  const alike = members.find(({ name, label, sides: [side] }) => name.startsWith('ip:') && !label.startsWith('node ') && side?.addresses[0] !== undefined && look(side.addresses[0]) === look(address));
  const found = onNode ?? alike;
  if (found === undefined) throw new Error(`nobody stands for ${text}`);
  return found.name;
}

function told(changes: readonly Change[]): (from: string, to: string) => Change[] {
  const byPair = new Map<string, Change[]>();
  for (const one of changes) for (const pairs of one.pairs) for (const [a, b] of allPairs(pairs)) byPair.set(`${a.name} ${b.name}`, [...(byPair.get(`${a.name} ${b.name}`) ?? []), one]);
  return (from, to) => byPair.get(`${from} ${to}`) ?? [];
}

function changed(random: Random, objects: readonly Obj[]): Obj[] {
  let after = [...objects];
  for (let i = 0; i <= random.int(3); i++) after = change(random, after, i + 1).after;
  return after;
}

describe('a comparison of two random worlds', () => {
  it('tells what a brute force of the oracle finds opened and closed, over boundary ports and others', () => {
    const seen = { opens: 0, closes: 0, same: 0 };
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const random = randomOf(seed);
      const before = cluster(random);
      const after = changed(random, before);
      const worlds = [indexOf(before), indexOf(after)] as const;
      const changes = told(compare(...worlds).changes);
      const [old, now] = [new Oracle([...before]), new Oracle([...after])];
      const taken = new Set([...held(before), ...held(after)]);
      const sides = [...new Set([...partyNames(before), ...partyNames(after), ...nodeAddresses(before), ...nodeAddresses(after)])];
      const free = outside.map((ip) => `ip:${ip}`).filter((ip) => !taken.has(ip));
      const isThere = (objects: readonly Obj[], text: string): boolean => free.includes(text) || partyNames(objects).includes(text) || nodeAddresses(objects).includes(text);
      for (let i = 0; i < pairsPerSeed; i++) {
        const side = (): string => (random.chance(75) && sides.length > 0 ? random.pick(sides) : random.pick(free));
        const [from, to] = [side(), side()];
        if (from === to || (from.startsWith('ip:') && to.startsWith('ip:'))) continue;
        const familiesIn = [before, after].map((objects) => (isThere(objects, from) && isThere(objects, to) ? families(objects, from, to) : []));
        const mine = changes(standIn(worlds, from), standIn(worlds, to));
        const ports = somePorts(random, [...before, ...after]);
        for (const family of new Set(familiesIn.flat())) for (const protocol of protocols) for (const port of random.some(ports, (100 * portsPerPair) / ports.length)) {
          const question = { from, to, family, protocol, port };
          const [passed, passing] = [old, now].map((oracle, world) => familiesIn[world]?.includes(family) === true && passesIn(oracle, question)) as [boolean, boolean];
          const expected = passed === passing ? 'same' : passing ? 'opens' : 'closes';
          const effects = mine.filter((one) => (one.families.length === 0 || one.families.includes(family)) && one.ports.some((range) => range.protocol === protocol && range.first <= port && port <= range.last)).map(({ effect }) => effect);
          seen[expected]++;
          if (effects.join() !== (expected === 'same' ? '' : expected)) expect({ seed, ...question, effects }).toEqual({ seed, ...question, effects: [expected] });
        }
      }
    }
    for (const kind of ['opens', 'closes', 'same'] as const) expect([kind, seen[kind] > 20 * seeds]).toEqual([kind, true]);
  }, 120_000);
});
