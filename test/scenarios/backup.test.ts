// A whole installation, saved by one request to the HTTP door and made again by another, in memory: what happens when, and what is refused.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus, Message } from '@osier/bus/bus';
import { limits } from '@osier/contracts/limits';
import { verifyArchive } from '@osier/runtime/archive';
import type { DumpRow } from '@osier/store/dump';
import { silent } from '@osier/telemetry/log';
import type { Platform } from '@osier/testing/platform';
import { type RunningApi, startApi } from '../../apps/api/src/app.ts';
import { authenticator } from '../../apps/api/src/tokens.ts';
import { startControlPlane } from './control-plane.ts';

const token = 'a-token-of-enough-length';
const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
const services = ['tenant', 'ipam', 'topology', 'policy'] as const;
interface Installation { readonly platform: Platform; readonly api: RunningApi; readonly folder: string; close(): Promise<void> }
let open: Installation[] = [];

async function install(wrap: (bus: Bus, platform: Platform) => Bus = (bus) => bus): Promise<Installation> {
  const folder = mkdtempSync(join(tmpdir(), 'osier-backup-test-'));
  const platform = await startControlPlane({ folder });
  const api = await startApi({ bus: wrap(platform.broker.connect('api'), platform), authenticate: authenticator([{ token, credential: 'anna' }]), log: silent, host: '127.0.0.1', port: 0, folder });
  const made = {
    platform, api, folder,
    close: async () => {
      await api.stop();
      await platform.close();
      expect(readdirSync(folder)).toEqual([]);
      rmSync(folder, { recursive: true });
    },
  };
  open.push(made);
  return made;
}
let source: Installation;
beforeEach(async () => {
  open = [];
  source = await install();
});
afterEach(async () => {
  for (const one of open) await one.close();
});

const call = (to: Installation, method: string, path: string, body?: Uint8Array) =>
  fetch(to.api.url + path, { method, headers: { authorization: `Bearer ${token}` }, ...(body ? { body: body as Uint8Array<ArrayBuffer> } : {}), signal: AbortSignal.timeout(20_000) });
async function backup(of: Installation): Promise<Buffer> {
  const response = await call(of, 'POST', '/v1/backups');
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}
type Line = { step?: string; restored?: string; problem?: { code: string; fix: string } };
async function send(to: Installation, archive: Buffer): Promise<string> {
  const { restore, pieceBytes } = (await (await call(to, 'POST', '/v1/restores')).json()) as { restore: string; pieceBytes: number };
  expect(pieceBytes).toBe(limits.restoreChunkBytes);
  const half = Math.ceil(archive.length / 2);
  // The pieces may come twice.
  for (const at of [0, half, 0]) expect((await call(to, 'PUT', `/v1/restores/${restore}/${at}`, archive.subarray(at, at + half))).status).toBe(200);
  return restore;
}
async function restore(to: Installation, archive: Buffer): Promise<{ status: number; lines: Line[]; code: string | undefined }> {
  const response = await call(to, 'POST', `/v1/restores/${await send(to, archive)}/start`);
  const lines = (await response.text()).trim().split('\n').map((line) => JSON.parse(line) as Line);
  return { status: response.status, lines, code: lines.at(-1)?.problem?.code };
}
const restored = async (to: Installation, archive: Buffer): Promise<void> => {
  const { status, lines } = await restore(to, archive);
  expect([status, lines.at(-1)]).toEqual([200, expect.objectContaining({ restored: expect.stringMatching(/^[0-9a-f]{64}$/) })]);
};

async function fill({ platform }: Installation, endpoints = 6): Promise<void> {
  const wish = (noun: string, at: object, body: unknown, id: string, verb = 'apply') => platform.wish({ noun, verb, id, body, ...at });
  await wish('domain', {}, { name: 'acme', spec: {} }, 'a');
  await wish('project', { domain: 'acme' }, { name: 'shop', spec: {} }, 'b');
  await wish('environment', { domain: 'acme', project: 'shop' }, { name: 'staging', spec: {} }, 'c');
  await wish('node', {}, { name: 'node-1', spec: { tunnelEndpoint: '192.0.2.11' } }, 'd');
  await wish('network', scope, { name: 'main', spec: { subnets: ['10.0.0.0/24'] } }, 'e');
  await wish('policy', scope, { name: 'db', spec: { appliesTo: { matchTags: { app: 'db' } }, ingress: [] } }, 'f');
  await wish('policy', scope, { name: 'gone', spec: { appliesTo: {} } }, 'g');
  await wish('policy', scope, { name: 'gone' }, 'h', 'delete');
  await wish('policy', scope, { name: 'bad', spec: { appliesTo: 7 } }, 'refused');
  await Promise.all(Array.from({ length: endpoints }, (_, n) => wish('endpoint', scope, endpoint(`e${n}`), `e${n}`)));
  await platform.settle();
}
const endpoint = (name: string) => ({ name, spec: { network: 'main', node: 'node-1', attachment: { containerId: name } } });

const coordination = (m: Message): boolean => ['barrier', 'interest'].includes(m.subject.split('.')[5] ?? '');
async function stream({ platform }: Installation, name: string): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const m of platform.bus.read({ stream: name })) if (!coordination(m)) all.push({ ...m, data: Buffer.from(m.data).toString() });
  return all;
}
/** What goes on by itself, barrier by barrier. */
const moving = ['max-revision', 'stream-ends'];
async function content(of: Installation): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const name of ['CHANGES', 'STATE', 'INTENTS', 'OUTCOMES', 'DEAD']) all[name] = await stream(of, name);
  for (const service of services) {
    const rows: DumpRow[] = [];
    await of.platform.store(service).dump(async (some) => void rows.push(...some));
    all[service] = rows.filter(({ table, row }) => table !== 'marks' || !moving.includes(String(row['name'])));
  }
  return all;
}
const phaseOf = async ({ platform }: Installation, service: string): Promise<string> => (JSON.parse((await platform.store(service).mark('restore')) ?? '{"phase":"none"}') as { phase: string }).phase;

describe('a backup', () => {
  it('makes an empty installation what the other one was, with all its revisions, and it goes on from there', async () => {
    await fill(source);
    const archive = await backup(source);
    const before = await content(source);
    const target = await install();
    await target.platform.wish({ noun: 'node', verb: 'apply', id: 'x', body: { name: 'node-1', spec: { tunnelEndpoint: '192.0.2.11' } } });
    await restored(target, archive);
    expect(await content(target)).toEqual(before);
    for (const service of services) expect([service, await phaseOf(target, service)]).toEqual([service, 'done']);

    const { platform } = target;
    const outcome = await platform.wish({ noun: 'endpoint', verb: 'apply', id: 'later', body: endpoint('later'), ...scope });
    expect(outcome).toMatchObject({ result: 'accepted' });
    const network = await platform.wish({ noun: 'network', verb: 'apply', id: 'other', body: { name: 'other', spec: { subnets: ['10.9.0.0/24'] } }, ...scope });
    expect(network).toMatchObject({ result: 'accepted' });
    const addresses = (await platform.list('endpoint', scope)).map(({ document }) => (document.status as { address: string }).address);
    expect(new Set(addresses).size).toBe(7);
    const numbers = (await platform.list('network', scope)).map(({ document }) => (document.status as { number: number }).number);
    expect(new Set(numbers).size).toBe(2);
    // An intent that was decided before is not decided again.
    await platform.publish({ noun: 'policy', verb: 'apply', id: 'g', body: { name: 'gone', spec: { appliesTo: {} } }, ...scope });
    await platform.settle();
    expect((await platform.list('policy', scope)).map(({ document }) => document.name)).toEqual(['db']);
    await platform.checkStreams();
    await platform.settle();
    await platform.check();
  }, 30_000);

  it('taken while intents come is of one moment: what was stored and not decided is decided after the restore, once', async () => {
    await fill(source, 2);
    const wishes = Array.from({ length: 60 }, (_, n) => source.platform.publish({ noun: 'endpoint', verb: 'apply', id: `l${n}`, body: endpoint(`l${n}`), ...scope }));
    const archive = await backup(source);
    await Promise.all(wishes);
    await source.platform.settle();
    await source.platform.check();
    const { manifest } = await verifyArchive(async function* () { yield archive; }());
    for (const part of manifest.parts) if (part.type === 'database') expect([part.service, part.rows['outbox']]).toEqual([part.service, 0]);

    const target = await install();
    await restored(target, archive);
    await target.platform.settle();
    await sleep(300);
    await target.platform.settle();
    await target.platform.check();
    const leases = (await target.platform.list('lease', scope)).map(({ document }) => document.id).sort();
    expect(leases).toEqual((await target.platform.list('endpoint', scope)).map(({ document }) => document.id).sort());
  }, 30_000);

  it('leaves everything as it was when a service does not answer, and names it', async () => {
    await fill(source, 1);
    await source.platform.stop('ipam');
    const response = await call(source, 'POST', '/v1/backups');
    expect([response.status, await response.json()]).toEqual([503, { problem: expect.objectContaining({ code: 'service-unavailable', reason: 'The ipam service does not answer.' }) }]);
    expect(await source.platform.wish({ noun: 'policy', verb: 'apply', id: 'after', body: { name: 'after', spec: { appliesTo: {} } }, ...scope })).toMatchObject({ result: 'accepted' });
  }, 30_000);

  it('is refused when a service did not hold still until all was taken', async () => {
    let hold = '';
    const hasty = await install((bus, { bus: other }) => new Proxy(bus, {
      get: (object, name) => {
        if (name === 'request') return (...args: Parameters<Bus['request']>) => {
          if (args[0].endsWith('policy._._.hold')) hold = (JSON.parse(new TextDecoder().decode(args[1])) as { hold: string }).hold;
          return object.request(...args);
        };
        if (name === 'snapshot') return async (...args: Parameters<Bus['snapshot']>) => {
          // The last of them: the databases have been taken, and one service goes on as if nobody had spoken of the hold in time.
          if (args[0] === 'AUDIT') {
            await sleep(200);
            await other.request('osier.query.policy._._.hold', new TextEncoder().encode(JSON.stringify({ hold, action: 'release' })));
          }
          return object.snapshot(...args);
        };
        return Reflect.get(object, name) as unknown;
      },
    }));
    await fill(hasty, 1);
    const response = await call(hasty, 'POST', '/v1/backups');
    expect([response.status, await response.json()]).toEqual([503, { problem: expect.objectContaining({ code: 'hold-broken', reason: expect.stringContaining('policy') }) }]);
  }, 30_000);

  it('is written down, and so is a restore', async () => {
    await fill(source, 1);
    const archive = await backup(source);
    const target = await install();
    await restored(target, archive);
    const audit = (await stream(target, 'AUDIT')) as { data: string }[];
    expect(audit.map(({ data }) => JSON.parse(data) as object)).toEqual([
      expect.objectContaining({ intent: 'installation.backup', credential: 'platform-anna', result: 'accepted' }), expect.objectContaining({ intent: 'installation.restore', credential: 'platform-anna', result: 'accepted' }),
    ]);
  }, 30_000);
});

describe('a restore', () => {
  it('touches nothing when the archive is not whole, or is damaged', async () => {
    await fill(source, 1);
    const archive = await backup(source);
    const target = await install();
    const before = await content(target);
    const flipped = Buffer.from(archive);
    flipped[archive.length >> 1] = (flipped[archive.length >> 1] ?? 0) ^ 1;
    for (const [bad, code] of [[archive.subarray(0, archive.length - 600), 'archive-truncated'], [archive.subarray(0, archive.length >> 1), 'archive-truncated'], [flipped, 'archive-damaged'], [Buffer.from('x'), 'archive-truncated']] as const) {
      expect(await restore(target, bad)).toMatchObject({ status: 422, code });
    }
    expect(await content(target)).toEqual(before);
    for (const service of services) expect(await phaseOf(target, service)).toBe('none');
  }, 30_000);

  it('takes an archive in pieces of a certain size, up to a certain size', async () => {
    const { restore: id } = (await (await call(source, 'POST', '/v1/restores')).json()) as { restore: string };
    const put = async (path: string, bytes: number) => {
      const response = await call(source, 'PUT', path, new Uint8Array(bytes));
      return [response.status, ((await response.json()) as { problem?: { code: string } }).problem?.code];
    };
    expect(await put(`/v1/restores/${id}/0`, limits.restoreChunkBytes)).toEqual([200, undefined]);
    expect(await put(`/v1/restores/${id}/0`, limits.restoreChunkBytes + 1)).toEqual([413, 'too-large']);
    expect(await put(`/v1/restores/${id}/${limits.archiveBytes}`, 1)).toEqual([413, 'archive-too-large']);
    expect(await put(`/v1/restores/${id}/-1`, 1)).toEqual([400, 'bad-parameter']);
    expect(await put('/v1/restores/another/0', 1)).toEqual([404, 'unknown-restore']);
    expect((await call(source, 'DELETE', `/v1/restores/${id}`)).status).toBe(200);
    expect(await put(`/v1/restores/${id}/0`, 1)).toEqual([404, 'unknown-restore']);
  }, 30_000);

  it('is refused where there is anything but nodes', async () => {
    await fill(source, 1);
    const archive = await backup(source);
    const before = await content(source);
    expect(await restore(source, archive)).toMatchObject({ status: 409, code: 'not-empty' });
    expect(await content(source)).toEqual(before);
    const target = await install();
    await restored(target, archive);
    expect(await restore(target, archive)).toMatchObject({ status: 409, code: 'restored-already' });
  }, 30_000);

  it('that was interrupted while loading leaves an installation that decides nothing and says so, and can be repeated', async () => {
    await fill(source);
    const archive = await backup(source);
    const before = await content(source);
    const target = await install();
    const store = target.platform.store('policy');
    const load = store.load.bind(store);
    Object.assign(store, { load: async () => { throw new Error('the disk is full'); } });
    const { lines } = await restore(target, archive);
    expect(lines.at(-1)?.problem?.fix).toContain('run osier restore with the same file again');
    const asked = await call(target, 'GET', '/v1/domains');
    expect([asked.status, await asked.json()]).toEqual([503, { problem: expect.objectContaining({ code: 'being-restored' }) }]);
    expect((await call(target, 'POST', '/v1/backups')).status).toBe(503);
    // Also after a start of its own.
    await target.platform.stop('tenant');
    await target.platform.start('tenant');
    expect((await call(target, 'GET', '/v1/domains')).status).toBe(503);
    Object.assign(store, { load });
    await restored(target, archive);
    expect(await content(target)).toEqual(before);
  }, 60_000);
});
