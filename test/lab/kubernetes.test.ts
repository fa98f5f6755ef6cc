// Clusters drawn at random, as manifests: loaded into a lab, changed and loaded again, and asked by real packets beside an oracle that reads the manifests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

const osier = (args: string[], input: string): { stdout: string; stderr: string } => spawnSync(join(repository, 'osier'), args, { encoding: 'utf8', input, cwd: folder });
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
        const packets = osier(['lab', 'probe', '--name', name, '--environment', environment, '--probes', '-', '--output', 'json'], input);
        const reach = osier(['reach', '-f', 'cluster.json', '--probes', '-', '--output', 'json'], input);
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

  it('nothing of a load is left when the next one holds nothing of it', async () => {
    const objects = [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'only', namespace: 'shop' }, spec: { containers: [{ name: 'c', ports: [{ containerPort: 80 }] }] } }];
    await load(objects);
    expect(workloadsOf(readInventory(lab.paths)).map(({ path }) => path)).toEqual(['shop/only']);
    const scope = { domain: 'acme', project: 'shop', environment };
    expect((await lab.client.list('endpoint', scope)).map(({ document }) => document.name)).toEqual(['shop--only']);
    expect([...await lab.client.list('policy', scope), ...await lab.client.list('project-policy', { ...scope, environment: '_' })]).toEqual([]);
  }, 60_000);
});
