import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as secure, type ConnectionOptions } from 'node:tls';
import { type CertificateAuthority, newCertificateAuthority } from '@osier/bus/certificates';
import { memoryBroker } from '@osier/bus/memory';
import type { Log } from '@osier/telemetry/log';
import { type RunningApi, startApi } from './app.ts';
import { certificateFiles, readConfig } from './config.ts';
import { authenticator } from './tokens.ts';

jest.setTimeout(30_000);
const token = 'a-token-of-enough-length';
let dir: string;
let authority: CertificateAuthority;
let api: RunningApi;
const said: string[] = [];
const note = (_facts: object, text: string): void => void said.push(text);
const log = { info: note, warn: note, error: note, debug: note } as unknown as Log;
const files = () => ({ cert: join(dir, 'api.pem'), key: join(dir, 'api-key.pem') });

async function issue(name: string): Promise<{ cert: string; key: string }> {
  return authority.issue({ name, hosts: ['127.0.0.1'] });
}
function put({ cert, key }: { cert: string; key: string }): void {
  writeFileSync(files().cert, cert);
  writeFileSync(files().key, key, { mode: 0o600 });
}
/** What comes back for these bytes, and whose certificate it was. */
function ask(text: string, o: ConnectionOptions = {}): Promise<{ answer: string; name: string; protocol: string | null }> {
  const { port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    const socket = secure({ host: '127.0.0.1', port: Number(port), ca: authority.ca, ...o }, () => socket.end(text));
    let answer = '';
    const seen = { name: '', protocol: null as string | null };
    socket.once('secureConnect', () => Object.assign(seen, { name: String(socket.getPeerCertificate().subject.CN), protocol: socket.getProtocol() }));
    socket.on('data', (chunk) => (answer += String(chunk))).once('error', reject).once('close', () => resolve({ answer, ...seen }));
  });
}
const get = (path: string, method = 'GET'): string => `${method} ${path} HTTP/1.1\r\nhost: osier\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`;
async function until(found: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await found()); await sleep(30)) if (Date.now() > end) throw new Error('not in time');
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'osier-api-tls-'));
  authority = await newCertificateAuthority('test');
  put(await issue('first'));
  const bus = memoryBroker().connect('api');
  await bus.ensureStreams();
  api = await startApi({ bus, authenticate: authenticator([{ token, credential: 'ci' }]), log, host: '127.0.0.1', port: 0, tls: files(), limits: { certificateEveryMs: 50 } });
});
afterAll(async () => {
  await api?.stop();
  rmSync(dir, { recursive: true });
});

describe('the door over TLS', () => {
  it('says https, answers, and has every answer tell clients to stay with it: those of routes, refusals, and what is no HTTP', async () => {
    expect(api.url).toMatch(/^https:/);
    for (const [text, status] of [[get('/healthz'), 200], [get('/v1/nothing'), 404], [get('/healthz', 'TRACE'), 405], ['no HTTP\r\n\r\n', 400]] as const) {
      const { answer, protocol } = await ask(text);
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(answer).toMatch(/^strict-transport-security: max-age=31536000\r$/im);
      expect(protocol).toBe('TLSv1.3');
    }
  });

  it('speaks nothing older than TLS 1.2, and nothing at all in plain text', async () => {
    expect((await ask(get('/healthz'), { maxVersion: 'TLSv1.2' })).answer).toMatch(/^HTTP\/1.1 200/);
    await expect(ask(get('/healthz'), { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })).rejects.toThrow(/version|handshake|reset/i);
    const plain = await new Promise<string>((resolve) => {
      const socket = dial({ host: '127.0.0.1', port: Number(new URL(api.url).port) }, () => socket.write(get('/healthz')));
      let all = '';
      socket.on('data', (chunk) => (all += chunk.toString('latin1'))).on('error', () => undefined).once('close', () => resolve(all));
    });
    expect(plain).not.toMatch(/HTTP|osier|alive/);
  });

  it('takes a renewed certificate without a restart; goes on with the one there was while only half of it is there', async () => {
    expect((await ask(get('/healthz'))).name).toBe('first');
    const second = await issue('second');
    writeFileSync(files().cert, second.cert);
    await until(async () => said.some((text) => text.includes('cannot be read again')));
    expect((await ask(get('/healthz'))).name).toBe('first');
    writeFileSync(files().key, second.key);
    await until(async () => (await ask(get('/healthz'))).name === 'second');
    expect(said.filter((text) => text.includes('cannot be read again'))).toHaveLength(1);
  });

  it('without files that go together does not open at all, and names the setting', async () => {
    const bus = memoryBroker().connect('api');
    const start = (tls: { cert: string; key: string }) => startApi({ bus, authenticate: authenticator([{ token, credential: 'ci' }]), log, host: '127.0.0.1', port: 0, tls });
    await expect(start({ ...files(), cert: join(dir, 'gone.pem') })).rejects.toThrow(/OSIER_API_TLS_CERT names .*gone\.pem, which cannot be read: ENOENT/);
    writeFileSync(join(dir, 'other-key.pem'), (await issue('other')).key);
    await expect(start({ ...files(), key: join(dir, 'other-key.pem') })).rejects.toThrow(/OSIER_API_TLS_CERT .* and OSIER_API_TLS_KEY .* cannot be used/);
    const config = { OSIER_NATS_URL: 'nats://x', OSIER_CREDENTIALS_FILE: '/c', OSIER_TOKENS_FILE: '/t' };
    expect(certificateFiles(readConfig(config))).toBeUndefined();
    expect(() => certificateFiles(readConfig({ ...config, OSIER_API_TLS_KEY: '/k' }))).toThrow(/OSIER_API_TLS_KEY is set and OSIER_API_TLS_CERT is not/);
  });
});
