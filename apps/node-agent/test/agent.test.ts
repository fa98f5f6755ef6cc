import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { natsConfiguration } from '@osier/bus/accounts';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { credsText } from '@osier/bus/login';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import { deleted, eventually, make, node, pause, staging, Topology } from './world.ts';

/** The agent as the process that it is, over a real server with its own account, on this kernel: needs root. */
const tag = `osr-agent-${process.pid}`;
const [nodeNs, web, db] = [`${tag}-n`, `${tag}-11`, `${tag}-12`];
const net = make.network(101, staging);
const endpoint = (n: number, tags: Record<string, string>) => {
  const made = make.endpoint(n, net, 1, tags);
  return { ...made, spec: { ...made.spec, attachment: { containerId: `${tag}-${n}`, interface: 'eth0' } } };
};
const [webEndpoint, dbEndpoint] = [endpoint(11, { app: 'web' }), endpoint(12, { app: 'db' })];
const closed = make.policy(301, staging, { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ name: 'only-5432', action: 'Allow', ports: [{ protocol: 'TCP', port: 5432 }] }] });

let dir: string;
let server: NatsServer;
let topology: Topology;
let agent: ChildProcess | undefined;
const listeners: ChildProcess[] = [];
const run = (...command: string[]): string => execFileSync(command[0] ?? '', command.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** `hello` if a listener in the other workload answered, else why not. */
const connect = (from: string, address: string, port: number): Promise<string> => new Promise((resolve) => {
  const code = `const s=require('net').connect(${port},'${address}');s.setTimeout(700,()=>{console.log('timeout');process.exit()});s.on('data',d=>{console.log(String(d));process.exit()});s.on('error',e=>console.log(e.code))`;
  execFile('ip', ['netns', 'exec', from, process.execPath, '-e', code], (_error, out) => resolve(out.trim()));
});
const listen = (namespace: string, ports: number[]): void => {
  const code = `for(const p of ${JSON.stringify(ports)})require('net').createServer(c=>c.end('hello')).listen(p)`;
  listeners.push(spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', code], { stdio: 'ignore' }));
};
const environment = (): NodeJS.ProcessEnv => ({
  ...process.env, OSIER_NODE: node, OSIER_NATS_URL: server.url, OSIER_CREDENTIALS_FILE: join(dir, 'agent.creds'), OSIER_PIN_DIR: join(dir, 'bpf', node),
  OSIER_NODE_NETNS: `/run/netns/${nodeNs}`, OSIER_READY_FILE: join(dir, 'ready'), OSIER_HEALTH_PORT: '0',
});
const main = join(import.meta.dirname, '../src/main.ts');
function startAgent(): void {
  rmSync(join(dir, 'ready'), { force: true });
  agent = spawn(process.execPath, ['--no-warnings', main], { env: environment(), stdio: ['ignore', 'ignore', 'inherit'] });
}
const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve() : child.once('exit', () => resolve())));
async function endAgent(signal: NodeJS.Signals): Promise<void> {
  if (agent === undefined) return;
  agent.kill(signal);
  await ended(agent);
  agent = undefined;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'osier-agent-'));
  mkdirSync(join(dir, 'nats'));
  for (const name of [nodeNs, web, db]) run('ip', 'netns', 'add', name);
  const keys = await newInstallation({ nodes: [node] });
  writeFileSync(join(dir, 'agent.creds'), credsText(await keys.node(node)), { mode: 0o600 });
  const config = natsConfiguration({
    listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'nats'), trust: keys.trust,
  });
  server = await startNatsServer({ config, dir });
  topology = new Topology(await connectBus({ url: server.url, ...(await keys.service('admin')), name: 'topology' }));
  await topology.begin();
  listen(web, [80]);
  listen(db, [22, 5432]);
}, 30_000);

afterAll(async () => {
  await endAgent('SIGKILL');
  for (const child of listeners) child.kill('SIGKILL');
  await Promise.all(listeners.map(ended));
  execFileSync(process.execPath, ['--no-warnings', main, '--cleanup'], { env: environment() });
  await topology.end();
  await server.stop();
  for (const name of [nodeNs, web, db]) run('ip', 'netns', 'del', name);
  run('umount', join(dir, 'bpf'));
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

describe('the agent on this kernel', () => {
  it('carries packets between its endpoints, and says when', async () => {
    startAgent();
    const receipt = await topology.settle(make.node(1), make.node(2), net, webEndpoint, dbEndpoint);
    expect([receipt.pending, receipt.endpoints.length]).toEqual([[], 2]);
    expect(existsSync(join(dir, 'ready'))).toBe(true);
    expect(await Promise.all([connect(web, '10.0.0.12', 22), connect(db, '10.0.0.11', 80)])).toEqual(['hello', 'hello']);
  }, 20_000);

  it('puts a policy into force, and names it in the record of the denial', async () => {
    const { pending, revision } = await topology.settle(closed);
    expect(pending).toEqual([]);
    expect(await Promise.all([connect(web, '10.0.0.12', 22), connect(web, '10.0.0.12', 5432)])).toEqual(['timeout', 'hello']);
    const denied = await eventually(async () => (await topology.flows()).flatMap((b) => b.flows).find((f) => f.event === 'denied'));
    expect(denied).toMatchObject({ source: { endpoint: 'acme/shop/staging/e11' }, destination: { endpoint: 'acme/shop/staging/e12', port: 22 }, reason: 'policy_denied' });
    expect(denied.decisions.at(-1)).toMatchObject({ policy: 'acme/shop/staging/p301', rule: 'default-deny' });
    expect([denied.revision <= revision, Math.abs(Date.parse(denied.at) - Date.now()) < 10_000]).toEqual([true, true]);
  }, 20_000);

  it('is not needed for verdicts to stay what they are, and takes over what it finds', async () => {
    await endAgent('SIGKILL');
    expect(await Promise.all([connect(web, '10.0.0.12', 22), connect(web, '10.0.0.12', 5432)])).toEqual(['timeout', 'hello']);
    startAgent();
    const answers: string[] = [];
    const started = eventually(() => (existsSync(join(dir, 'ready')) ? true : undefined), 15_000);
    let up = false;
    void started.then(() => (up = true));
    while (!up) answers.push(...(await Promise.all([connect(web, '10.0.0.12', 22), connect(web, '10.0.0.12', 5432)])));
    expect(new Set(answers.filter((_, i) => i % 2 === 0))).toEqual(new Set(['timeout']));
    expect(new Set(answers.filter((_, i) => i % 2 === 1))).toEqual(new Set(['hello']));
    expect((await topology.settle()).pending).toEqual([]);
  }, 30_000);

  it('rewrites rules under traffic without a wrong verdict', async () => {
    let rewriting = true;
    const keepAsking = async (port: number, answers: string[]): Promise<void> => {
      while (rewriting) answers.push(await connect(web, '10.0.0.12', port));
    };
    const [denied, allowed]: [string[], string[]] = [[], []];
    const traffic = Promise.all([keepAsking(22, denied), keepAsking(22, denied), keepAsking(5432, allowed)]);
    for (let i = 0; i < 30; i++) {
      // Every change gives both endpoints a new program and new identities, and means the same for these ports.
      const other = make.policy(302, staging, { priority: 5 + i, ingress: [{ action: 'Deny', from: [{ endpoints: { matchTags: { [`key-${i}`]: 'x' } } }] }], isolates: [] });
      await topology.settle(i % 3 === 2 ? deleted(other) : other);
      await pause(70);
    }
    rewriting = false;
    await traffic;
    expect([new Set(denied), new Set(allowed)]).toEqual([new Set(['timeout']), new Set(['hello'])]);
    expect([denied.length >= 4, allowed.length >= 8]).toEqual([true, true]);
    await topology.settle(deleted(make.policy(302, staging, {})));
  }, 40_000);

  it('learns what changed while the server was away', async () => {
    await server.kill();
    await pause(300);
    await server.start();
    await eventually(() => (topology.bus.connected ? true : undefined), 10_000);
    await topology.settle(deleted(closed));
    expect(await connect(web, '10.0.0.12', 22)).toBe('hello');
  }, 30_000);

  it('repairs a device whose programs somebody took off', async () => {
    const device = run('ip', '-n', nodeNs, '-br', 'link').split('\n').map((l) => l.split(/[@ ]/)[0] ?? '').find((n) => /^osr[0-9a-f]{12}$/.test(n));
    run('tc', '-n', nodeNs, 'qdisc', 'del', 'dev', device ?? '', 'clsact');
    await eventually(async () => ((await topology.observations('repair')).length > 0 ? true : undefined), 10_000);
    expect((await topology.observations('drift')).at(-1)?.message).toContain(`device ${device} runs nothing at ingress`);
    expect(await connect(web, '10.0.0.12', 22)).toBe('hello');
  }, 20_000);

  it('stops in an orderly way and leaves the traffic alone; the clean-up leaves nothing', async () => {
    const stopping = Date.now();
    await endAgent('SIGTERM');
    expect(Date.now() - stopping).toBeLessThan(3_000);
    expect(await connect(web, '10.0.0.12', 22)).toBe('hello');
    execFileSync(process.execPath, ['--no-warnings', main, '--cleanup'], { env: environment() });
    expect([run('ip', '-n', nodeNs, '-o', 'link').trim().split('\n').length, existsSync(join(dir, 'bpf', node, 'v1'))]).toEqual([1, false]);
  }, 20_000);
});
