// What is open now, asked of real kernels: connections over two nodes and inside one, what a policy would do to them, and a node that does not answer.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { limits } from '@osier/contracts/limits';
import type { Connections } from '@osier/contracts/telemetry';
import { deploy, waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { place } from '@osier/lab/place';
import { agentName } from '@osier/lab/record';
import { labUp } from '@osier/lab/up';
import { askWorkload } from '@osier/lab/workload/ask';
import { mapped16 } from '@osier/domain/net/ipv4';
import { PinnedMap } from '../../libs/dataplane/src/witness/maps.ts';
import { at, scope } from './shop.ts';

const name = `lc${process.pid.toString(36)}`;
const folder = mkdtempSync(join(tmpdir(), 'osier-connections-'));
const root = join(import.meta.dirname, '../..');
let lab: Lab;

interface Ended { code: number; out: string; err: string; ms: number }
/** Without `creds` as whoever runs the lab. */
const osier = (args: string[], creds?: string): Promise<Ended> => new Promise((resolve) => {
  const env = { PATH: process.env['PATH'], HOME: folder, ...(creds === undefined ? { OSIER_LAB: name } : { OSIER_CREDS: creds }) };
  const from = performance.now();
  execFile(join(root, 'osier'), args, { env, cwd: folder, timeout: 60_000 }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err, ms: performance.now() - from }));
});
async function connections(...args: string[]): Promise<Connections> {
  const ended = await osier(['connections', '-o', 'json', ...args]);
  expect(ended.code).toBe(0);
  return JSON.parse(ended.out) as Connections;
}
const staging = ['-d', 'acme', '-p', 'shop', '-e', 'staging'];
const open = (from: string, to: string) => askWorkload(lab.paths, `staging/${from}`, 'open', { id: to, target: { address: at(lab, `staging/${to}`).address, port: 8080, protocol: 'TCP' }, timeoutMs: 2_000 });
const say = (from: string, to: string) => askWorkload(lab.paths, `staging/${from}`, 'say', { id: to, timeoutMs: 2_000 });

/** The same entry as the witness reads it, which shares no code with whoever answers. Environments have the same addresses. */
function bytesInKernel(node: string, from: string, to: string, port: number): { forward: number; reply: number } {
  const map = new PinnedMap(join(lab.paths.pins(node), 'v2', 'conntrack'));
  const [a, b] = [from, to].map((one) => Buffer.from(mapped16(at(lab, `staging/${one}`).address)));
  try {
    const [entry] = [...map.all((bytes) => bytes.includes(a as Buffer) && bytes.includes(b as Buffer))].filter(({ key }) => [key['low_port'], key['high_port']].includes(port)).map(({ value }) => value);
    const [forward = 0n, reply = 0n] = (entry?.['bytes'] ?? []) as bigint[];
    return { forward: Number(forward), reply: Number(reply) };
  } finally {
    map.close();
  }
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
  const workloads = ['web', 'far', 'near'].map((app) => ({ name: app, tags: { app }, ports: [{ protocol: 'TCP' as const, port: 8080 }] }));
  await deploy(lab, ['staging', 'production'].map((environment) => place({ lab: name, domain: 'acme', project: 'shop', environment, turn: 0, nodes: ['node-1', 'node-2'], workloads, services: [] })), []);
  await lab.client.apply('project', { domain: 'acme', project: '_', environment: '_' }, 'blog', {});
}, 120_000);
afterAll(async () => {
  await labDown(name);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('the connections that are open now', () => {
  beforeAll(async () => {
    for (const to of ['far', 'near']) {
      await open('web', to);
      for (let i = 0; i < 3; i++) await say('web', to);
    }
    await askWorkload(lab.paths, 'production/web', 'open', { id: 'far', target: { address: at(lab, 'production/far').address, port: 8080, protocol: 'TCP' }, timeoutMs: 2_000 });
    // Until the last acknowledgement has passed.
    await sleep(300);
  }, 30_000);

  it('are told once each, whether one node holds them or two, with what has passed', async () => {
    const found = await connections(...staging);
    expect(found).toMatchObject({ nodes: ['node-1', 'node-2'], missing: [], notTold: 0 });
    expect(found.connections.map(({ source, destination, protocol, state, nodes }) => `${source.endpoint} ${destination.endpoint}:${destination.port} ${protocol} ${state} ${nodes.join()}`)).toEqual([
      'acme/shop/staging/web acme/shop/staging/far:8080 TCP established node-1,node-2', 'acme/shop/staging/web acme/shop/staging/near:8080 TCP established node-1',
    ]);
    for (const [i, to] of ['far', 'near'].entries()) {
      const one = found.connections[i];
      const inKernel = (node: string) => bytesInKernel(node, 'web', to, one?.source.port ?? 0);
      const here = inKernel('node-1');
      // Three lines of seven bytes, under at least 52 of headers each, and the handshake.
      expect(here.forward).toBeGreaterThan(3 * 59 + 60);
      expect(one?.bytes).toEqual(here);
      if (to === 'far') expect(inKernel('node-2')).toEqual(here);
      expect(one?.decisions.map(({ direction }) => direction)).toEqual(['egress', 'ingress']);
      expect(Date.now() - Date.parse(one?.since ?? '')).toBeLessThan(60_000);
    }
    expect((await osier(['connections', ...staging])).out).toMatch(/acme\/shop\/staging +web:\d+ → far:8080 TCP +established .* node-1,node-2 /);
    expect((await connections('-d', 'acme', '-p', 'shop')).connections.map(({ environment }) => environment)).toEqual(['production', 'staging', 'staging']);
  }, 30_000);

  it('would end where a policy denies one: osier policy plan counts it, and it does', async () => {
    const file = join(folder, 'near.yaml');
    const spec = { appliesTo: { matchTags: { app: 'near' } }, ingress: [{ name: 'not-web', action: 'Deny', from: [{ endpoints: { matchTags: { app: 'web' } } }] }] };
    writeFileSync(file, JSON.stringify({ kind: 'policy', name: 'near', spec }));
    const [human, json, failing] = await Promise.all([osier(['policy', 'plan', '-f', file, ...staging]), osier(['policy', 'plan', '-f', file, ...staging, '-o', 'json']), osier(['policy', 'plan', '-f', file, ...staging, '--fail-on', 'live'])]);
    expect(human.out).toMatch(/1 live connection would end; 1 would go on\n$/);
    expect(human.out).toMatch(/ends +staging\/web → staging\/near +TCP\/8080 +1 +by rule not-web of policy acme\/shop\/staging\/near/);
    expect((JSON.parse(json.out) as { live: object }).live).toMatchObject({ ends: [{ from: 'acme/shop/staging/web', to: 'acme/shop/staging/near', protocol: 'TCP', port: 8080, connections: 1 }], drains: [], goOn: 1, undecided: [], missing: [] });
    expect(failing.code).toBe(1);
    await waitEnforced(lab, (await lab.client.apply('policy', scope('staging'), 'near', spec)).changes);
    await expect(say('web', 'near')).rejects.toThrow('no echo');
    await say('web', 'far');
    expect((await connections(...staging)).connections.map(({ destination }) => destination.endpoint)).toEqual(['acme/shop/staging/far']);
    await waitEnforced(lab, (await lab.client.delete('policy', scope('staging'), 'near')).changes);
  }, 60_000);

  it('would go on where the policy that denies one keeps it: osier policy plan says so, and so does the connection', async () => {
    const file = join(folder, 'far.yaml');
    const spec = { appliesTo: { matchTags: { app: 'far' } }, liveConnections: 'keep', ingress: [] };
    writeFileSync(file, JSON.stringify({ kind: 'policy', name: 'far', spec }));
    expect((JSON.parse((await osier(['policy', 'plan', '-f', file, ...staging, '-o', 'json'])).out) as { live: object }).live).toMatchObject({ ends: [], drains: [], kept: [{ to: 'acme/shop/staging/far', connections: 1 }] });
    await waitEnforced(lab, (await lab.client.apply('policy', scope('staging'), 'far', spec)).changes);
    await say('web', 'far');
    const denied = { policy: 'acme/shop/staging/far', rule: 'default-deny' };
    expect((await connections(...staging)).connections).toEqual([expect.objectContaining({ spared: {}, decisions: expect.arrayContaining([expect.objectContaining(denied)]) })]);
    await waitEnforced(lab, (await lab.client.delete('policy', scope('staging'), 'far')).changes);
    await say('web', 'far');
    const [allowed] = (await connections(...staging)).connections;
    expect(allowed?.spared).toBeUndefined();
    expect(allowed?.decisions).not.toContainEqual(expect.objectContaining(denied));
  }, 60_000);

  it('are not those of another project', async () => {
    const creds = join(folder, 'blog.creds');
    expect(await osier(['credentials', 'issue', 'blog', '-d', 'acme', '--project', 'blog', '--role', 'admin', '--out', creds])).toMatchObject({ code: 0 });
    const server = JSON.parse((await osier(['connections', ...staging, '-o', 'json'])).out) as Connections;
    expect(server.connections.length).toBeGreaterThan(0);
    const own = await osier(['connections', '-A', '-o', 'json'], creds);
    expect([own.code, JSON.parse(own.out)]).toEqual([0, { connections: [], nodes: [], missing: [], notTold: 0 }]);
    expect(await osier(['connections', '-d', 'acme', '-p', 'shop'], creds)).toMatchObject({ code: 1, out: '' });
  }, 30_000);

  it('are told with the name of a node whose agent is dead, and whole again when it is back', async () => {
    const agent = agentName('node-2');
    await tellSupervisor(lab.paths, { do: 'hold', names: [agent], signal: 'SIGKILL' });
    const found = await osier(['connections', ...staging, '-o', 'json']);
    expect(found.err).toContain('node-2 did not answer');
    expect(JSON.parse(found.out)).toMatchObject({ nodes: ['node-1', 'node-2'], missing: ['node-2'], connections: [{ nodes: ['node-1'], destination: { endpoint: 'acme/shop/staging/far' } }] });
    expect(found.ms).toBeLessThan(limits.connectionsAnswerMs + 10_000);
    await tellSupervisor(lab.paths, { do: 'release', names: [agent] });
    for (const until = Date.now() + 30_000; ; ) {
      const again = await connections(...staging);
      if (again.missing.length === 0 || Date.now() > until) {
        expect(again).toMatchObject({ missing: [], connections: [{ nodes: ['node-1', 'node-2'] }] });
        break;
      }
    }
    await say('web', 'far');
  }, 90_000);
});
