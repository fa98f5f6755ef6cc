// An endpoint is protected from its first packet on, and loses none once it is said to be ready.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deploy } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { readInventory } from '@osier/lab/inventory';
import type { AppWorkload } from '@osier/lab/kubernetes/application';
import type { Lab } from '@osier/lab/lab';
import { place } from '@osier/lab/place';
import { labUp } from '@osier/lab/up';
import { askWorkload } from '@osier/lab/workload/ask';
import { at } from './shop.ts';

const name = `fp${process.pid.toString(36)}`;
const here = { domain: 'acme', project: 'shop', environment: 'test' };
const nodes = ['node-1', 'node-2'];
const workload = (app: string, kind: string): AppWorkload => ({ name: app, tags: { kind }, ports: [{ protocol: 'TCP', port: 8080 }] });
const fresh = Array.from({ length: 8 }, (_, index) => workload(`fresh-${index}`, 'fresh'));
const old = ['friend', 'stranger'].flatMap((kind) => nodes.map((node) => workload(`${kind}-on-${node}`, kind)));
let lab: Lab;

beforeAll(async () => {
  lab = await labUp({ name, nodes: nodes.length, domains: ['acme'], project: 'shop' });
  const friendsOnly = { name: 'friends-only', spec: { appliesTo: { matchTags: { kind: 'fresh' } }, priority: 1000, ingress: [{ action: 'Allow' as const, from: [{ endpoints: { matchTags: { kind: 'friend' } } }] }] } };
  await deploy(lab, [place({ lab: name, ...here, turn: 0, nodes, workloads: old, services: [] })], [friendsOnly]);
}, 90_000);
afterAll(() => labDown(name), 60_000);

describe('endpoints that are made while a stranger knocks at their addresses', () => {
  it('never let it in; and answer a friend at the first packet as soon as they are said to be ready', async () => {
    const before = readInventory(lab.paths).environments.find((e) => e.name === 'test');
    const next = place({ lab: name, ...here, turn: 0, nodes, workloads: fresh, services: [], ...(before === undefined ? {} : { before }) });
    const targets = next.workloads.map((w) => ({ address: w.address, port: 8080, protocol: 'TCP' }));
    let [ready, knocks] = [false, 0];
    const strangers = old.filter((w) => w.tags.kind === 'stranger').map(async (w) => {
      for (let after = 0; after < 10; after += ready ? 1 : 0) {
        const { results } = await askWorkload(lab.paths, `test/${w.name}`, 'probe', { targets, timeoutMs: 120 });
        knocks += results.length;
        expect(results.map((r) => r.result).filter((r) => r !== 'timeout' && r !== 'unreachable')).toEqual([]);
      }
    });
    await deploy(lab, [next], []);
    // Below the second after which TCP would send its SYN again (RFC 6298, 2.1): an answer proves that the first packet was carried.
    const friends = await Promise.all(old.filter((w) => w.tags.kind === 'friend').map((w) => askWorkload(lab.paths, `test/${w.name}`, 'probe', { targets, timeoutMs: 900 })));
    ready = true;
    expect(friends.flatMap(({ results }) => results.map((r) => r.result))).toEqual(Array(2 * fresh.length).fill('answered'));
    await Promise.all(strangers);
    expect(knocks).toBeGreaterThan(100);

    const friendly = old.filter((w) => w.tags.kind === 'friend').map((w) => at(lab, `test/${w.name}`).address);
    for (const w of fresh) {
      const peers = readFileSync(lab.paths.log(`w.test.${w.name}`), 'utf8').split('\n').filter((line) => line.includes('"peer"')).map((line) => (JSON.parse(line) as { peer: string }).peer.split(':')[0]);
      expect([...new Set(peers)].sort()).toEqual([...friendly].sort());
    }
  }, 60_000);
});
