// Hostile bytes at the HTTP door, with the real services behind it, over real sockets.
// usage: http.ts [--seed N] [--inputs N]   its last line is a Report as JSON
import { connect } from 'node:net';
import { kinds, kindNames } from '@osier/contracts/kinds';
import { silent } from '@osier/telemetry/log';
import { startApi } from '../../../apps/api/src/app.ts';
import { routes } from '../../../apps/api/src/routes.ts';
import { authenticator } from '../../../apps/api/src/tokens.ts';
import { startControlPlane } from '../../scenarios/control-plane.ts';
import { damaged, hostileJson, mutated, random, text, value, words } from './random.ts';
import { argument, heapNow, leaks, program, type Report, Watch } from './watch.ts';

const seed = argument('seed', 1);
const inputs = argument('inputs', 2_000);
const at = 32;
const life = 4_000;
/** Milliseconds after which an answer that does not end is cut off here. */
const patience = 20_000;
const token = 'a-token-of-enough-length';
const r = random(seed);
const watch = new Watch();
const latin = (s: string): Buffer => Buffer.from(s, 'latin1');

const ground: Record<string, readonly string[]> = {
  domain: ['acme', 'other'], project: ['shop'], environment: ['staging'], name: ['main', 'node-1', 'frontend', 'database'], noun: kindNames, verb: ['apply', 'delete'], intentId: ['x', 'seq-1'],
};
const oddPart = (): string => r.pick(['_', '*', '%00', '%2e%2e', '..', '%', '%zz', '%E0%A4%A', '%F0%9F%98%80', '%ED%A0%80', 'a%2Fb', 'a'.repeat(64), 'A', '__proto__', 'constructor', ';', '\u00ff', encodeURIComponent(r.pick(words))]);
let route = r.pick(routes);
function path(): string {
  if (r.chance(0.03)) return `/${r.pick(['x', '%41', '../', '//', 'v1/', '?']).repeat(r.pick([10, 1_000, 9_000]))}`;
  if (r.chance(0.03)) return r.pick(['*', '', 'http://elsewhere/v1/domains', '//x', '/v1/../healthz', '/\0', '/v1/domains/acme#x', '/v1/domains//', '/V1/Domains', '/v1/gadgets']);
  return route.path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => (r.chance(0.1) ? oddPart() : r.pick(ground[name] ?? ['x'])));
}
/** While the bus is away nobody waits for it longer than he must. */
let hurry = false;
function query(): string {
  if (hurry) return '?timeout=0s';
  // What never comes true is waited for as long as one may.
  if (route.action.type === 'enforcement') return '?timeout=10ms';
  if (r.chance(0.5)) return '';
  const one = (): string => `${r.pick(['timeout', 'expectedVersion', 'denied', 'since', 'domain', 'project', 'environment', 'after', 'limit', '__proto__[x]', 'a[b][c]', '%', text(r, 4).replaceAll(/[\s\0]/g, '')])}=${r.pick(['0s', '10ms', 'soon', '-1', '1e9m', '0', '1', '3', '99999999999999999999', 'true', 'yes', '%00', '%FF', 'acme', '..', '5m', '2026-01-01T00:00:00Z', '+275760-09-13T00:00:00.001Z', '[]', 'x'.repeat(2_000)])}`;
  return `?${Array.from({ length: 1 + r.int(3) }, one).join('&')}`;
}
function body(): Buffer {
  const kind = r.pick(kindNames);
  if (r.chance(0.1)) return Buffer.from(hostileJson(r));
  if (r.chance(0.01)) return Buffer.alloc(r.pick([262_144, 262_145, 1_000_000, 5_000_000]), 0x20);
  if (r.chance(0.1)) return Buffer.from(JSON.stringify({ changes: [mutated(r, { kind: 'network', id: '01997f5e-5b3c-7cc0-8000-000000000001', subject: r.pick(['osier.state.acme.shop.staging.network._.x', '>', '*', '']), revision: r.pick([0, 1, -1, 2 ** 53 - 1]) })] }) ?? '');
  let made: unknown = r.chance(0.3) ? { name: 'main', spec: kinds[kind].example } : kinds[kind].example;
  for (let i = r.int(3); i > 0; i--) made = r.chance(0.1) ? value(r) : mutated(r, made);
  const bytes = Buffer.from(JSON.stringify(made) ?? '');
  return r.chance(0.15) ? Buffer.from(damaged(r, bytes)) : bytes;
}
const headerValue = (): string => (r.chance(0.1) ? text(r, 30).replaceAll(/[\r\n]/g, ' ') : r.pick(words));
function headers(): string[] {
  const lines = [`Host: ${r.chance(0.95) ? 'localhost' : headerValue()}`];
  if (r.chance(0.9)) lines.push(`Authorization: Bearer ${token}`);
  else lines.push(`Authorization: ${r.pick(['Bearer', 'Bearer  ', 'Bearer x', `bearer ${token}x`, 'Basic eDp5', headerValue(), `Bearer ${'x'.repeat(10_000)}`])}`);
  for (let i = r.int(3); i > 0; i--) {
    lines.push(`${r.pick(['Idempotency-Key', 'If-Match', 'If-None-Match', 'traceparent', 'tracestate', 'Content-Type', 'Content-Encoding', 'Accept', 'X-HTTP-Method-Override', 'X-Forwarded-For', 'Cookie', '__proto__', 'Range', 'TE', 'Upgrade', 'Connection', ...(r.chance(0.1) ? ['Expect'] : [])])}: ${r.pick(['1', '"3"', '*', 'seq-7', 'key', 'gzip', '100-continue', 'websocket', 'upgrade', 'x'.repeat(200), `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, headerValue()])}`);
  }
  if (r.chance(0.01)) for (let i = 0; i < 3_000; i++) lines.push(`h${i}: 1`);
  if (r.chance(0.01)) lines.push(`big: ${'x'.repeat(20_000)}`);
  return lines;
}

/** One request as bytes: whole, in chunks, cut off, with a false length, or no request at all. */
function input(): Buffer {
  if (r.chance(0.04)) return Buffer.from(Array.from({ length: r.int(400) }, () => r.int(256)));
  route = r.pick(routes);
  const method = r.chance(0.8) ? route.method.toUpperCase() : r.chance(0.5) ? r.pick(['GET', 'PUT', 'POST', 'DELETE']) : r.pick(['HEAD', 'OPTIONS', 'TRACE', 'PATCH', 'PROPFIND', 'CONNECT', 'QUERY', 'get', 'FOO', '', 'G\0T']);
  const content = method === 'GET' || method === 'HEAD' ? Buffer.alloc(0) : body();
  const head = headers();
  let rest: Buffer = content;
  const shape = r.next();
  if (shape < 0.75) head.push(`Content-Length: ${content.length}`);
  else if (shape < 0.85) {
    head.push('Transfer-Encoding: chunked');
    rest = Buffer.concat([latin(`${content.length.toString(16)}${r.chance(0.2) ? ';x="y"' : ''}\r\n`), content, latin(r.pick(['\r\n0\r\n\r\n', '\r\n0\r\nx: y\r\n\r\n', '\r\nfffffffffffffffff\r\n', '\r\n-1\r\n', 'zz\r\n', '']))]);
  } else if (shape < 0.9) head.push(`Content-Length: ${r.pick(['-1', '1e3', '99999999999999999999', String(content.length + 10), '0x10', ''])}`);
  else if (shape < 0.93) head.push(`Content-Length: ${content.length}`, r.pick(['Content-Length: 1', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked, identity', 'transfer-encoding : chunked']));
  const line = `${method} ${path()}${query()} ${r.chance(0.97) ? 'HTTP/1.1' : r.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/9.9', '', 'FOO'])}`;
  const whole = Buffer.concat([latin(`${line}\r\n${head.join('\r\n')}${r.chance(0.98) ? '\r\nConnection: close' : ''}\r\n\r\n`), rest]);
  return r.chance(0.03) ? whole.subarray(0, r.int(whole.length)) : whole;
}

/** Sends it, ends its side, and returns everything that comes back. */
function exchange(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const got: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const timer = setTimeout(() => {
      watch.found('no end of the answer', bytes.subarray(0, 300).toString('latin1'));
      socket.destroy();
    }, patience);
    socket.on('data', (chunk) => got.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(got));
    });
    socket.on('end', () => socket.end());
    socket.end(bytes);
  });
}

/** 503 is an answer while the bus is away, and from this installation's tenant service where it is asked for logins: it signs none. */
const mayBeUnavailable = (code: string, sent: Buffer): boolean => hurry || ((code === 'not-ready' || /^HEAD /.test(sent.subarray(0, 5).toString())) && /^\S+ \S+\/logins[? ]/.test(sent.subarray(0, 300).toString('latin1')));
const mustHave = ['x-content-type-options: nosniff', "content-security-policy: default-src 'none'", 'cache-control: no-store'];
function judge(sent: Buffer, answer: Buffer): void {
  const shown = `${sent.subarray(0, 300).toString('latin1')} → ${answer.subarray(0, 500).toString('latin1')}`;
  if (answer.length === 0) return watch.count('closed');
  const whole = answer.toString('latin1');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(whole)?.[1]);
  if (status === 100) return judge(sent, answer.subarray(whole.indexOf('\r\n\r\n') + 4));
  const code = /"code":"([a-z-]+)"/.exec(whole)?.[1] ?? '';
  watch.count(status === 503 ? `503 ${code}` : String(status));
  if (!(status >= 200 && status < 500) && !(status === 503 && mayBeUnavailable(code, sent))) watch.found('a status that may not be', shown);
  const cut = whole.indexOf('\r\n\r\n');
  const head = whole.slice(0, cut).toLowerCase();
  const content = answer.subarray(cut + 4);
  for (const line of mustHave) if (!head.includes(line)) return watch.found(`an answer lacks ${line}`, shown);
  if (/^(server|x-powered-by):/m.test(head)) watch.found('an answer says what it runs on', shown);
  if (leaks(content.toString())) watch.found('an answer tells of the inside', shown);
  if (status < 400 || head.includes('transfer-encoding: chunked') || /^HEAD /.test(sent.subarray(0, 5).toString('latin1'))) return;
  try {
    watch.problem((JSON.parse(content.toString().split('\n')[0] ?? '') as { problem?: unknown }).problem, shown);
  } catch {
    watch.found('a refusal that is not JSON', shown);
  }
}

async function begin() {
  const platform = await startControlPlane();
  const there: [string, string, object][] = [
    ['', 'domain', { name: 'acme', spec: {} }], ['acme', 'project', { name: 'shop', spec: {} }], ['acme shop', 'environment', { name: 'staging', spec: {} }],
    ['', 'node', { name: 'node-1', spec: kinds.node.example }], ['acme shop staging', 'network', { name: 'main', spec: kinds.network.example }],
    ['acme shop staging', 'endpoint', { name: 'frontend', spec: kinds.endpoint.example }], ['acme shop staging', 'policy', { name: 'database', spec: kinds.policy.example }],
  ];
  for (const [scope, noun, content] of there) {
    const [domain, project, environment] = scope.split(' ').filter(Boolean);
    const outcome = await platform.wish({ ...Object.fromEntries(Object.entries({ domain, project, environment }).filter(([, v]) => v !== undefined)), noun, verb: 'apply', id: noun, body: content });
    if (outcome.result !== 'accepted') throw new Error(JSON.stringify(outcome));
  }
  const api = await startApi({
    bus: platform.broker.connect('api'), authenticate: authenticator([{ token, credential: 'platform-anna' }]), host: '127.0.0.1', port: 0,
    // So that what is wrong with a request is met, and not how many there are.
    limits: { askingBurst: 1e9, guessesBurst: 1e9 },
    log: { ...silent, error: (...said: unknown[]) => watch.found('the api failed', said.map((one) => (one instanceof Error ? one.stack : JSON.stringify(one, (_key, v: unknown) => (v instanceof Error ? v.stack : v)))).join(' ')) },
  });
  const port = Number(new URL(api.url).port);
  return { platform, api, port, stop: async () => {
    await api.stop();
    await platform.close();
  } };
}

program(async (): Promise<Report> => {
  const started = performance.now();
  let early = 0;
  for (let done = 0; done < inputs && watch.findings.length < 20; done += life) {
    const count = Math.min(life, inputs - done);
    const it = await begin();
    const away = count - at;
    for (let i = 0; i < count; i += at) {
      // The last of each life meet a bus that is away.
      if (i >= away) {
        hurry = true;
        it.platform.broker.stop();
      }
      await Promise.all(Array.from({ length: Math.min(at, count - i) }, async () => {
        const bytes = input();
        judge(bytes, await exchange(it.port, bytes));
      }));
    }
    hurry = false;
    it.platform.broker.start();
    watch.prototypes(done);
    const health = await fetch(`http://127.0.0.1:${it.port}/healthz`, { signal: AbortSignal.timeout(2_000) }).catch((error: unknown) => String(error));
    if (typeof health === 'string' || health.status !== 200) watch.found('it is not healthy afterwards', health);
    await it.stop();
    early ||= heapNow();
  }
  return watch.report({ inputs, seed, seconds: (performance.now() - started) / 1000, heap: { early, end: heapNow() } });
});
