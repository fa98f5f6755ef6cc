// Clusters drawn at random, as manifests: loaded into a lab, changed and loaded again, and asked by real packets beside an oracle that reads the manifests.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { labDown } from '@osier/lab/down';
import { readInventory, workloadsOf } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { loadManifests } from '@osier/lab/load';
import { repository } from '@osier/lab/paths';
import { labUp } from '@osier/lab/up';
import { Oracle } from '../../libs/domain/test/reach/oracle.ts';
import { type Random, randomOf } from '../../libs/domain/test/reach/random.ts';
import { change, cluster, type Obj } from '../../libs/domain/test/reach/worlds.ts';

const name = `rk${process.pid.toString(36)}`;
const folder = mkdtempSync(join(tmpdir(), 'osier-lab-kubernetes-'));
/** More of them: OSIER_LAB_ROUNDS=50. */
const rounds = Number(process.env['OSIER_LAB_ROUNDS'] ?? 3);
const environment = 'cluster';
let lab: Lab;
beforeAll(async () => {
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
}, 120_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await labDown(name);
}, 60_000);

async function osier(args: string[], input: string): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(join(repository, 'osier'), args, { cwd: folder });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr };
}
async function load(objects: readonly Obj[]): Promise<readonly string[]> {
  writeFileSync(join(folder, 'cluster.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  return (await loadManifests(lab, { path: join(folder, 'cluster.json'), environments: [environment], prune: true })).pruned;
}

interface Asked { readonly from: string; readonly to: string; readonly protocol: string; readonly port: number; readonly family: 4 }
/** Pods in the network of their node are in no environment, and without addresses every pod would be alike to blocks. */
const isHere = (o: Obj): boolean => o.kind === 'Pod' && (o.spec as { hostNetwork?: boolean }).hostNetwork !== true && JSON.stringify(o.status ?? '').includes('"10.');
function questions(r: Random, objects: readonly Obj[]): Asked[] {
  const pods = objects.filter(isHere).map(({ metadata }) => `${metadata.namespace ?? 'default'}/${metadata.name}`);
  const pairs = pods.flatMap((from) => pods.filter((to) => to !== from).map((to) => [from, to] as const));
  return pairs.flatMap(([from, to]) => Array.from({ length: 3 }, (): Asked => ({ from, to, protocol: r.pick(['TCP', 'TCP', 'UDP', 'SCTP']), port: r.pick([53, 79, 80, 81, 82, 443, 5432]), family: 4 })));
}

describe('manifests of Kubernetes', () => {
  it('decide each packet as an oracle and as osier reach say, over clusters with every kind of policy and changes of them', async () => {
    const found = { wrong: new Array<string>(), unlike: new Array<string>(), asked: 0, denied: 0, protocols: new Set<string>(), kinds: new Set<string>(), pruned: 0 };
    for (let round = 0, seed = 900; round < rounds; seed++) {
      const r = randomOf(seed);
      let objects = cluster(r);
      if (objects.filter(isHere).length < 4 || objects.filter(({ kind }) => kind.endsWith('Policy')).length < 4) continue;
      round++;
      for (let step = 0; step < 3; step++) {
        if (step > 0) objects = change(r, objects, step).after;
        const pruned = await load(objects);
        found.pruned += pruned.length;
        for (const { kind } of objects) if (kind.endsWith('Policy')) found.kinds.add(kind);
        const asked = questions(r, objects);
        const input = JSON.stringify(asked);
        const [packets, reach] = await Promise.all([
          osier(['lab', 'probe', '--name', name, '--environment', environment, '--probes', '-', '--output', 'json'], input),
          osier(['reach', '-f', 'cluster.json', '--probes', '-', '--output', 'json'], input),
        ]);
        expect(`${packets.stderr}${reach.stderr}`.split('\n').filter((line) => line !== '' && !line.startsWith('warning: '))).toEqual([]);
        const [met, said] = [packets, reach].map(({ stdout }) => (JSON.parse(stdout) as { verdicts: { verdict: string }[] }).verdicts);
        const oracle = new Oracle([...objects]);
        asked.forEach((one, i) => {
          const opinion = oracle.ask(one);
          const what = `seed ${seed} step ${step} ${one.from} → ${one.to} ${one.protocol} ${one.port}`;
          found.asked++;
          found.protocols.add(one.protocol);
          if (opinion.verdict === 'Deny') found.denied++;
          if (met?.[i]?.verdict !== opinion.verdict) found.wrong.push(`${what}: packets ${met?.[i]?.verdict}, oracle ${JSON.stringify(opinion)}`);
          if (said?.[i]?.verdict !== opinion.verdict) found.unlike.push(`${what}: reach ${said?.[i]?.verdict}, oracle ${opinion.verdict}`);
        });
      }
    }
    expect(found.wrong.slice(0, 10)).toEqual([]);
    expect(found.unlike.slice(0, 10)).toEqual([]);
    expect([...found.protocols].sort()).toEqual(['SCTP', 'TCP', 'UDP']);
    expect(found.kinds.size).toBe(4);
    expect(found.pruned).toBeGreaterThan(0);
    expect(found.asked).toBeGreaterThan(100 * rounds);
    expect(found.denied / found.asked).toBeGreaterThan(0.1);
  }, 60_000 + 40_000 * rounds);

  it('are held to assertions by packets, from files and from the installation; a packet that met other than the rules say is told as that', async () => {
    const pod = (app: string, namespace: string): Obj => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: app, namespace, labels: { app } }, spec: { containers: [{ name: 'c', ports: [{ containerPort: 5432 }] }] } });
    const closed = (peers: unknown[]): Obj => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'db', namespace: 'shop' }, spec: { podSelector: { matchLabels: { app: 'db' } }, ingress: peers.map((peer) => ({ from: [peer], ports: [{ port: 5432 }] })) } });
    const api = { namespaceSelector: {}, podSelector: { matchLabels: { app: 'api' } } };
    const pods = [pod('api', 'back'), pod('web', 'shop'), pod('db', 'shop')];
    await load([...pods, closed([api])]);
    const files = { 'loaded.json': [...pods, closed([api])], 'stricter.json': [...pods, closed([])] };
    for (const [file, items] of Object.entries(files)) writeFileSync(join(folder, file), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    writeFileSync(join(folder, 'kubernetes.yaml'), 'assertions:\n- { name: only api, to: { labels: { app: db } }, ports: [TCP/5432], onlyFrom: { labels: { app: api } } }\n');
    writeFileSync(join(folder, 'osier.yaml'), 'assertions:\n- { name: only api, to: { tags: { app: db } }, ports: [TCP/5432], onlyFrom: { tags: { app: api } } }\n- { name: never web, from: { tags: { app: api } }, to: { tags: { app: web } }, expect: deny }\n');
    const test = async (...args: string[]) => {
      const { stdout, stderr } = await osier(['policy', 'test', ...args, '--packets', '--lab', name, '-e', environment, '-o', 'json'], '');
      expect(stderr.split('\n').filter((line) => line !== '' && !/^(\d+ packets sent|warning: )/.test(line))).toEqual([]);
      return (JSON.parse(stdout) as { assertions: { result: string; counterexample?: { from: string; to: string; verdict: string; againstRules: boolean } }[] }).assertions;
    };
    expect(await test('kubernetes.yaml', '-f', 'loaded.json')).toMatchObject([{ result: 'holds' }]);
    expect(await test('osier.yaml')).toMatchObject([{ result: 'holds' }, { result: 'fails', counterexample: { from: `acme/shop/${environment}/back--api`, verdict: 'Allow', againstRules: false } }]);
    writeFileSync(join(folder, 'nobody.yaml'), 'assertions:\n- { name: nobody, from: {}, to: { labels: { app: db } }, expect: deny }\n');
    expect(await test('nobody.yaml', '-f', 'stricter.json')).toMatchObject([{ result: 'fails', counterexample: { from: 'back/api', to: 'shop/db', verdict: 'Deny', againstRules: true } }]);
  }, 120_000);

  it('nothing of a load is left when the next one holds nothing of it', async () => {
    const objects = [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'only', namespace: 'shop' }, spec: { containers: [{ name: 'c', ports: [{ containerPort: 80 }] }] } }];
    await load(objects);
    expect(workloadsOf(readInventory(lab.paths)).map(({ path }) => path)).toEqual(['shop/only']);
    const scope = { domain: 'acme', project: 'shop', environment };
    expect((await lab.client.list('endpoint', scope)).map(({ document }) => document.name)).toEqual(['shop--only']);
    expect([...await lab.client.list('policy', scope), ...await lab.client.list('project-policy', { ...scope, environment: '_' })]).toEqual([]);
  }, 60_000);
});
