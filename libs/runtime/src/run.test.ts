import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from '@osier/bus/accounts';
import type { UserLogin } from '@osier/bus/authority';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { credsText } from '@osier/bus/login';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import type { Bus } from '@osier/bus/bus';
import { startPostgres } from '@osier/store/postgres-server';

/** A service that makes every domain it is asked for, run as a process of its own by what every service is run by. */
const program = `
import { accept } from '@osier/domain/decision';
import { runService } from '@osier/runtime/run';
const apply = async ({ body }, context) => accept({ kind: 'domain', id: context.newId(), name: body.name, parent: '_', phase: 'active', domain: body.name, project: '_', environment: '_', spec: body.spec, status: {} });
const no = async () => { throw new Error('no'); };
await runService({ name: 'tenant', knows: [], handlers: { 'domain.apply': apply, 'domain.delete': no, 'project.apply': no, 'project.delete': no, 'environment.apply': no, 'environment.delete': no } });
`;
const directory = mkdtempSync(join(tmpdir(), 'osier-run-'));
const started: ChildProcess[] = [];
let nats: NatsServer;
let bus: Bus;
let login: UserLogin;

const readyFile = join(directory, 'ready.json');
function start(environment: Record<string, string> = {}): { child: ChildProcess; output: () => string } {
  let output = '';
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
    cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '', OSIER_NATS_URL: nats.url, OSIER_CREDENTIALS_FILE: join(directory, 'tenant.creds'),
      OSIER_DATA_DIR: join(directory, 'data'), OSIER_READY_FILE: readyFile, ...environment,
    },
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += String(chunk)));
  started.push(child);
  return { child, output: () => output };
}
const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve(child.exitCode) : child.once('exit', resolve)));
async function until<T>(found: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(20)) {
    const value = await found();
    if (value !== undefined) return value;
  }
  throw new Error('did not come in time');
}
const ready = () => until(() => (existsSync(readyFile) ? (JSON.parse(readFileSync(readyFile, 'utf8')) as { pid: number; healthPort: number }) : undefined));
const outcomeOf = (id: string) => until(async () => {
  const message = await bus.last('OUTCOMES', `osier.outcome._._.${id}`);
  return message && (JSON.parse(new TextDecoder().decode(message.data)) as { result: string; revision: number });
});
const wish = (id: string, headers: Record<string, string> = {}) =>
  bus.publish('osier.intent._._._.domain.apply.api', new TextEncoder().encode(JSON.stringify({ name: id, spec: {} })), { headers: { 'ce-id': id, ...headers } });

beforeAll(async () => {
  const keys = await newInstallation();
  const config = natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(directory, 'streams'), trust: keys.trust });
  nats = await startNatsServer({ config, dir: directory });
  login = await keys.service('tenant');
  writeFileSync(join(directory, 'tenant.creds'), credsText(login), { mode: 0o600 });
  bus = await connectBus({ url: nats.url, ...(await keys.service('admin')), name: 'test' });
}, 30_000);
afterAll(async () => {
  await bus.close();
  for (const child of started) child.kill('SIGKILL');
  await Promise.all(started.map(ended));
  await nats.stop();
  rmSync(directory, { recursive: true, force: true });
}, 30_000);

describe('a service as a process', () => {
  it('decides what it is asked, over kills of itself and of NATS, and stops in order', async () => {
    const first = start();
    const { healthPort, pid } = await ready();
    expect(pid).toBe(first.child.pid);
    expect(await (await fetch(`http://127.0.0.1:${healthPort}/healthz`)).json()).toEqual({ alive: true });
    expect(await (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).json()).toMatchObject({ ready: true });
    await wish('before');
    expect(await outcomeOf('before')).toMatchObject({ result: 'accepted', revision: 1 });

    await nats.kill();
    await until(async () => ((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status === 503 ? true : undefined));
    await nats.start();
    await until(() => wish('after-nats').catch(() => undefined));
    expect(await outcomeOf('after-nats')).toMatchObject({ result: 'accepted', revision: 2 });

    first.child.kill('SIGKILL');
    await ended(first.child);
    await wish('meanwhile');
    const second = start();
    expect(await outcomeOf('meanwhile')).toMatchObject({ result: 'accepted', revision: 3 });
    const begun = performance.now();
    second.child.kill('SIGTERM');
    expect(await ended(second.child)).toBe(0);
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(first.output() + second.output()).not.toContain(login.seed);
  }, 60_000);

  it('takes the trace of an intent on: its span is exported, its log lines carry the id', async () => {
    const exported: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk))).on('end', () => response.end((exported.push(body), '{}')));
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const { child, output } = start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` });
    await wish('traced', { traceparent: `00-${trace}-b7ad6b7169203331-01` });
    await outcomeOf('traced');
    child.kill('SIGTERM');
    expect(await ended(child)).toBe(0);
    collector.close();

    type Span = { name: string; traceId: string; parentSpanId?: string };
    const spans = exported.flatMap((body) => (JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)));
    expect(spans).toContainEqual(expect.objectContaining({ name: 'intent domain.apply', traceId: trace, parentSpanId: 'b7ad6b7169203331' }));
    expect(output().split('\n').filter((line) => line.includes(trace))).toEqual([expect.stringContaining('"msg":"decided"')]);
  }, 60_000);

  it('keeps its database in PostgreSQL by one setting: kills of that, of itself, and a second process beside it lose nothing', async () => {
    const postgres = await startPostgres();
    try {
      rmSync(readyFile, { force: true });
      // A database that is new beside documents that it does not have is refused as an older copy; these streams begin with it.
      for (const stream of ['STATE', 'CHANGES']) await bus.deleteStream(stream);
      const onPostgres = { OSIER_DATABASE_URL: postgres.url, OSIER_DATA_DIR: '' };
      const first = start(onPostgres);
      await ready();
      await wish('in-postgres');
      expect(await outcomeOf('in-postgres')).toMatchObject({ result: 'accepted' });
      await postgres.kill();
      await wish('while-it-is-away');
      await sleep(500);
      await postgres.start();
      expect(await outcomeOf('while-it-is-away')).toMatchObject({ result: 'accepted' });

      const second = start({ ...onPostgres, OSIER_READY_FILE: '' });
      await until(() => (/another process works on the schema osier_tenant: osier-tenant/.test(second.output()) ? true : undefined));
      first.child.kill('SIGKILL');
      await ended(first.child);
      await wish('to-the-second');
      expect(await outcomeOf('to-the-second')).toMatchObject({ result: 'accepted' });
      expect(postgres.query("select string_agg(name, ' ' order by id) from osier_tenant.entities where name in ('in-postgres', 'while-it-is-away', 'to-the-second')")).toBe('in-postgres while-it-is-away to-the-second');
      second.child.kill('SIGTERM');
      expect(await ended(second.child)).toBe(0);
    } finally {
      await postgres.remove();
    }
  }, 60_000);

  it('that is not configured says in one go what is missing, and ends with 1', async () => {
    const { child, output } = start({ OSIER_DATA_DIR: '', OSIER_LOG_LEVEL: 'loud' });
    expect(await ended(child)).toBe(1);
    expect(output()).toMatch(/osier tenant cannot start: .*OSIER_DATA_DIR: is not set.*OSIER_LOG_LEVEL/s);
    expect(output()).not.toContain('    at ');
  }, 30_000);

  it('that cannot speak TLS with NATS as it is set says what to do, and ends with 1', async () => {
    for (const [environment, says] of [
      [{ OSIER_NATS_TLS_CA: '/gone.pem' }, 'OSIER_NATS_TLS_CA names /gone.pem, which cannot be read: ENOENT. Correct the path'],
      [{ OSIER_NATS_URL: nats.url.replace('nats:', 'tls:') }, 'speaks without TLS, and TLS is set here'],
    ] as const) {
      const { child, output } = start(environment);
      expect(await ended(child)).toBe(1);
      expect(output()).toContain('osier tenant cannot start: ');
      expect(output()).toContain(says);
      expect(output()).not.toContain('    at ');
    }
  }, 30_000);
});
