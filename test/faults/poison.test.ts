// An intent at which the whole process of a service ends: with real processes, which something starts again and again, and a real nats-server.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { natsConfiguration } from '@osier/bus/accounts';
import type { Bus } from '@osier/bus/bus';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { credsText } from '@osier/bus/login';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import { repository } from '@osier/lab/paths';
import { startKeeping } from './chaos/store.ts';

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = <T>(data: Uint8Array): T => JSON.parse(new TextDecoder().decode(data)) as T;
interface Outcome { readonly intentId: string; readonly result: string; readonly credential: string; readonly problem?: { readonly code: string } }
interface Letter { readonly intentId: string; readonly tries: number; readonly problem: { readonly code: string } }
interface Kept { readonly ends: string[]; output(): string; stop(): Promise<void> }

const names = ['tenant', 'topology', 'ipam', 'api'] as const;
const waysToEnd = [['abort', 'SIGABRT'], ['later', '1']] as const;
let directory: string;
let nats: NatsServer;
let bus: Bus;
const running: Kept[] = [];

/** Keeps a service running, as whatever runs services does. */
function keepRunning(name: string, environment: Readonly<Record<string, string>> = {}): Kept {
  const ends: string[] = [];
  let output = '';
  let child: ChildProcess | undefined;
  let stopping = false;
  const env = { PATH: process.env['PATH'] ?? '', OSIER_NATS_URL: nats.url, OSIER_CREDENTIALS_FILE: join(directory, `${name}.creds`), OSIER_DATA_DIR: join(directory, 'data'), NODE_COMPILE_CACHE: join(repository, '.cache/compile'), ...environment };
  const done = (async () => {
    while (!stopping) {
      const started = spawn(process.execPath, ['--no-warnings', join(import.meta.dirname, 'poison/service.ts'), name], { stdio: ['ignore', 'pipe', 'pipe'], env });
      child = started;
      for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
      await new Promise<void>((resolve) => started.once('exit', (code, signal) => (ends.push(signal ?? String(code)), resolve())));
      if (!stopping) await sleep(50);
    }
  })();
  const kept = { ends, output: () => output, stop: async () => ((stopping = true), child?.kill('SIGKILL'), await done) };
  running.push(kept);
  return kept;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'osier-poison-'));
  const keys = await newInstallation();
  nats = await startNatsServer({ dir: directory, config: natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(directory, 'streams'), trust: keys.trust }) });
  for (const name of names) writeFileSync(join(directory, `${name}.creds`), credsText(await keys.service(name)), { mode: 0o600 });
  bus = await connectBus({ url: nats.url, ...(await keys.service('admin')), name: 'test' });
  await bus.ensureStreams();
}, 30_000);
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
  await bus.close();
  await nats.stop();
  rmSync(directory, { recursive: true, force: true });
}, 30_000);

const domain = (id: string, description?: string) => bus.publish('osier.intent._._._.domain.apply.api', encode({ name: id, spec: description === undefined ? {} : { description } }), { headers: { 'ce-id': id } });
const endpoint = (id: string, description?: string) => bus.publish('osier.intent.acme.shop.staging.endpoint.apply.api',
  encode({ name: id, spec: { network: 'main', node: 'node-1', attachment: { containerId: id }, tags: description === undefined ? {} : { end: description } } }), { headers: { 'ce-id': id } });

/** The outcomes of what the test has published, in their order: `id result`. */
async function outcomes(of: Kept, count: number): Promise<string[]> {
  for (const until = Date.now() + 35_000; ; await sleep(50)) {
    const found: string[] = [];
    for await (const message of bus.read({ stream: 'OUTCOMES' })) {
      const { intentId, result, credential, problem } = decode<Outcome>(message.data);
      if (credential === 'api') found.push(`${intentId} ${problem?.code ?? result}`);
    }
    if (found.length >= count) return found;
    if (Date.now() > until) throw new Error(`${found.length} of ${count} outcomes in time: ${found.join(', ')}; the process ended ${of.ends.length} times (${of.ends.join(' ')}); it said:\n${of.output().slice(-3_000)}`);
  }
}
const letterOf = async (place: string, id: string): Promise<Letter | undefined> => {
  const message = await bus.last('DEAD', `osier.dead.${place}.${id}`);
  return message && decode<Letter>(message.data);
};
const accepted = (...ids: string[]): string[] => ids.map((id) => `${id} accepted`);

describe('an intent at which the whole process of its service ends', () => {
  it.each(waysToEnd)('by %s: is refused after five ends and laid aside, and those behind it are done in their order', async (how, end) => {
    for (const id of ['a', 'b', 'c']) await domain(id);
    await domain('poison', how);
    for (const id of ['d', 'e', 'f']) await domain(id);
    const service = keepRunning('tenant');
    expect(await outcomes(service, 7)).toEqual([...accepted('a', 'b', 'c'), 'poison internal-error', ...accepted('d', 'e', 'f')]);
    // Once with all of the batch, when nothing was suspected yet, and five times alone.
    expect(service.ends).toEqual(Array.from({ length: 6 }, () => end));
    expect(await letterOf('_._', 'poison')).toMatchObject({ intentId: 'poison', tries: 5, problem: { code: 'internal-error' } });
    await domain('g');
    expect((await outcomes(service, 8)).at(-1)).toBe('g accepted');
    expect(service.ends).toHaveLength(6);
  }, 50_000);

  it('with its database in PostgreSQL: the same', async () => {
    process.env['OSIER_TEST_STORE'] = 'postgres';
    const kept = await startKeeping();
    try {
      for (const id of ['a', 'b']) await domain(id);
      await domain('poison', 'kill');
      await domain('c');
      const service = keepRunning('tenant', kept.env);
      expect(await outcomes(service, 4)).toEqual([...accepted('a', 'b'), 'poison internal-error', 'c accepted']);
      expect(service.ends).toHaveLength(6);
      await service.stop();
    } finally {
      delete process.env['OSIER_TEST_STORE'];
      await kept.remove();
    }
  }, 60_000);

  it('while it runs and more comes in all the time: none of the others is refused for it', async () => {
    const service = keepRunning('tenant');
    const ids = Array.from({ length: 120 }, (_, n) => `n${n}`);
    for (const [n, id] of ids.entries()) {
      await (n === 40 ? domain('poison', 'abort') : domain(id));
      await sleep(20);
    }
    const found = await outcomes(service, ids.length);
    expect(found.filter((line) => line !== 'poison internal-error' && !line.endsWith(' accepted'))).toEqual([]);
    expect(found).toHaveLength(ids.length);
    expect(found).toContain('poison internal-error');
  }, 50_000);
});

describe('an intent that waited, and at which the whole process ends when it goes on', () => {
  it('because its child has an outcome: is refused after five ends, and the others are done', async () => {
    const service = keepRunning('topology');
    keepRunning('ipam');
    for (const id of ['a', 'b']) await endpoint(id);
    await endpoint('poison', 'kill');
    for (const id of ['c', 'd']) await endpoint(id);
    const found = await outcomes(service, 5);
    expect([...found].sort()).toEqual([...accepted('a', 'b', 'c', 'd'), 'poison internal-error']);
    expect(await letterOf('acme.shop', 'poison')).toMatchObject({ tries: 5 });
  }, 50_000);

  it('because its time is over: is refused after five ends, and the others are done', async () => {
    const service = keepRunning('topology');
    keepRunning('ipam');
    await endpoint('late', 'kill');
    await sleep(2_000);
    for (const id of ['a', 'b']) await endpoint(id);
    const found = await outcomes(service, 3);
    expect([...found].sort()).toEqual([...accepted('a', 'b'), 'late internal-error']);
    expect(await letterOf('acme.shop', 'late')).toMatchObject({ tries: 5 });
  }, 50_000);
});
