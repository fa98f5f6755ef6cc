// The smallest whole: one node, one network, two endpoints. Intent, service, state, kernel, packet, receipt.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deploy, scopeOf, waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { nodeNamespace, underlayNamespace } from '@osier/lab/names';
import type { Lab } from '@osier/lab/lab';
import { place } from '@osier/lab/place';
import { proveDenied } from '@osier/lab/demo/prove';
import { grantNamespaces } from '@osier/lab/system/grants';
import { run } from '@osier/lab/system/run';
import { labUp } from '@osier/lab/up';
import { askWorkload } from '@osier/lab/workload/ask';
import { at, reaches, wish } from './shop.ts';

const name = `sl${process.pid.toString(36)}`;
const here = { domain: 'acme', project: 'shop', name: 'test' };
const workload = (app: string) => ({ name: app, tags: { app }, ports: [{ protocol: 'TCP' as const, port: 8080 }, { protocol: 'UDP' as const, port: 5353 }] });
let lab: Lab;

/** Asks until there is an answer, at most ten seconds. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  for (const until = Date.now() + 10_000; ; await sleep(100)) {
    const answer = await ask();
    if (answer !== undefined || Date.now() > until) return answer;
  }
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 1, domains: ['acme'], project: 'shop' });
  const environment = place({ lab: name, ...here, environment: 'test', turn: 0, nodes: ['node-1'], workloads: [workload('a'), workload('b')], services: [{ name: 'svc', selector: { app: 'b' }, ports: [] }] });
  const enforcement = await deploy(lab, [environment], []);
  expect(enforcement).toMatchObject({ state: 'enforced', nodes: [{ node: 'node-1', enforced: true }] });
}, 90_000);
afterAll(() => labDown(name), 60_000);

describe('one network, two endpoints, one node', () => {
  it('carries TCP and UDP, each to the listener that was meant', async () => {
    expect(await reaches(lab, 'test/a', 'test/b', 8080)).toBe(true);
    expect(await reaches(lab, 'test/b', 'test/a', 8080)).toBe(true);
    expect(await reaches(lab, 'test/a', 'test/b', 5353, 'UDP')).toBe(true);
  });

  it('gives each namespace its address and the names of its environment', async () => {
    expect(await run('ip', ['-n', at(lab, 'test/a').namespace, '-4', '-o', 'address', 'show', 'dev', 'eth0'])).toContain(` ${at(lab, 'test/a').address}/32`);
    expect(await run('ip', ['netns', 'exec', at(lab, 'test/a').namespace, 'cat', '/etc/hosts'])).toMatch(/^10\.20\.0\.11 svc$/m);
  });

  it('an endpoint does not see the underlay, and the node does not route for it', async () => {
    const toNode = { address: '192.0.2.11', port: 22, protocol: 'TCP' };
    const { results } = await askWorkload(lab.paths, 'test/a', 'probe', { targets: [toNode], timeoutMs: 500 });
    expect(results[0]?.result).toBe('timeout');
    expect(await run('ip', ['netns', 'exec', nodeNamespace(name, 'node-1'), 'cat', '/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  it('a policy denies from the moment it is said to be in force, established connections too, and the record names its rule', async () => {
    await askWorkload(lab.paths, 'test/a', 'open', { id: 'c', target: { address: at(lab, 'test/b').address, port: 8080, protocol: 'TCP' }, timeoutMs: 2_000 });
    await askWorkload(lab.paths, 'test/a', 'say', { id: 'c', timeoutMs: 2_000 });
    const deny = { appliesTo: { matchTags: { app: 'b' } }, ingress: [{ name: 'not-a', action: 'Deny', from: [{ endpoints: { matchTags: { app: 'a' } } }] }] };
    const { changes } = await lab.client.apply('policy', scopeOf(here), 'guard', deny);
    const enforcement = await waitEnforced(lab, changes);
    expect(enforcement.revision).toBe(changes[0]?.revision);
    await expect(askWorkload(lab.paths, 'test/a', 'say', { id: 'c', timeoutMs: 800 })).rejects.toThrow('no echo');
    expect(await reaches(lab, 'test/a', 'test/b', 8080)).toBe(false);
    const record = await proveDenied(lab, wish(lab, 'test/a', 'test/b', 8080), here);
    expect(record).toMatchObject({
      verdict: 'denied', reason: 'policy_denied', source: { endpoint: 'acme/shop/test/a' }, destination: { endpoint: 'acme/shop/test/b', port: 8080 },
      decisions: expect.arrayContaining([expect.objectContaining({ policy: 'acme/shop/test/guard', rule: 'not-a', direction: 'ingress' })]),
    });
    expect(record?.revision).toBeGreaterThanOrEqual(enforcement.revision);
    await waitEnforced(lab, (await lab.client.delete('policy', scopeOf(here), 'guard')).changes);
    expect(await reaches(lab, 'test/a', 'test/b', 8080)).toBe(true);
  }, 30_000);

  it.each([['of the node', () => nodeNamespace(name, 'node-1')], ['of the underlay', () => underlayNamespace(name)]])('an endpoint that names the namespace %s gets none', async (_whose, namespace) => {
    await lab.client.apply('endpoint', scopeOf(here), 'thief', { network: 'main', node: 'node-1', attachment: { containerId: namespace(), interface: 'thief0' } });
    await expect(eventually(async () => (await lab.client.nodes())[0]?.receipt?.pending.find((p) => p.path === 'acme/shop/test/thief')?.code)).resolves.toBe('namespace-missing');
    expect(await run('ip', ['-n', namespace(), '-o', 'link', 'show'])).not.toContain('thief0');
    await waitEnforced(lab, (await lab.client.delete('endpoint', scopeOf(here), 'thief')).changes);
  }, 30_000);

  it('the agent refuses the namespace of its node even where a link leads to it', async () => {
    grantNamespaces(lab.paths, [{ node: 'node-1', namespace: nodeNamespace(name, 'node-1') }]);
    await lab.client.apply('endpoint', scopeOf(here), 'thief', { network: 'main', node: 'node-1', attachment: { containerId: nodeNamespace(name, 'node-1'), interface: 'thief0' } });
    await expect(eventually(async () => (await lab.client.nodes())[0]?.receipt?.pending.find((p) => p.path === 'acme/shop/test/thief')?.code)).resolves.toBe('namespace-not-allowed');
    expect(await run('ip', ['-n', nodeNamespace(name, 'node-1'), '-o', 'link', 'show'])).not.toContain('thief0');
    await waitEnforced(lab, (await lab.client.delete('endpoint', scopeOf(here), 'thief')).changes);
  }, 30_000);

  it('a deleted endpoint is gone from the kernel when the deletion is said to be in force', async () => {
    await waitEnforced(lab, (await lab.client.delete('endpoint', scopeOf(here), 'b')).changes);
    expect(await reaches(lab, 'test/a', 'test/b', 8080)).toBe(false);
    const links = await run('ip', ['-n', at(lab, 'test/b').namespace, '-o', 'link', 'show']);
    expect(links).not.toMatch(/eth0/);
  });

  it('keeps every secret out of logs, arguments and environments', () => {
    const words = readdirSync(lab.paths.secrets).flatMap((file) => [...readFileSync(join(lab.paths.secrets, file), 'utf8').matchAll(/S[UO][A-Z2-7]{56}|"(?:token|root)": ?"([^"]+)"/g)].map((m) => m[1] ?? m[0]));
    expect(new Set(words).size).toBeGreaterThan(8);
    for (const program of ['nats', 'tenant', 'ipam', 'topology', 'policy', 'api', 'agent-node-1', 'supervisor']) {
      const pid = (JSON.parse(readFileSync(`${lab.paths.pids}/${program}.json`, 'utf8')) as { pid: number }).pid;
      const seen = [readFileSync(lab.paths.log(program), 'utf8'), readFileSync(`/proc/${pid}/cmdline`, 'utf8'), readFileSync(`/proc/${pid}/environ`, 'utf8')].join('\n');
      expect(words.filter((word) => seen.includes(word))).toEqual([]);
    }
  });
});
