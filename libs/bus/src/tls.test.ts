import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { connect as connectPlain } from '@nats-io/transport-node';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsConfiguration, type ServerInput } from './accounts.ts';
import { type Bus, BusUnavailable } from './bus.ts';
import { type CertificateAuthority, newCertificateAuthority } from './certificates.ts';
import { newInstallation } from './installation.ts';
import { connectBus } from './jetstream.ts';
import { authenticatorOf } from './login.ts';
import { freePort, type NatsServer, startNatsServer } from './server.ts';
import { type TlsFiles, TlsRefused } from './tls.ts';

jest.setTimeout(40_000);
const keys = await newInstallation();
const login = await keys.service('topology');
let dir: string;
let ours: CertificateAuthority;
let theirs: CertificateAuthority;
const servers: NatsServer[] = [];
const open: Bus[] = [];
const at = (name: string): string => join(dir, name);

async function certificates(name: string, hosts: readonly string[], times: { from?: Date; to?: Date } = {}): Promise<{ cert: string; key: string }> {
  const { cert, key } = await ours.issue({ name, hosts, ...times });
  writeFileSync(at(`${name}.pem`), cert);
  writeFileSync(at(`${name}-key.pem`), key, { mode: 0o600 });
  return { cert: at(`${name}.pem`), key: at(`${name}-key.pem`) };
}
const input = (port: number, name: string): ServerInput => ({ listen: `127.0.0.1:${port}`, storeDir: at(`js-${name}`), trust: keys.trust });
async function serve(name: string, tls?: ServerInput['tls']): Promise<NatsServer & { tls: string; config: (tls?: ServerInput['tls']) => string }> {
  const given = input(await freePort(), name);
  const config = (settings?: ServerInput['tls']): string => natsConfiguration(settings === undefined ? given : { ...given, tls: settings });
  const server = await startNatsServer({ dir: at(`server-${name}`), config: config(tls) });
  servers.push(server);
  return Object.assign(server, { tls: `tls://127.0.0.1:${server.port}`, config });
}
async function enter(url: string, tls?: TlsFiles): Promise<Bus> {
  const bus = await connectBus({ url, ...login, name: 'test', tls, patienceMs: 5_000 });
  open.push(bus);
  return bus;
}
/** What a person is told, and what they are to do. */
const refused = async (connecting: Promise<Bus>): Promise<string> => connecting.then(
  () => 'connected',
  (error: unknown) => (error instanceof TlsRefused ? `${error.message} ${error.fix}` : `not about TLS: ${String(error)}`),
);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'osier-tls-'));
  // Of one name: a certificate must not pass because its issuer is called the same.
  [ours, theirs] = [await newCertificateAuthority('test'), await newCertificateAuthority('test')];
  writeFileSync(at('ca.pem'), ours.ca);
  writeFileSync(at('other-ca.pem'), theirs.ca);
});
afterAll(async () => {
  await Promise.all(open.map((bus) => bus.close()));
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(dir, { recursive: true });
});

describe('the way to NATS over TLS', () => {
  it('given the authority of the server, works, by address and by name; given none or another, names the setting', async () => {
    const server = await serve('good', await certificates('good', ['127.0.0.1', 'localhost']));
    const bus = await enter(server.tls, { ca: at('ca.pem') });
    await bus.ensureStreams();
    expect(bus.connected).toBe(true);
    await enter(`tls://localhost:${server.port}`, { ca: at('ca.pem') });
    // A file alone asks for TLS too.
    await enter(server.url, { ca: at('ca.pem') });
    expect(await refused(enter(server.url))).toMatch(/speaks TLS, and its certificate is signed by nobody whom this machine trusts: .*Set OSIER_NATS_TLS_CA/);
    expect(await refused(enter(server.tls))).toMatch(/Set OSIER_NATS_TLS_CA/);
    expect(await refused(enter(server.tls, { ca: at('other-ca.pem') }))).toMatch(/is not accepted: .*not signed by the authority in OSIER_NATS_TLS_CA \(.*other-ca\.pem\)/);
    // No way around it for a client that does not ask.
    await expect(connectPlain({ servers: server.url, authenticator: authenticatorOf(() => login), tls: null, reconnect: false, timeout: 1_000 })).rejects.toThrow();
  });

  it('given a server whose certificate is for another address, refuses it, though it is for "localhost"', async () => {
    const server = await serve('other', await certificates('other', ['10.9.8.7', 'localhost', 'nats.example']));
    expect(await refused(enter(server.tls, { ca: at('ca.pem') }))).toMatch(/127\.0\.0\.1.*Write OSIER_NATS_URL with a name or address that the certificate holds/);
    await enter(`tls://localhost:${server.port}`, { ca: at('ca.pem') });
    const named = await serve('named', await certificates('named', ['127.0.0.1']));
    expect(await refused(enter(`tls://localhost:${named.port}`, { ca: at('ca.pem') }))).toMatch(/Write OSIER_NATS_URL/);
  });

  it('given a certificate that has expired, or is not valid yet, says so', async () => {
    const hour = 60 * 60 * 1000;
    const [past, future] = [new Date(Date.now() - hour), new Date(Date.now() + hour)];
    const late = await serve('late', await certificates('late', ['127.0.0.1'], { from: new Date(Date.now() - 2 * hour), to: past }));
    expect(await refused(enter(late.tls, { ca: at('ca.pem') }))).toMatch(/expired.*Renew the certificate of the server/);
    const early = await serve('early', await certificates('early', ['127.0.0.1'], { from: future }));
    expect(await refused(enter(early.tls, { ca: at('ca.pem') }))).toMatch(/not yet valid.*clock/);
  });

  it('given a server without TLS, sends it nothing', async () => {
    const server = await serve('plain');
    for (const [url, ca] of [[server.tls], [server.tls, at('ca.pem')], [server.url, at('ca.pem')]] as const) {
      expect(await refused(enter(url, { ca }))).toMatch(/speaks without TLS, and TLS is set here .*nothing was sent/);
    }
    expect(server.log()).not.toMatch(/authori[sz]ation/i);
  });

  it('given a server that verifies its clients, shows the client\'s certificate, or names the settings for one', async () => {
    const server = await serve('verify', { ...(await certificates('verify', ['127.0.0.1'])), ca: at('ca.pem'), verify: true });
    const own = await certificates('client', []);
    await enter(server.tls, { ca: at('ca.pem'), ...own });
    expect(await refused(enter(server.tls, { ca: at('ca.pem') }))).toMatch(/asks for a certificate of the client.*Set OSIER_NATS_TLS_CERT and OSIER_NATS_TLS_KEY/);
    const strange = await theirs.issue({ name: 'stranger' });
    writeFileSync(at('strange.pem'), strange.cert);
    writeFileSync(at('strange-key.pem'), strange.key);
    expect(await refused(enter(server.tls, { ca: at('ca.pem'), cert: at('strange.pem'), key: at('strange-key.pem') }))).toMatch(/does not accept the certificate in OSIER_NATS_TLS_CERT/);
    expect(await refused(enter(server.tls, { cert: own.cert }))).toMatch(/OSIER_NATS_TLS_CERT is set and OSIER_NATS_TLS_KEY is not/);
    expect(await refused(enter(server.tls, { cert: own.cert, key: at('strange-key.pem') }))).toMatch(/OSIER_NATS_TLS_CERT with OSIER_NATS_TLS_KEY cannot be used/);
  });

  it('given a file that is not there, or holds something else, names the setting before it tries', async () => {
    writeFileSync(at('text'), 'no certificate');
    expect(await refused(enter('tls://127.0.0.1:1', { ca: at('gone.pem') }))).toMatch(/OSIER_NATS_TLS_CA names .*gone\.pem, which cannot be read: ENOENT/);
    expect(await refused(enter('tls://127.0.0.1:1', { ca: at('text') }))).toMatch(/OSIER_NATS_TLS_CA names .*holds no PEM block/);
  });

  it('given a renewed certificate and a reload, stays or comes back; given one that has expired since, says what keeps it away', async () => {
    const server = await serve('renewed', await certificates('renewed', ['127.0.0.1']));
    const bus = await enter(server.tls, { ca: at('ca.pem') });
    const next = await certificates('next', ['127.0.0.1']);
    await server.reload(server.config(next));
    await enter(server.tls, { ca: at('ca.pem') });
    for (const end = Date.now() + 10_000; !bus.connected && Date.now() < end; ) await new Promise((later) => setTimeout(later, 50));
    await expect(bus.stream('INTENTS')).resolves.toBeUndefined();
    await server.stop();
    await certificates('next', ['127.0.0.1'], { from: new Date(Date.now() - 7_200_000), to: new Date(Date.now() - 3_600_000) });
    await server.start();
    const failure = await bus.stream('INTENTS').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BusUnavailable);
    expect(String(failure)).toMatch(/expired.*Renew the certificate/);
    await certificates('next', ['127.0.0.1']);
    await server.stop();
    await server.start();
    for (const end = Date.now() + 10_000; !bus.connected && Date.now() < end; ) await new Promise((later) => setTimeout(later, 50));
    expect(bus.connected).toBe(true);
  });
});
