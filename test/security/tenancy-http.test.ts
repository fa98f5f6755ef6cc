// The HTTP door, route by route as its own document names them: who gets in, how much, and what is said to those who do not.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '@osier/contracts/limits';
import { silent } from '@osier/telemetry/log';
import type { Platform } from '@osier/testing/platform';
import { type RunningApi, startApi } from '../../apps/api/src/app.ts';
import { readConfig } from '../../apps/api/src/config.ts';
import { principalOf } from '../../apps/api/src/principal.ts';
import { authenticator, type Authenticate } from '../../apps/api/src/tokens.ts';
import { startControlPlane } from '../scenarios/control-plane.ts';

interface Operation { readonly security?: readonly unknown[] }
const document = JSON.parse(readFileSync(new URL('../../docs/reference/openapi.json', import.meta.url), 'utf8')) as { paths: Record<string, Record<string, Operation>> };
const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, { security }]) => ({ method: method.toUpperCase(), path, open: security?.length === 0 })));
const token = 'a-token-of-enough-length';
const there = { domain: 'acme', project: 'shop', environment: 'staging', name: 'main', noun: 'network', verb: 'apply', intentId: 'n' };
const nowhere = { domain: 'ghost', project: 'ghost', environment: 'ghost', name: 'ghost', noun: 'network', verb: 'apply', intentId: 'ghost' };
const fill = (path: string, names: Record<string, string>): string => path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => names[name] ?? 'x');

interface Said { readonly status: number; readonly headers: Record<string, string>; readonly body: string }
function call(url: string, method: string, path: string, headers: Record<string, string> = {}, body?: string | Buffer): Promise<Said> {
  return new Promise((resolve, reject) => {
    // Node frames the body of a DELETE only when told to; without, it would be read as the beginning of another request.
    const framed = body === undefined || 'transfer-encoding' in headers ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
    const asking = request(url + path, { method, headers: framed, agent: false, timeout: 10_000 }, (response) => {
      const got: Buffer[] = [];
      response.on('data', (chunk: Buffer) => got.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, body: Buffer.concat(got).toString() }));
      response.on('error', reject);
    });
    asking.on('error', reject).on('timeout', () => asking.destroy(new Error('no answer')));
    asking.end(body);
  });
}
const raw = (url: string, bytes: string, waitMs: number): Promise<string> => new Promise((resolve) => {
  let got = '';
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
  socket.on('data', (chunk) => (got += chunk.toString())).on('error', () => undefined).on('close', () => resolve(got));
  setTimeout(() => socket.destroy(), waitMs).unref();
});
const security = { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store', 'content-security-policy': expect.stringContaining("default-src 'none'") };
const problem = { code: expect.any(String), path: expect.any(String), reason: expect.any(String), fix: expect.any(String) };

/** All that is asked here of a door, so that a weaker one can be asked the same. */
const start = (platform: Platform, authenticate: Authenticate): Promise<RunningApi> =>
  startApi({ bus: platform.broker.connect('api'), authenticate, log: silent, host: '127.0.0.1', port: 0, limits: { guessesBurst: 1e9, headersMs: 400, requestMs: 800, lookEveryMs: 100 } });
async function getIn(url: string, most = Infinity): Promise<string[]> {
  const strangers: Record<string, string>[] = [
    {}, { authorization: '' }, { authorization: 'Bearer' }, { authorization: 'Bearer undefined' }, { authorization: `Bearer ${token}x` }, { authorization: `Bearer ${token.slice(0, -1)}` },
    { authorization: `Basic ${Buffer.from(`anna:${token}`).toString('base64')}` }, { authorization: token }, { cookie: `token=${token}` }, { 'x-authorization': `Bearer ${token}` }, { authorization: `Bearer ${token} ${token}` },
  ];
  const attempts = [...strangers.map((headers) => ({ headers, query: '' })), { headers: {}, query: `?token=${token}&access_token=${token}` }].slice(0, most);
  const through: string[] = [];
  for (const { method, path } of operations.filter(({ open }) => !open)) {
    await Promise.all(attempts.map(async ({ headers, query }) => {
      const { status } = await call(url, method, `${fill(path, there)}${query || '?timeout=0s'}`, headers, method === 'GET' ? undefined : '{}');
      if (status !== 401) through.push(`${method} ${path}${query} ${JSON.stringify(headers)}: ${status}`);
    }));
  }
  return through;
}

describe('the HTTP door', () => {
  let platform: Platform;
  let api: RunningApi;
  beforeAll(async () => {
    platform = await startControlPlane();
    await platform.wish({ noun: 'domain', verb: 'apply', id: 'd', body: { name: 'acme', spec: {} } });
    await platform.wish({ domain: 'acme', noun: 'project', verb: 'apply', id: 'p', body: { name: 'shop', spec: {} } });
    await platform.wish({ domain: 'acme', project: 'shop', noun: 'environment', verb: 'apply', id: 'e', body: { name: 'staging', spec: {} } });
    await platform.wish({ domain: 'acme', project: 'shop', environment: 'staging', noun: 'network', verb: 'apply', id: 'n', body: { name: 'main', spec: { subnets: ['10.0.0.0/24'] } } });
    api = await start(platform, authenticator([{ token, credential: 'platform-anna' }]));
  });
  afterAll(async () => {
    await api.stop();
    await platform.close();
  });

  it('opens to no stranger, on any route of its document', async () => {
    const before = (await platform.bus.stream('INTENTS'))?.lastSequence;
    expect(operations.filter(({ open }) => !open).length).toBeGreaterThan(20);
    expect(await getIn(api.url)).toEqual([]);
    expect((await platform.bus.stream('INTENTS'))?.lastSequence).toBe(before);
  }, 30_000);
  it('could be red: a door that knows everybody lets all of these in', async () => {
    const weak = await start(platform, () => principalOf({ domain: '_', project: '_' }, 'anybody', 'admin'));
    expect(await getIn(weak.url, 1)).toHaveLength(operations.filter(({ open }) => !open).length);
    await weak.stop();
  }, 30_000);
  it('answers without a token what its document says, and that tells of no object', async () => {
    const open = operations.filter((one) => one.open);
    expect(open.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(['GET /healthz', 'GET /openapi.json', 'GET /readyz']);
    for (const { path } of open) expect((await call(api.url, 'GET', path)).body).not.toMatch(/acme/);
  });

  it('says the same to strangers about what there is and what there is not', async () => {
    for (const { method, path } of operations.filter(({ open }) => !open)) {
      const about = async (names: Record<string, string>): Promise<unknown> => {
        const { status, headers: { date: _, ...headers }, body } = await call(api.url, method, fill(path, names), {}, method === 'GET' ? undefined : '{}');
        return { status, headers, body };
      };
      expect(await about(there)).toEqual(await about(nowhere));
    }
  });
  it.each(['OPTIONS', 'HEAD', 'TRACE', 'PATCH', 'PROPFIND', 'QUERY'])('gives strangers nothing by the method %s', async (method) => {
    for (const path of ['/v1/domains/acme', '/v1/flows', '/v1/nodes']) {
      const said = await call(api.url, method, path);
      expect([401, 405]).toContain(said.status);
      expect(said.headers).toMatchObject(security);
    }
  });

  it('gives every answer its security headers, and no answer says what it runs on', async () => {
    const asked = [
      ...operations.map(({ method, path }) => call(api.url, method, fill(path, there), { authorization: `Bearer ${token}` }, method === 'GET' ? undefined : '{}')),
      call(api.url, 'GET', '/nowhere'), call(api.url, 'GET', '/v1/domains/%E0%A4%A'), call(api.url, 'GET', '/v1/domains/acme'), call(api.url, 'GET', `/${'x'.repeat(20_000)}`),
    ];
    for (const said of await Promise.all(asked)) {
      expect(said.headers).toMatchObject(security);
      expect(said.headers).not.toHaveProperty('server');
      expect(said.headers).not.toHaveProperty('x-powered-by');
      if (said.status >= 400) expect(JSON.parse(said.body)).toMatchObject({ problem });
    }
  });

  it('takes a body up to its limit and no byte more, be it said before or not', async () => {
    const authorization = `Bearer ${token}`;
    const sized = (bytes: number): string => JSON.stringify({ description: '' }).padEnd(bytes, ' ');
    expect((await call(api.url, 'PUT', '/v1/domains/acme', { authorization }, sized(limits.intentBytes))).status).toBe(200);
    expect((await call(api.url, 'PUT', '/v1/domains/acme', { authorization }, sized(limits.intentBytes + 1))).status).toBe(413);
    expect((await call(api.url, 'PUT', '/v1/domains/acme', { authorization, 'transfer-encoding': 'chunked' }, sized(limits.intentBytes + 1))).status).toBe(413);
  });
  it.each([
    ['one header of 20 KB', `GET /healthz HTTP/1.1\r\nhost: x\r\nbig: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['a path of 20 KB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['two lengths', 'PUT /v1/domains/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}', 400],
    ['a length and chunks', 'PUT /v1/domains/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['an expectation', 'GET /healthz HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\n\r\n', 417],
  ])('refuses %s in words', async (_what, bytes, status) => {
    const answer = await raw(api.url, bytes, 3_000);
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect(answer).toContain('x-content-type-options: nosniff');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ problem });
  });

  it('cuts off who sends slowly, and answers the others meanwhile', async () => {
    const slow = Array.from({ length: 200 }, (_one, i) => new Promise<{ ms: number; got: string }>((resolve) => {
      const began = performance.now();
      let got = '';
      const body = i % 2 === 0;
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => socket.write(body ? `PUT /v1/domains/acme HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-length: 100\r\n\r\n{` : 'GET /healthz HTTP/1.1\r\nhost: x\r\n'));
      const drip = setInterval(() => socket.write(body ? ' ' : 'a: b\r\n'), 100);
      socket.on('data', (chunk) => (got += chunk.toString())).on('error', () => undefined).on('close', () => {
        clearInterval(drip);
        resolve({ ms: performance.now() - began, got });
      });
    }));
    await sleep(200);
    const began = performance.now();
    expect((await call(api.url, 'GET', '/healthz')).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(2_000);
    const ended = await Promise.all(slow);
    expect(Math.max(...ended.map(({ ms }) => ms))).toBeLessThan(6_000);
    expect(ended.filter(({ got }) => got !== '' && !/^HTTP\/1.1 (408|400)/.test(got)).map(({ got }) => got.slice(0, 80))).toEqual([]);
  }, 20_000);

  it('listens on this machine alone, unless it is told otherwise', async () => {
    expect(readConfig({ OSIER_NATS_URL: 'x', OSIER_CREDENTIALS_FILE: 'x', OSIER_TOKENS_FILE: 'x' }).OSIER_API_HOST).toBe('127.0.0.1');
    const elsewhere = Object.values(networkInterfaces()).flat().filter((one) => one !== undefined && !one.internal && one.family === 'IPv4');
    for (const one of elsewhere) {
      const reached = await new Promise<boolean>((resolve) => {
        const socket = connect({ host: one?.address ?? '', port: Number(new URL(api.url).port), timeout: 1_000 }, () => resolve(true));
        socket.on('error', () => resolve(false)).on('timeout', () => resolve(false)).on('connect', () => socket.destroy());
      });
      expect(reached).toBe(false);
    }
  });
});
