// Policies of every kind and scope, drawn at random, in real kernels: each pair and port, by packets, beside an oracle that reads the documents and beside `osier reach`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Scope } from '@osier/contracts/document';
import { type Kind, kinds } from '@osier/contracts/kinds';
import type { Change } from '@osier/lab/client';
import { deploy, waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import type { Lab } from '@osier/lab/lab';
import { repository } from '@osier/lab/paths';
import { place } from '@osier/lab/place';
import { probe } from '@osier/lab/probes';
import { labUp } from '@osier/lab/up';
import { type GroupDocument, keys, type PolicyDocument, randomWorld, values } from '../../libs/domain/test/policies.ts';
import { oracle } from '../../libs/domain/test/policy-oracle.ts';
import { randomOf } from '../../libs/domain/test/reach/random.ts';
import { at } from './shop.ts';

const name = `rp${process.pid.toString(36)}`;
const none = '_';
/** Some more rounds: OSIER_LAB_ROUNDS=50. */
const rounds = Number(process.env['OSIER_LAB_ROUNDS'] ?? 6);
const ports = [
  { name: 'web', protocol: 'TCP' as const, port: 80 }, { protocol: 'TCP' as const, port: 443 }, { protocol: 'TCP' as const, port: 8011 }, { protocol: 'TCP' as const, port: 8080 },
  { name: 'dns', protocol: 'UDP' as const, port: 53 }, { protocol: 'UDP' as const, port: 80 },
];
const r = randomOf(7);
const workloads = Array.from({ length: 5 }, (_, n) => ({
  name: `e${n}`, tags: Object.fromEntries(r.some(keys, 75).map((key) => [key, r.pick(values)])), ports: ports.map((one) => (n === 3 && one.port === 8080 ? { ...one, name: 'web' } : n === 3 && one.port === 80 ? { protocol: one.protocol, port: 80 } : one)),
}));
/** The generator's addresses end in 0 to 7; the lab's in 8 to 15. */
const moved = <T>(of: T): T => JSON.parse(JSON.stringify(of).replaceAll(/10\.0\.0\.(\d)/g, (_, last: string) => `10.20.0.${8 + Number(last)}`)) as T;
const scopeOf = (kind: Kind): Scope => {
  const { level } = kinds[kind];
  return { domain: level === 'platform' ? none : 'acme', project: level === 'platform' || level === 'domain' ? none : 'shop', environment: level === 'environment' ? 'staging' : none };
};
let lab: Lab;
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  for (const until = Date.now() + 10_000; ; await sleep(100)) {
    const answer = await ask();
    if (answer !== undefined || Date.now() > until) return answer;
  }
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
  await deploy(lab, [place({ lab: name, domain: 'acme', project: 'shop', environment: 'staging', turn: 0, nodes: ['node-1', 'node-2'], workloads, services: [] })], []);
}, 120_000);
afterAll(() => labDown(name), 60_000);

interface Made { readonly policies: readonly PolicyDocument[]; readonly groups: readonly GroupDocument[] }
const named = (made: Made): { kind: Kind; name: string; spec: unknown }[] => [...made.groups, ...made.policies];
/** The groups that policies name are there before them and go after them. */
async function change(from: Made, to: Made): Promise<void> {
  const changes: Change[] = [];
  for (const one of named(to)) changes.push(...(await lab.client.apply(one.kind, scopeOf(one.kind), one.name, one.spec as Record<string, unknown>)).changes);
  const key = (one: { kind: string; name: string }): string => `${one.kind} ${one.name}`;
  const stays = new Set(named(to).map(key));
  for (const one of named(from).reverse()) if (!stays.has(key(one))) changes.push(...(await lab.client.delete(one.kind, scopeOf(one.kind), one.name)).changes);
  await waitEnforced(lab, changes);
}

describe('policies of every scope, with groups, blocks, ranges, names of ports and the same tags', () => {
  it('decide each packet as an oracle and as osier reach say', async () => {
    const endpoints = workloads.map((w) => ({ name: w.name, spec: { tags: w.tags, address: at(lab, `staging/${w.name}`).address, ports: w.ports } }));
    const pairs = endpoints.flatMap((from) => endpoints.filter((to) => to !== from).flatMap((to) => ports.map(({ protocol, port }) => ({ from, to, protocol, port }))));
    const found = { wrong: new Array<string>(), unlike: new Array<string>(), denied: 0, kinds: new Set<string>() };
    let before: Made = { policies: [], groups: [] };
    let asked = 0;
    for (let seed = 101; asked < rounds; seed++) {
      const world = moved(randomWorld(seed));
      // A world without rules would prove nothing, and one that names a group which is not there is refused.
      const missing = world.groups.length < 6;
      if (world.policies.length < 3 || missing || new Set(world.policies.map(({ kind }) => kind)).size < 3) continue;
      asked++;
      await change(before, world);
      before = world;
      for (const { kind } of world.policies) found.kinds.add(kind);
      const probes = await probe(lab.paths, pairs.map(({ from, to, protocol, port }) => ({ from: at(lab, `staging/${from.name}`), to: at(lab, `staging/${to.name}`), protocol, port })));
      const reach = spawnSync(join(repository, 'osier'), ['reach', '--all', '--probes', '-', '--lab', name, '--output', 'json'], { encoding: 'utf8', input: JSON.stringify(pairs.map(({ from, to, protocol, port }) => ({ from: `staging/${from.name}`, to: `staging/${to.name}`, protocol, port }))) });
      expect(reach.stderr).toBe('');
      const { verdicts } = JSON.parse(reach.stdout) as { verdicts: { verdict: string }[] };
      pairs.forEach(({ from, to, protocol, port }, i) => {
        const said = (['egress', 'ingress'] as const).map((direction) => (direction === 'egress' ? oracle(world, from, to, direction, protocol, port) : oracle(world, to, from, direction, protocol, port)));
        const expected = said.every(({ action }) => action === 'Allow');
        if (!expected) found.denied++;
        const what = `seed ${seed} ${from.name} → ${to.name} ${protocol} ${port}`;
        if (probes[i]?.reached !== expected) found.wrong.push(`${what}: ${probes[i]?.reached === true ? 'reached' : 'not reached'}, oracle ${said.map(({ action, rule }) => `${action} ${rule}`).join(', ')}`);
        if (verdicts[i]?.verdict !== (expected ? 'Allow' : 'Deny')) found.unlike.push(`${what}: reach says ${verdicts[i]?.verdict}`);
      });
    }
    expect(found.wrong).toEqual([]);
    expect(found.unlike).toEqual([]);
    expect(found.denied / (pairs.length * rounds)).toBeGreaterThan(0.1);
    expect(found.kinds.size).toBe(4);
    await change(before, { policies: [], groups: [] });
  }, 60_000 + 15_000 * rounds);
});

describe('a shadow policy', () => {
  const guard = { name: 'guard', kind: 'project-policy' as const, spec: { tier: 'Admin', appliesTo: {}, ingress: [{ name: 'no-web', action: 'Deny', ports: [{ protocol: 'TCP', port: 80 }] }] } };
  const put = async (mode: string) => waitEnforced(lab, (await lab.client.apply(guard.kind, scopeOf(guard.kind), guard.name, { ...guard.spec, mode })).changes);
  const web = () => [{ from: at(lab, 'staging/e0'), to: at(lab, 'staging/e1'), protocol: 'TCP' as const, port: 80 }];
  const reached = async (): Promise<boolean | undefined> => (await probe(lab.paths, web()))[0]?.reached;

  it('stops no packet, is told in the flow records with its rule, and stops what it said when it is put in force', async () => {
    await put('shadow');
    expect(await reached()).toBe(true);
    const told = await eventually(async () => (await lab.client.flows({ domain: 'acme', project: 'shop', environment: 'staging' })).filter(({ shadow }) => shadow?.ingress?.policy === 'acme/shop/guard').at(-1));
    expect(told).toMatchObject({ verdict: 'allowed', shadow: { verdict: 'denied', ingress: { policy: 'acme/shop/guard', rule: 'no-web', direction: 'ingress' } } });
    await put('enforced');
    expect(await reached()).toBe(false);
    await put('shadow');
    expect(await reached()).toBe(true);
    await waitEnforced(lab, (await lab.client.delete(guard.kind, scopeOf(guard.kind), guard.name)).changes);
    expect(await reached()).toBe(true);
  }, 60_000);
});
