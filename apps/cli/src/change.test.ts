import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { clientOf } from './client.ts';

// Each command is a process of its own, and the machine may be busy.
jest.setTimeout(30_000);

/** An Osier whose connections break: `breaks` says which request is cut off. */
let breaks: (path: string, count: number) => boolean;
let requests: { path: string; key: string }[];
let server: Server;
beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    const path = (request.url ?? '').replace(/[?&]timeout=[^&]*/, '');
    requests.push({ path, key: String(request.headers['idempotency-key']) });
    if (breaks(path, requests.filter((r) => r.path === path).length)) return void request.socket.destroy();
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ result: 'accepted', intentId: 'i', intent: 'x', credential: 'c', at: '', service: 's', revision: 7, changes: [{ kind: 'domain', id: 'd', path: 'acme', version: 1, subject: 's', revision: 7 }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const stdin = 'kind: domain\nname: acme\n---\nkind: project\ndomain: acme\nname: shop\n---\nkind: environment\ndomain: acme\nproject: shop\nname: staging\n';
const apply = (...args: string[]): Promise<{ code: number; out: string; err: string }> => new Promise((resolve) => {
  requests = [];
  const child = execFile(process.execPath, [join(import.meta.dirname, 'main.ts'), 'apply', '-f', '-', ...args], {
    env: { PATH: process.env['PATH'], OSIER_SERVER: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, timeout: 20_000,
  }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }));
  child.stdin?.end(stdin);
});

describe('the way to start what does not answer', () => {
  it.each([[undefined, 'osier lab up'], ['osier', 'osier lab up'], ['blue', 'osier lab up --name blue']])('of lab %j is %j', async (lab, fix) => {
    const client = clientOf({ server: 'http://127.0.0.1:1', token: async () => undefined, defaults: {}, ...(lab === undefined ? {} : { lab }) }, new AbortController().signal);
    await expect(client.read('/v1/nodes')).rejects.toMatchObject({ code: 'unreachable', fix });
  });
});

describe('osier apply, when the connection breaks in the middle', () => {
  it('tries again under the same id', async () => {
    breaks = (path, count) => path.endsWith('/shop') && count <= 2;
    const { code, out } = await apply();
    expect([code, out.match(/accepted @7/g)?.length]).toEqual([0, 3]);
    const shop = requests.filter((r) => r.path.endsWith('/shop'));
    expect([shop.length, new Set(shop.map((r) => r.key)).size]).toEqual([3, 1]);
  });

  it('tells what is in place when the time is over, and sends nothing more', async () => {
    breaks = (path) => path.endsWith('/shop');
    const { code, out, err } = await apply('--timeout', '600ms', '--wait');
    expect(code).toBe(3);
    expect(out).toMatch(/domain +acme +accepted @7\nproject +acme\/shop +no answer/);
    expect(err).toContain('of 3 documents: 1 in place, 2 without an answer\nosier: cannot reach Osier at');
    expect(err).toContain('fix: Run the command again when Osier answers');
    expect(requests.some((r) => r.path.endsWith('/staging'))).toBe(false);
  });

  it('tells at once that nothing listens, and that nothing was done', async () => {
    breaks = () => true;
    const { code, err } = await apply('--timeout', '20s', '--output', 'json');
    expect([code, err]).toEqual([3, expect.stringContaining('of 3 documents: 0 in place, 3 without an answer')]);
    expect(requests).toHaveLength(1);
  });
});
