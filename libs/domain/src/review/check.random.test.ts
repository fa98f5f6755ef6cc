import { describe, expect, it } from '@jest/globals';
import { families, held, isParty, nameOf, nodeAddresses, partyNames, passesIn, protocols, type Question, somePorts, templateOf } from '../../test/reach/brute.ts';
import { Oracle } from '../../test/reach/oracle.ts';
import { type Random, randomOf } from '../../test/reach/random.ts';
import { cluster, namespaces, type Obj } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { indexWorld } from '../rules/index-world.ts';
import { everybody, blocksFor } from './alike.ts';
import { readAssertions } from './assertions.ts';
import { checker } from './check.ts';

const seeds = Number(process.env['OSIER_REACH_SEEDS'] ?? 40);
const firstSeed = Number(process.env['OSIER_REACH_FIRST_SEED'] ?? 1);

/* eslint-disable @typescript-eslint/no-explicit-any -- manifests are read as they were written */
interface Who { namespace?: string; labels?: Record<string, string | string[]>; outside?: true; ip?: string }
interface Written { name: string; from?: Who; to?: Who; onlyFrom?: Who; onlyTo?: Who; expect?: string; ports?: string[]; otherPorts?: string; mayBeEmpty: true }

function who(r: Random): Who {
  if (r.chance(12)) return { outside: true };
  if (r.chance(12)) return { ip: r.pick(['192.0.2.1', '10.0.1.3', '10.0.1.200', 'fd00:0:0:1::4', '9000::1']) };
  return { ...(r.chance(60) ? { namespace: r.pick(namespaces) } : {}), ...(r.chance(50) ? { labels: { [r.pick(['app', 'env', 'tier'])]: r.chance(30) ? ['a', 'b'] : r.pick(['a', 'b', 'c']) } } : {}) };
}
const ports = (r: Random): string[] => [r.pick(['TCP/80', 'TCP/443', 'UDP/53', 'TCP/5432', 'SCTP/79-81', 'ICMP', 'TCP', 'UDP/1-65535']), ...(r.chance(40) ? [r.pick(['TCP/53', 'UDP/80'])] : [])];
function assertion(r: Random, i: number): Written {
  const base = { name: `assertion ${i}`, mayBeEmpty: true as const };
  const form = r.pick(['deny', 'allow', 'onlyFrom', 'onlyTo']);
  const named = form === 'allow' || r.chance(55) ? { ports: ports(r) } : {};
  if (form === 'deny' || form === 'allow') return { ...base, from: who(r), to: who(r), expect: form, ...named };
  const elsewhere = 'ports' in named && r.chance(40) ? { otherPorts: 'ignored' } : {};
  return form === 'onlyFrom' ? { ...base, to: who(r), onlyFrom: who(r), ...named, ...elsewhere } : { ...base, from: who(r), onlyTo: who(r), ...named, ...elsewhere };
}

/** Whether a side is meant, and by which family alone. */
function meant(objects: readonly Obj[], { namespace, labels, outside, ip }: Who, side: string, free: readonly string[]): (4 | 6)[] {
  if (outside === true) return free.includes(side) ? [4, 6] : [];
  if (ip !== undefined) {
    const six = ip.includes(':');
    const pod: any = objects.find((object) => isParty(object) && nameOf(object) === side);
    const has = pod === undefined ? side === `ip:${ip}` : pod.kind === 'Pod' && pod.spec.hostNetwork !== true && (pod.status?.podIPs ?? [{ ip: pod.status?.podIP }]).some((one: any) => one.ip === ip);
    return has ? [six ? 6 : 4] : [];
  }
  if (side.startsWith('ip:')) return [];
  const pod: any = objects.find((object) => isParty(object) && nameOf(object) === side);
  const own = templateOf(pod).metadata?.labels ?? {};
  const fits = (namespace === undefined || namespace === pod.metadata.namespace) && Object.entries(labels ?? {}).every(([key, value]) => Object.hasOwn(own, key) && [value].flat().includes(own[key]));
  return fits ? [4, 6] : [];
}

const nodeNameOf = (objects: readonly Obj[], side: string): { node: string | undefined; onNode: boolean } => {
  const node: any = objects.find((object: any) => object.kind === 'Node' && object.status.addresses.some((a: any) => `ip:${a.address}` === side));
  if (node !== undefined) return { node: node.metadata.name, onNode: true };
  const pod: any = objects.find((object) => isParty(object) && nameOf(object) === side);
  return { node: pod && templateOf(pod).spec?.nodeName, onNode: pod !== undefined && templateOf(pod).spec?.hostNetwork === true };
};
function ownNode(objects: readonly Obj[], a: string, b: string): boolean {
  const [x, y] = [nodeNameOf(objects, a), nodeNameOf(objects, b)];
  return x.node !== undefined && x.node === y.node && x.onNode !== y.onNode;
}

const covers = (listed: readonly string[] | undefined, protocol: string, port: number): boolean => listed === undefined || listed.some((text) => {
  const [, of = '', first, last] = /^([A-Z]+)(?:\/(\d+)(?:-(\d+))?)?$/.exec(text) ?? [];
  return of === protocol && (first === undefined || (port >= Number(first) && port <= Number(last ?? first)));
});

/** Every pair, family, protocol and port, one at a time. */
function holds(objects: readonly Obj[], written: Written, sides: readonly string[], free: readonly string[], numbers: readonly number[]): boolean {
  const oracle = new Oracle([...objects]);
  const { from, to, onlyFrom, onlyTo, expect: wish } = written;
  const only = onlyFrom ?? onlyTo;
  for (const a of sides) for (const b of sides) {
    if (a === b || (a.startsWith('ip:') && b.startsWith('ip:'))) continue;
    const fixedFrom = from === undefined ? [4, 6] : meant(objects, from, a, free);
    const fixedTo = to === undefined ? [4, 6] : meant(objects, to, b, free);
    const chosen = onlyFrom !== undefined ? meant(objects, onlyFrom, a, free) : onlyTo !== undefined ? meant(objects, onlyTo, b, free) : [4, 6];
    for (const family of families(objects, a, b)) {
      const within = (list: number[]): boolean => (family === undefined ? list.length > 0 : list.includes(family));
      if (!within(fixedFrom) || !within(fixedTo)) continue;
      const questions = protocols.flatMap((protocol) => numbers.map((port): Question & { named: boolean } => ({ from: a, to: b, family, protocol, port, named: covers(written.ports, protocol, port) })));
      const passing = questions.map((question) => passesIn(oracle, question));
      const isWrong = (bad: (question: { named: boolean }, passes: boolean) => boolean): boolean => questions.some((question, i) => bad(question, passing[i] as boolean));
      if (wish === 'deny' && isWrong(({ named }, passes) => named && passes)) return false;
      if (wish === 'allow' && isWrong(({ named }, passes) => named && !passes)) return false;
      if (only === undefined) continue;
      if (!within(chosen)) {
        if (!ownNode(objects, a, b) && isWrong(({ named }, passes) => (named || written.otherPorts !== 'ignored') && passes)) return false;
      } else if (written.ports === undefined ? !passing.some(Boolean) : isWrong(({ named }, passes) => (named ? !passes : passes && written.otherPorts !== 'ignored'))) return false;
    }
  }
  return true;
}

describe('assertions about random clusters', () => {
  it('hold where a brute force of the oracle finds them to hold, and where not, the oracle says the same of the counterexample', () => {
    const seen = { holds: 0, fails: 0, vacuous: 0, undecidable: 0 };
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const random = randomOf(seed);
      const objects = cluster(random);
      const index = indexWorld(worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest)));
      const written = Array.from({ length: 8 }, (_, i) => assertion(random, i));
      const { assertions, problems } = readAssertions({ assertions: written }, 'kubernetes');
      expect({ seed, problems }).toEqual({ seed, problems: [] });
      const taken = held(objects);
      const blocks = assertions.flatMap(({ from, to }) => [...from, ...to].flatMap(({ block }) => block ?? []));
      // The addresses to ask with are those of the model; that they stand for all others is what the comparison of worlds is tested for.
      const free = everybody([index], blocksFor([index], blocks)).map(({ name }) => name).filter((name) => name.startsWith('ip:') && !taken.has(name));
      const sides = [...partyNames(objects), ...nodeAddresses(objects), ...free];
      const numbers = [...new Set([...somePorts(random, objects), 53, 79, 80, 81, 443, 5432])];
      const check = checker(index, assertions);
      assertions.forEach((one, i) => {
        const outcome = check(one);
        seen[outcome.result]++;
        const expected = holds(objects, written[i] as Written, sides, free, numbers) ? 'holds' : 'fails';
        expect({ seed, written: written[i], result: outcome.result }).toEqual({ seed, written: written[i], result: expected });
        if (outcome.result !== 'fails') return;
        const { from, to, family, protocol, port, expected: wish } = outcome.counterexample;
        const question = { from, to, family, protocol, port };
        expect({ seed, question, passes: passesIn(new Oracle([...objects]), question) }).toEqual({ seed, question, passes: wish === 'deny' });
      });
    }
    expect(seen.holds).toBeGreaterThan(seeds / 2);
    expect(seen.fails).toBeGreaterThan(seeds);
  }, 180_000);
});
