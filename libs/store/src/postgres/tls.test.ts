import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CertificateAuthority, newCertificateAuthority } from '@osier/bus/certificates';
import { network } from '../contract.ts';
import type { Store } from '../store.ts';
import { StoreUnavailable } from '../unavailable.ts';
import { openPostgres } from './open.ts';
import { type PostgresServer, startPostgres } from './server.ts';
import { secured } from './tls.ts';

jest.setTimeout(60_000);
const hour = 60 * 60 * 1000;
let dir: string;
let ours: CertificateAuthority;
let server: PostgresServer;
let port: number;
const opened: Store[] = [];

const freePort = (): Promise<number> => new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port: found } = probe.address() as AddressInfo;
    probe.close(() => resolve(found));
  });
});
const certificate = (hosts: readonly string[], times: { from?: Date; to?: Date } = {}) => ours.issue({ name: 'postgres', hosts, ...times });
const expired = { from: new Date(Date.now() - 2 * hour), to: new Date(Date.now() - hour) };
/** Over TCP. */
const url = (query: string, host = '127.0.0.1'): string => `postgres://osier@${host}:${port}/osier${query === '' ? '' : `?${query}`}`;
const verified = () => `sslmode=verify-full&sslrootcert=${encodeURIComponent(join(dir, 'ca.pem'))}`;
async function open(given: string, service = 'secure'): Promise<Store> {
  const store = await openPostgres({ url: given, service, signal: AbortSignal.timeout(8_000) });
  opened.push(store);
  return store;
}
const put = (store: Store, n: number) => store.transaction((unit) => unit.put(network(n), { intentId: `i${n}`, at: 0 }));
/** Gives the running server another certificate, as a renewal does. */
async function renew(pair: { cert: string; key: string }): Promise<void> {
  for (const [name, text] of Object.entries(pair)) writeFileSync(join(server.directory, `${name}.pem`), text);
  server.query('select pg_reload_conf()');
  await sleep(300);
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'osier-pg-tls-'));
  const theirs = await newCertificateAuthority('test');
  ours = await newCertificateAuthority('test');
  writeFileSync(join(dir, 'ca.pem'), ours.ca);
  writeFileSync(join(dir, 'other.pem'), theirs.ca);
  port = await freePort();
  server = await startPostgres({ listen: { port, tls: await certificate(['127.0.0.1']) } });
});
afterAll(async () => {
  await Promise.all(opened.map((store) => store.close().catch(() => undefined)));
  await server?.remove();
  rmSync(dir, { recursive: true });
});

describe('PostgreSQL over TLS', () => {
  it('with sslmode=verify-full and the authority works, and nothing goes in plain text', async () => {
    const store = await open(url(verified()));
    await put(store, 1);
    expect(server.query("select string_agg(distinct version, ' ') from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'osier-secure' and ssl")).toMatch(/^TLSv1\.[23]$/);
    await store.close();
  });

  it.each(['verify-full', 'verify-ca', 'require', 'prefer'])('with sslmode=%s verifies, and refuses the certificate of a strange authority, of another name, out of time', async (mode) => {
    await expect(open(url(`sslmode=${mode}`))).rejects.toMatchObject({ message: expect.stringMatching(/certificate of 127\.0\.0\.1:\d+\/osier.* is not accepted/), fix: expect.stringContaining('Set sslrootcert') });
    const known = `sslmode=${mode}&sslrootcert=${encodeURIComponent(join(dir, 'ca.pem'))}`;
    await expect(open(url(known.replace('ca.pem', 'other.pem')))).rejects.toMatchObject({ fix: expect.stringContaining("somebody else's") });
    await expect(open(url(known, 'localhost'))).rejects.toMatchObject({ fix: expect.stringContaining('a name or address that the certificate holds') });
    await renew(await certificate(['localhost']));
    await expect(open(url(known))).rejects.toMatchObject({ fix: expect.stringContaining('a name or address that the certificate holds') });
    await renew(await certificate(['127.0.0.1'], expired));
    await expect(open(url(known))).rejects.toMatchObject({ fix: expect.stringContaining('Renew the certificate') });
    await renew(await certificate(['127.0.0.1']));
    await (await open(url(known))).close();
  });

  it('whose certificate expires while a service runs is away, not a reason to refuse intents; and is there again when it is renewed', async () => {
    const store = await open(url(verified()));
    await put(store, 2);
    await renew(await certificate(['127.0.0.1'], expired));
    server.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'osier-secure'");
    for (let tries = 0; tries < 3; tries++) await expect(put(store, 3)).rejects.toThrow(StoreUnavailable);
    await expect(put(store, 3)).rejects.toThrow(/expired/);
    await renew(await certificate(['127.0.0.1']));
    await put(store, 3);
    await store.close();
  });

  it('is not done without where it is asked for: a server without TLS is refused before a login', async () => {
    const plain = await freePort();
    const without = await startPostgres({ listen: { port: plain } });
    try {
      await expect(open(url(verified()).replace(String(port), String(plain)))).rejects.toMatchObject({ message: expect.stringContaining('speaks without TLS'), fix: expect.stringContaining('ssl = on') });
      await (await open(url('sslmode=disable').replace(String(port), String(plain)))).close();
    } finally {
      await without.remove();
    }
  });

  it('has no mode that does not verify, and names what is wrong with its files', () => {
    for (const weak of ['sslmode=no-verify', 'sslmode=none', 'sslmode=require&uselibpqcompat=true']) expect(() => secured(url(weak))).toThrow(/is not (one that is )?known here/);
    expect(() => secured(url(''), { PGSSLMODE: 'no-verify' })).toThrow(/sslmode=no-verify/);
    expect(secured(url(''), { PGSSLMODE: 'require' }).ssl).not.toBe(false);
    expect(secured(url(''), {}).ssl).toBe(false);
    expect(() => secured(url('sslmode=verify-full&sslrootcert=/gone.pem'))).toThrow(/sslrootcert names \/gone\.pem, which cannot be read: ENOENT/);
    expect(secured(server.url + '&sslmode=verify-full').ssl).toBe(false);
  });
});
