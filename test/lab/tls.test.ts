// A lab in which everything speaks TLS: it works as any other, and nothing of it listens in plain text.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newCertificateAuthority } from '@osier/bus/certificates';
import { connectBus } from '@osier/bus/jetstream';
import { authenticatorOf, readLogin } from '@osier/bus/login';
import { labDown } from '@osier/lab/down';
import type { Lab } from '@osier/lab/lab';
import { repository } from '@osier/lab/paths';
import { apiUrl, natsUrl } from '@osier/lab/programs';
import { readSpecs } from '@osier/lab/supervisor/spec';
import { labUp } from '@osier/lab/up';
import { deployShop, reaches } from './shop.ts';

const name = `lt${process.pid.toString(36)}`;
let lab: Lab;

beforeAll(async () => {
  lab = await labUp({ name, nodes: 1, domains: ['acme'], project: 'shop', tls: true });
  await deployShop(lab);
}, 60_000);
afterAll(() => labDown(name), 60_000);

interface Ended { code: number | null; text: string }
function osier(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(join(repository, 'osier'), args, { env: { ...process.env, ...env } });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
    child.once('close', (code) => resolve({ code, text }));
    child.stdin.end(input);
  });
}
/** What comes back in plain text for these bytes within a second. */
function plain(port: number, bytes: string | ((greeting: string) => string)): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => void (typeof bytes === 'string' && socket.write(bytes)));
    let text = '';
    socket.setTimeout(1_000, () => socket.destroy());
    if (typeof bytes !== 'string') socket.once('data', (chunk) => socket.write(bytes(chunk.toString('latin1'))));
    socket.on('data', (chunk) => (text += chunk.toString('latin1'))).on('error', () => undefined).once('close', () => resolve(text));
  });
}
const file = (path: string): string => readFileSync(path, 'utf8');
const policy = (port: number): string => `{kind: policy, domain: acme, project: shop, environment: staging, name: late, spec: {appliesTo: {matchTags: {app: orders}}, priority: 10,
  ingress: [{name: from-cart, from: [{endpoints: {matchTags: {app: cart}}}], ports: [{protocol: TCP, port: ${port}}]}]}}`;

describe('a lab with TLS', () => {
  it('works: a change goes over all of it, from the command line into a kernel', async () => {
    expect(await reaches(lab, 'staging/cart', 'staging/orders', 7080)).toBe(false);
    expect(await osier(['apply', '-f', '-', '--wait', '--lab', name], {}, policy(7080))).toMatchObject({ code: 0 });
    expect(await reaches(lab, 'staging/cart', 'staging/orders', 7080)).toBe(true);
    expect(apiUrl(lab.record)).toMatch(/^https:/);
    const told = readSpecs(lab.paths).filter((spec) => spec.env.OSIER_NATS_URL !== undefined);
    expect(told.map((spec) => spec.name).sort()).toEqual(['agent-node-1', 'api', 'ipam', 'policy', 'tenant', 'topology']);
    for (const spec of told) expect(spec.env.OSIER_NATS_URL).toMatch(/^tls:/);
  });

  it('keeps its keys to itself, and that of its authority nowhere', () => {
    const files = readdirSync(lab.paths.secrets);
    expect(files.filter((each) => each.endsWith('.pem')).sort()).toEqual(['api-key.pem', 'api.pem', 'ca.pem', 'nats-key.pem', 'nats.pem']);
    for (const each of files) expect(`${each} ${(statSync(join(lab.paths.secrets, each)).mode & 0o777).toString(8)}`).toBe(`${each} 600`);
    for (const each of readSpecs(lab.paths)) expect(JSON.stringify(each)).not.toContain('BEGIN');
  });

  it('says nothing in plain text: NATS but its greeting, and takes no login; the HTTP door nothing at all', async () => {
    const { token } = JSON.parse(file(lab.paths.client)) as { token: string };
    const own = readLogin(lab.paths.creds('domain-acme'));
    const said = await plain(lab.record.ports.nats ?? 0, (greeting) => {
      const login = { ...authenticatorOf(() => own)(/"nonce":"([^"]+)"/.exec(greeting)?.[1]), verbose: true, pedantic: false, lang: 'node', version: '1', protocol: 1, tls_required: false };
      return `CONNECT ${JSON.stringify(login)}\r\nPING\r\nSUB osier.outcome.acme.> 1\r\n`;
    });
    expect(said).toMatch(/^INFO \{.*"tls_required":true/);
    expect(said).not.toMatch(/\+OK|PONG|MSG /);
    const ask = `GET /v1/nodes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`;
    expect(await plain(lab.record.ports.api ?? 0, ask)).not.toMatch(/HTTP|node-1|problem/);
  });

  it('is believed by nobody who does not know its authority', async () => {
    const other = join(lab.paths.run, 'other-ca.pem');
    writeFileSync(other, (await newCertificateAuthority(`Osier lab ${name}`)).ca);
    const enter = (ca?: string) => connectBus({ url: natsUrl(lab.record), ...readLogin(lab.paths.creds('domain-acme')), name: 'stranger', patienceMs: 1_000, tls: { ca } });
    await expect(enter()).rejects.toThrow(/signed by nobody whom this machine trusts/);
    await expect(enter(other)).rejects.toThrow(/is not accepted/);
    await (await enter(lab.paths.certificate('ca'))).close();

    const server = { OSIER_SERVER: apiUrl(lab.record), OSIER_TOKEN: (JSON.parse(file(lab.paths.client)) as { token: string }).token };
    const [none, wrong, plainly, right] = await Promise.all([
      osier(['nodes'], server), osier(['nodes', '--ca', other], server), osier(['nodes'], { ...server, OSIER_SERVER: server.OSIER_SERVER.replace('https', 'http') }),
      osier(['nodes'], { ...server, OSIER_CA: lab.paths.certificate('ca') }),
    ]);
    expect(none).toMatchObject({ code: 3, text: expect.stringMatching(/is not accepted.*\n.*--ca FILE or OSIER_CA/) });
    expect(wrong).toMatchObject({ code: 3, text: expect.stringMatching(/is not accepted.*\n.*not signed by the authority in .*other-ca\.pem/) });
    expect(plainly).toMatchObject({ code: 3, text: expect.stringMatching(/hung up: if it speaks HTTPS, write https:\/\//) });
    expect(right).toMatchObject({ code: 0, text: expect.stringContaining('node-1') });
  });

  it('is believed by whoever uses a credential that was issued here', async () => {
    const creds = join(lab.paths.run, 'ci.creds');
    expect(await osier(['credentials', 'issue', 'ci', '-d', 'acme', '--role', 'viewer', '--lab', name, '--out', creds])).toMatchObject({ code: 0 });
    expect(await osier(['get', 'networks', '-d', 'acme'], { OSIER_CREDS: creds })).toMatchObject({ code: 0, text: expect.stringContaining('acme/shop/staging/main') });
  });
});
