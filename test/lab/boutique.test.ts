// Online Boutique in two environments with equal addresses, on three nodes: every pair, over real packets.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { labDown } from '@osier/lab/down';
import { readInventory, workloadsOf } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { loadManifests } from '@osier/lab/load';
import { repository } from '@osier/lab/paths';
import { labUp } from '@osier/lab/up';
import { type Pod, readManifests } from './oracle.ts';

interface Probe { from: string; to: string; protocol: string; port: number; reached: boolean }

const name = `bq${process.pid.toString(36)}`;
const folder = join(repository, 'test/data/online-boutique');
const manifests = readManifests(folder);
const environments = ['staging', 'production'];
let lab: Lab;
let probes: Probe[];

beforeAll(async () => {
  lab = await labUp({ name, nodes: 3, domains: ['acme'], project: 'shop' });
  await loadManifests(lab, { path: folder, environments });
  const ran = spawnSync(join(repository, 'osier'), ['lab', 'matrix', '--name', name, '--output', 'json'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  expect(ran.stderr).toBe('');
  probes = (JSON.parse(ran.stdout) as { probes: Probe[] }).probes;
}, 180_000);
afterAll(() => labDown(name), 60_000);

const file = join(tmpdir(), `osier-${name}-assertions.yaml`);
afterAll(() => rmSync(file, { force: true }));
const osier = (args: readonly string[], input = '') => spawnSync(join(repository, 'osier'), [...args, '--lab', name, '--output', 'json'], { encoding: 'utf8', input, maxBuffer: 64 * 1024 * 1024 });
const split = (path: string): { environment: string; pod: Pod } => {
  const [environment = '', podName] = path.split('/');
  const pod = manifests.pods.find((p) => p.name === podName);
  if (pod === undefined) throw new Error(`the manifests have no ${path}`);
  return { environment, pod };
};
const shown = (p: Probe): string => `${p.from} → ${p.to}:${p.port}`;

describe('the matrix of Online Boutique', () => {
  it('has every ordered pair and every declared port, inside and across, once', () => {
    const all = environments.flatMap((environment) => manifests.pods.map((pod) => `${environment}/${pod.name}`));
    const wanted = all.flatMap((from) => all.filter((to) => to !== from).flatMap((to) => split(to).pod.ports.map((port) => `${from} → ${to}:${port}`)));
    expect(probes.map(shown).sort()).toEqual(wanted.sort());
    expect(wanted).toHaveLength(24 * 22 - 22);
    expect(probes.every((p) => p.protocol === 'TCP')).toBe(true);
  });

  it.each(environments)('in %s is what the manifests say, to the last pair', (environment) => {
    const inside = probes.filter((p) => split(p.from).environment === environment && split(p.to).environment === environment);
    const wrong = inside.filter((p) => p.reached !== manifests.reaches(split(p.from).pod, split(p.to).pod, p.port));
    expect(wrong.map(shown)).toEqual([]);
    expect(inside.filter((p) => p.reached).map(shown)).toHaveLength(26);
  });

  it('never crosses from one environment to the other', () => {
    const across = probes.filter((p) => split(p.from).environment !== split(p.to).environment);
    expect(across).toHaveLength(24 * 11);
    expect(across.filter((p) => p.reached).map(shown)).toEqual([]);
  });

  it('is what `osier reach` computes of the running installation, to the last pair', () => {
    const asked = probes.map(({ from, to, protocol, port }) => ({ from, to, protocol, port }));
    const { verdicts } = JSON.parse(osier(['reach', '--all', '--probes', '-'], JSON.stringify(asked)).stdout) as { verdicts: { verdict: string; tier: string }[] };
    expect(verdicts).toHaveLength(probes.length);
    expect(probes.filter((p, i) => p.reached !== (verdicts[i]?.verdict === 'Allow')).map(shown)).toEqual([]);
  });

  it('holds the assertions that it should, and breaks those that it should, each shown by a packet that really gets through', () => {
    const assertions = { assertions: [
      { name: 'nothing in staging reaches production', from: { environment: 'staging' }, to: { environment: 'production' }, expect: 'deny' },
      { name: 'the cart is kept for the cart service alone', to: { environment: 'staging', tags: { app: 'redis-cart' } }, ports: ['TCP/6379'], onlyFrom: { environment: 'staging', tags: { app: 'cartservice' } } },
      { name: 'nobody reaches the cart', from: {}, to: { tags: { app: 'redis-cart' } }, expect: 'deny' },
    ] };
    writeFileSync(file, JSON.stringify(assertions));
    const { stdout, status } = osier(['policy', 'test', file, '--all']);
    const said = (JSON.parse(stdout) as { assertions: { name: string; result: string; counterexample?: { from: string; to: string; port: number } }[] }).assertions;
    expect([status, said.map(({ result }) => result)]).toEqual([1, said.map((_, i) => (i === 2 ? 'fails' : 'holds'))]);
    const packet = said[2]?.counterexample;
    expect(probes.filter((p) => packet && packet.from.endsWith(`/${p.from}`) && packet.to.endsWith(`/${p.to}`) && p.port === packet.port).map(({ reached }) => reached)).toEqual([true]);
  });

  it('was over three nodes, with equal addresses in both environments', () => {
    const [staging, production] = environments.map((e) => workloadsOf(readInventory(lab.paths)).filter((w) => w.environment === e));
    expect(new Set(staging?.map((w) => w.node)).size).toBe(3);
    expect(staging?.map((w) => w.address)).toEqual(production?.map((w) => w.address));
    expect(staging?.some((w, index) => w.node !== production?.[index]?.node)).toBe(true);
  });

  it('agrees with what the listeners heard: only peers whom the manifests allow', () => {
    const addresses = new Map(workloadsOf(readInventory(lab.paths)).map((w) => [w.address, w.name]));
    let heard = 0;
    for (const w of workloadsOf(readInventory(lab.paths))) {
      const lines = readFileSync(lab.paths.log(`w.${w.environment}.${w.name}`), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as { event: string; peer?: string; port: number });
      for (const line of lines.filter((l) => l.event === 'peer')) {
        const peer = addresses.get(line.peer?.split(':')[0] ?? '') ?? 'unknown';
        heard += 1;
        // The address of a workload reaches the workload itself, whoever else holds the address elsewhere.
        if (peer === w.name) continue;
        expect(`${peer} → ${w.name}:${line.port} ${manifests.reaches(split(`x/${peer}`).pod, split(`x/${w.name}`).pod, line.port)}`).toBe(`${peer} → ${w.name}:${line.port} true`);
      }
    }
    expect(heard).toBeGreaterThanOrEqual(2 * 26);
  });

  it('is remembered: `osier reach --at` says what was so before a policy went, at its revision and at its time', () => {
    const verdict = (...at: string[]): string | undefined => {
      const { stdout } = osier(['reach', '-e', 'staging', '--from', 'cartservice', '--to', 'redis-cart', '--port', '6379', ...at]);
      return (JSON.parse(stdout) as { verdicts: { verdict: string }[] }).verdicts[0]?.verdict;
    };
    const items = ['policies', 'endpoints'].flatMap((kind) => (JSON.parse(osier(['get', kind, '--all']).stdout) as { items: { revision: number }[] }).items);
    const [revision, time] = [Math.max(...items.map((item) => item.revision)), new Date().toISOString()];
    expect(verdict()).toBe('Allow');
    expect(osier(['delete', 'policy', 'redis-cart', '-e', 'staging', '--wait']).status).toBe(0);
    expect([verdict(), verdict('--at', String(revision)), verdict('--at', time), verdict('--at', '999999999')]).toEqual(['Deny', 'Allow', 'Allow', 'Deny']);
  }, 60_000);
});
