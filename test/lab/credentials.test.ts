// Credentials on a running installation: handed out, replaced, taken back, over connections that stand.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { authenticatorOf, readLogin } from '@osier/bus/login';
import { labDown } from '@osier/lab/down';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { natsUrl } from '@osier/lab/programs';
import { agentName } from '@osier/lab/record';
import { labUp } from '@osier/lab/up';

const name = 'labcreds';
const folder = mkdtempSync(join(tmpdir(), 'osier-credentials-'));
const root = join(import.meta.dirname, '../..');
let lab: Lab;
const open: NatsConnection[] = [];

interface Ended { code: number; out: string; err: string }
/** The command line as a person uses it; without `creds` as whoever runs the lab. */
const osier = (args: string[], creds?: string): Promise<Ended> => new Promise((resolve) => {
  const env = { PATH: process.env['PATH'], HOME: folder, ...(creds === undefined ? { OSIER_LAB: name } : { OSIER_CREDS: creds }) };
  execFile(join(root, 'osier'), args, { env, cwd: folder, timeout: 30_000 }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }));
});
async function issued(credential: string, ...options: string[]): Promise<string> {
  const file = join(folder, `${credential}-${Math.random().toString(36).slice(2)}.creds`);
  expect(await osier(['credentials', 'issue', credential, '--out', file, ...options])).toMatchObject({ code: 0, err: '' });
  return file;
}
const keysOf = async (credential: string): Promise<string[]> => {
  const { items } = JSON.parse((await osier(['credentials', 'list', '-A', '-o', 'json'])).out) as { items: { document: { name: string; spec: { keys: { publicKey: string }[] } } }[] };
  return items.find(({ document }) => document.name === credential)?.document.spec.keys.map((key) => key.publicKey) ?? [];
};
async function enter(file: string, reconnect = false): Promise<NatsConnection> {
  const nats = await connect({ servers: natsUrl(lab.record), authenticator: authenticatorOf(() => readLogin(file)), reconnect, maxReconnectAttempts: -1, reconnectTimeWait: 100, ignoreAuthErrorAbort: true, timeout: 5_000 });
  open.push(nats);
  return nats;
}
const wish = (nats: NatsConnection, who: string, id: string, project = 'shop') => {
  const h = headers();
  h.set('ce-id', id);
  return nats.request(`osier.intent.acme.${project}.staging.network.apply.${who}`, JSON.stringify({ name: id, spec: { subnets: ['10.9.0.0/24'] } }), { headers: h, timeout: 2_000 });
};
async function within(ms: number, what: () => boolean | Promise<boolean>): Promise<number> {
  const started = performance.now();
  while (!(await what())) {
    if (performance.now() - started > ms) throw new Error(`not within ${ms} ms: ${what.toString()}`);
    await sleep(10);
  }
  return Math.round(performance.now() - started);
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 1, domains: ['acme'], project: 'shop' });
  const scope = { domain: 'acme', project: '_', environment: '_' };
  for (const project of ['shop', 'blog']) {
    await lab.client.apply('project', scope, project, {});
    await lab.client.apply('environment', { ...scope, project }, 'staging', {});
  }
}, 120_000);
afterAll(async () => {
  await Promise.all(open.map((nats) => nats.close()));
  await labDown(name);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('a credential', () => {
  it('opens the bus and the door as far as it reaches, and no further', async () => {
    const file = await issued('ci', '-d', 'acme', '-p', 'shop', '--role', 'editor');
    expect(readFileSync(file, 'utf8')).toContain('BEGIN NATS USER JWT');
    expect(await osier(['get', 'projects', '-d', 'acme', '-o', 'json'], file).then(({ out }) => out)).not.toContain('blog');
    expect(await osier(['get', 'networks', '-d', 'acme', '-p', 'blog', '-e', 'staging'], file)).toMatchObject({ code: 1, err: expect.stringContaining('counts in project acme/shop only') });
    const nats = await enter(file);
    expect((await wish(nats, 'ci', 'first')).json()).toMatchObject({ stream: 'INTENTS' });
    await expect(wish(nats, 'ci', 'second', 'blog')).rejects.toThrow();
    await expect(wish(nats, 'operator', 'third')).rejects.toThrow();
  }, 30_000);

  it('is replaced without dropping the work of whoever uses it', async () => {
    const file = await issued('worker', '-d', 'acme', '--role', 'editor');
    const [old = ''] = await keysOf('worker');
    const nats = await enter(file, true);
    const outcomes = new Map<string, number>();
    const watch = await enter(lab.paths.creds('admin'));
    watch.subscribe('osier.outcome.acme.shop.*', { callback: (_, { subject }) => void (subject.includes('.work-') && outcomes.set(subject, (outcomes.get(subject) ?? 0) + 1)) });
    await watch.flush();
    let [done, repeats, cuts] = [false, 0, 0];
    void (async () => {
      for await (const status of nats.status()) if (status.type === 'disconnect') cuts++;
    })();
    const working = (async () => {
      for (let i = 0; i < 200 || !done; i++, await sleep(2)) {
        // As every publisher has to: the same id until it is stored.
        while (!(await wish(nats, 'worker', `work-${i}`).then(() => true, () => false))) repeats++;
        if (i === 5_000) throw new Error('it takes too long');
      }
    })();
    const next = await issued('worker', '-d', 'acme');
    copyFileSync(next, `${file}.new`);
    renameSync(`${file}.new`, file);
    expect(await osier(['credentials', 'revoke', 'worker', '-d', 'acme', '--key', old])).toMatchObject({ code: 0 });
    await within(3_000, () => cuts > 0);
    done = true;
    await working;
    await wish(nats, 'worker', 'work-with-the-new-key');
    await within(10_000, () => outcomes.size > 200);
    expect([...outcomes.values()].filter((count) => count !== 1)).toEqual([]);
    console.log(`replaced a key under load: ${outcomes.size} intents, each with one outcome; cut ${cuts} time(s), ${repeats} had to be repeated`);
  }, 60_000);

  it('ends for whoever is connected when it is revoked, for good', async () => {
    const file = await issued('gone', '-d', 'acme', '--role', 'admin');
    const nats = await enter(file);
    await wish(nats, 'gone', 'before');
    const revoking = performance.now();
    expect(await osier(['credentials', 'revoke', 'gone', '-d', 'acme'])).toMatchObject({ code: 0 });
    await within(3_000, () => nats.isClosed());
    console.log(`revoked: out ${Math.round(performance.now() - revoking)} ms after the command began`);
    await expect(enter(file)).rejects.toThrow(/[Aa]uthorization/);
    expect(await osier(['get', 'domains'], file)).toMatchObject({ code: 1, err: expect.stringContaining('expired or been revoked') });
    await tellSupervisor(lab.paths, { do: 'hold', names: ['nats'], signal: 'SIGKILL' });
    await tellSupervisor(lab.paths, { do: 'release', names: ['nats'] });
    await within(20_000, () => enter(lab.paths.creds('admin')).then(() => true, () => false));
    await expect(enter(file)).rejects.toThrow(/[Aa]uthorization/);
    await within(20_000, async () => (await osier(['get', 'domains'])).code === 0);
    expect((await osier(['get', 'domains'], file)).code).toBe(1);
  }, 60_000);

  it('of the same name issued again is another one: the old file opens nothing', async () => {
    const old = await issued('again', '-d', 'acme', '--role', 'viewer');
    await osier(['credentials', 'revoke', 'again', '-d', 'acme']);
    const next = await issued('again', '-d', 'acme', '--role', 'viewer');
    await expect(enter(next)).resolves.toBeDefined();
    await expect(enter(old)).rejects.toThrow(/[Aa]uthorization/);
    expect((await osier(['get', 'domains'], old)).code).toBe(1);
  }, 30_000);

  it('ends by itself when its time is over', async () => {
    const file = await issued('brief', '-d', 'acme', '--role', 'viewer', '--expires', '4s');
    const nats = await enter(file);
    expect((await osier(['get', 'domains'], file)).code).toBe(0);
    await within(6_000, () => nats.isClosed());
    // Expiry is in whole seconds: within the last one nats-server lets in once more, and closes at once.
    await within(3_000, () => enter(file).then(() => false, (error: unknown) => /expired/i.test(String(error))));
    expect((await osier(['get', 'domains'], file)).code).toBe(1);
  }, 30_000);

  it('that is made less, is less on the connections that stand', async () => {
    const file = await issued('demoted', '-d', 'acme', '--role', 'editor');
    const nats = await enter(file);
    await wish(nats, 'demoted', 'as-editor');
    const [item] = await lab.client.list('credential', { domain: 'acme', project: '_', environment: '_' }).then((all) => all.filter(({ document }) => document.name === 'demoted'));
    await lab.client.apply('credential', { domain: 'acme', project: '_', environment: '_' }, 'demoted', { ...item?.document.spec, role: 'viewer' });
    await expect(wish(nats, 'demoted', 'as-viewer')).rejects.toThrow();
  }, 30_000);
});

describe("a node's credential", () => {
  it('is replaced while its agent runs, which goes on with the new one', async () => {
    const credential = 'node-node-1';
    const file = lab.paths.creds(agentName('node-1'));
    const [old = ''] = await keysOf(credential);
    const next = await issued(credential, '--node', 'node-1');
    copyFileSync(next, `${file}.new`);
    renameSync(`${file}.new`, file);
    const before = Date.now();
    expect(await osier(['credentials', 'revoke', credential, '--platform', '--key', old])).toMatchObject({ code: 0 });
    const ms = await within(20_000, async () => (await lab.client.nodes()).every((node) => node.state === 'ready' && Date.parse(node.lastReceiptAt ?? '') > before + 1_000));
    console.log(`replaced an agent's key: it has confirmed again ${ms} ms later`);
  }, 60_000);

  it('revoked, its agent is out, and its kernel goes on', async () => {
    expect(await osier(['credentials', 'revoke', 'node-node-1', '--platform'])).toMatchObject({ code: 0 });
    await within(30_000, async () => (await lab.client.nodes()).every((node) => node.state === 'silent'));
  }, 60_000);
});
