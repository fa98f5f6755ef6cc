import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateAuthority, newCertificateAuthority } from '@osier/bus/certificates';
import { clientOf } from './client.ts';
import { connectionOf } from './connection.ts';

const hour = 60 * 60 * 1000;
let dir: string;
let authority: CertificateAuthority;
const servers: Server[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'osier-cli-tls-'));
  authority = await newCertificateAuthority('test');
  writeFileSync(join(dir, 'ca.pem'), authority.ca);
});
afterAll(async () => {
  await Promise.all(servers.map((server) => (server.closeAllConnections(), new Promise((done) => server.close(done)))));
  rmSync(dir, { recursive: true });
});

async function serve(hosts: readonly string[], times: { from?: Date; to?: Date } = {}): Promise<string> {
  const server = createServer(await authority.issue({ name: 'api', hosts, ...times }), (_request, response) => response.end('{"nodes": []}'));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const ask = (server: string, env: Record<string, string> = { OSIER_CA: join(dir, 'ca.pem') }) => clientOf(connectionOf({ server }, env), new AbortController().signal).read('/v1/nodes');

describe('a server over TLS', () => {
  it('is believed by the authority that is given for it', async () => {
    const server = await serve(['127.0.0.1']);
    expect(await ask(server)).toEqual({ nodes: [] });
    await expect(ask(server, {})).rejects.toMatchObject({ code: 'unknown-authority', exitCode: 3, fix: expect.stringContaining('--ca FILE or OSIER_CA') });
  });
  it('that shows a certificate of another name, or out of time, is not spoken to, and what to do is said', async () => {
    await expect(ask(await serve(['10.9.8.7', 'localhost']))).rejects.toMatchObject({ code: 'other-name', fix: expect.stringContaining('somebody else') });
    await expect(ask(await serve(['127.0.0.1'], { from: new Date(Date.now() - 2 * hour), to: new Date(Date.now() - hour) }))).rejects.toMatchObject({ code: 'expired', fix: expect.stringContaining('renewed') });
    await expect(ask(await serve(['127.0.0.1'], { from: new Date(Date.now() + hour) }))).rejects.toMatchObject({ code: 'not-yet-valid', fix: expect.stringContaining('clock') });
  });
  it('is asked for where an authority is given: nothing goes out in plain text', () => {
    expect(() => connectionOf({ server: 'http://127.0.0.1:1', ca: join(dir, 'ca.pem') }, {})).toThrow(/authority of a server over TLS, and http:/);
    expect(() => connectionOf({ server: 'https://127.0.0.1:1', ca: join(dir, 'gone.pem') }, {})).toThrow(/cannot read .*gone\.pem/);
    writeFileSync(join(dir, 'text'), 'nothing');
    expect(() => connectionOf({ server: 'https://127.0.0.1:1', ca: join(dir, 'text') }, {})).toThrow(/holds no certificate/);
  });
});
