// The shop of the examples is saved while its packets flow, the lab is taken down, another is brought up, and the backup restored into it: the same
// objects, the same addresses, and the same verdicts by real packets.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { platformScope } from '@osier/contracts/document';
import { labDown } from '@osier/lab/down';
import type { Lab } from '@osier/lab/lab';
import { nodeBinary, program } from '@osier/lab/paths';
import { probe } from '@osier/lab/probes';
import { labUp } from '@osier/lab/up';
import { deployShop, scope, wish } from '../lab/shop.ts';

const name = 'savers';
const options = { name, nodes: 2, domains: ['acme'], project: 'shop' };
const folder = mkdtempSync(join(tmpdir(), 'osier-faults-lab-backup-'));
const archive = join(folder, 'shop.tar');
const environments = ['staging', 'production'] as const;
let lab: Lab;

const osier = (...args: string[]): Promise<{ code: number | null; out: string; err: string }> => new Promise((resolve, reject) => {
  const child = spawn(nodeBinary, [program('cli'), ...args, ...(args[0] === 'lab' ? [] : ['--lab', name])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.once('error', reject).once('close', (code) => resolve({ code, out, err }));
});

/** Documents with their revisions, whatever moves by itself left out. */
async function objects(): Promise<unknown[]> {
  const all: unknown[] = [...(await lab.client.list('node', platformScope))];
  for (const environment of environments) for (const kind of ['network', 'endpoint', 'policy', 'lease'] as const) all.push(...(await lab.client.list(kind, scope(environment))));
  return all;
}
/** Every workload to every other, inside and across environments, on the ports that there are. */
async function verdicts(): Promise<Record<string, boolean>> {
  const ends = environments.flatMap((environment) => ['web', 'cart', 'db'].map((workload) => `${environment}/${workload}`));
  const port: Record<string, number> = { web: 8080, cart: 7070, db: 5432 };
  const pairs = ends.flatMap((from) => ends.filter((to) => to !== from).map((to) => wish(lab, from, to, port[to.split('/')[1] ?? ''] ?? 0)));
  return Object.fromEntries((await probe(lab.paths, pairs)).map((p, index) => [`${p.from} → ${p.to} #${index}`, p.reached]));
}
async function nodesReady(): Promise<void> {
  for (const until = Date.now() + 60_000; ; await sleep(200)) {
    const nodes = await lab.client.nodes().catch(() => []);
    if (nodes.length === 2 && nodes.every((node) => node.state === 'ready')) return;
    if (Date.now() > until) throw new Error(`nodes: ${JSON.stringify(nodes.map(({ name: node, state, receipt }) => ({ node, state, pending: receipt?.pending })))}`);
  }
}

beforeAll(async () => {
  lab = await labUp(options);
  await deployShop(lab);
}, 180_000);
afterAll(async () => {
  await labDown(name);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('a lab that is saved, taken down, and restored on a machine that knows nothing of it', () => {
  it('has the same objects at the same revisions, and the same pairs reach each other', async () => {
    const before = { objects: await objects(), verdicts: await verdicts() };
    expect(new Set(Object.values(before.verdicts))).toEqual(new Set([true, false]));
    const saved = await osier('backup', archive, '-o', 'json');
    expect([saved.code, saved.err]).toEqual([0, '']);
    await labDown(name);
    lab = await labUp(options);
    expect(await lab.client.list('endpoint', scope('staging'))).toEqual([]);

    const restored = await osier('restore', archive, '-o', 'json');
    expect([restored.code, restored.err]).toEqual([0, '']);
    expect(await objects()).toEqual(before.objects);
    expect((await osier('lab', 'credentials', '--name', name)).code).toBe(0);
    // The containers come back, as a runtime would start them; what they are is known already.
    await deployShop(lab);
    await nodesReady();
    expect(await objects()).toEqual(before.objects);
    expect(await verdicts()).toEqual(before.verdicts);
    console.log(`${before.objects.length} objects at the same revisions; ${Object.keys(before.verdicts).length} pairs, ${Object.values(before.verdicts).filter(Boolean).length} of them allowed, the same by real packets; the services held still for ${(JSON.parse(saved.out) as { pauseMs: number }).pauseMs} ms`);

    // And it is no picture: what is changed now comes into force.
    const changed = await lab.client.delete('policy', scope('production'), before.objects.map((o) => (o as { document: { kind: string; name: string; environment: string } }).document).find((d) => d.kind === 'policy' && d.environment === 'production')?.name ?? '');
    expect(changed.result).toBe('accepted');
    await nodesReady();
  }, 300_000);
});
