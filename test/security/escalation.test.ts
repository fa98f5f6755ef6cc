// What somebody with a credential may try beyond asking for what he may not: make himself more than he is, pass for another, speak to the server in headers.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { encodeAccount, encodeUser } from '@nats-io/jwt';
import { fromPublic } from '@nats-io/nkeys';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { newKey, newUserKey } from '@osier/bus/keys';
import type { AuditPage } from '@osier/contracts/audit';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, hangUp } from './live/http.ts';
import { inside, type Land, settle, shop, vault } from './live/land.ts';
import { asker, bearerOf, enter, issue, later, type Person } from './live/people.ts';
import { eventually } from './live/world.ts';

const seedText = (key: { getSeed(): Uint8Array }): string => new TextDecoder().decode(key.getSeed());

let land: Land;
const open: NatsConnection[] = [];
beforeAll(async () => {
  land = await settle();
}, 60_000);
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});
afterAll(async () => {
  const violations = land?.live.violations() ?? [];
  await land?.close();
  hangUp();
  expect(violations).toEqual([]);
});

const into = async (who: { jwt: string; seed: string }): Promise<NatsConnection> => {
  const connection = await enter(land.live, who);
  open.push(connection);
  return connection;
};
const isLetIn = (who: { jwt: string; seed: string }): Promise<boolean> => into(who).then(() => true, () => false);
const opens = async (authorization: string, path = `${inside(shop)}/networks`): Promise<number> => (await call(land.live.api.url, 'GET', path, { headers: { authorization } })).status;
const statusOf = async (who: Person, method: string, path: string, body?: unknown): Promise<[number, string | undefined]> => {
  const answer = await asker(land.live, who)(method, path, { body: body === undefined ? undefined : JSON.stringify(body) });
  return [answer.status, answer.json<{ problem?: { code: string } }>().problem?.code];
};

describe('nobody makes himself more than he is', () => {
  const keys = [{ publicKey: newUserKey().publicKey, expiresAt: later(600_000) }];
  it.each([
    ['acme/editor', 'upstart', { role: 'admin', keys }], ['acme/approver', 'upstart', { role: 'viewer', keys: [] }], ['acme/shop-admin', 'upstart', { project: 'shop', role: 'admin', keys }],
    ['acme/shop-admin', 'shop-admin', { role: 'admin', keys }], ['acme/shop-admin', 'shop-admin', { project: 'blog', role: 'admin', keys }], ['acme/viewer', 'viewer', { role: 'admin', keys }],
  ])('%s gives credential %s a scope and role, at the door and on the bus', async (path, name, spec) => {
    const who = land.person(path);
    expect((await statusOf(who, 'PUT', `/v1/domains/acme/credentials/${name}`, spec))[0]).toBe(403);
    expect((await statusOf(who, 'POST', '/v1/intents/acme/_/_/credential/apply', { name, spec }))[0]).toBe(403);
    const before = await land.live.bus.stream('INTENTS');
    const connection = await into(who);
    for (const [project, token] of [['_', who.token], ['shop', who.token], ['_', 'admin'], ['_', 'osier-tenant']]) connection.publish(`osier.intent.acme.${project}._.credential.apply.${token}`, JSON.stringify({ name, spec }));
    await connection.flush();
    await sleep(50);
    expect((await land.live.bus.stream('INTENTS'))?.lastSequence).toBe(before?.lastSequence);
  });
  it.each([
    ['platform-x', { role: 'viewer', keys: [] }, 'reserved-name'], ['osier-topology', { role: 'viewer', keys: [] }, 'reserved-name'], ['x', { project: 'vault', role: 'viewer', keys: [] }, 'unknown-project'],
    ['x', { project: 'ghost', role: 'viewer', keys: [] }, 'unknown-project'], ['x', { role: 'root', keys: [] }, expect.any(String)], ['x', { role: 'admin', node: 'n1', keys: [] }, expect.any(String)], ['x', { project: '_', role: 'admin', keys: [] }, expect.any(String)], ['x', { project: '*', role: 'admin', keys: [] }, expect.any(String)],
    ['x', { role: 'viewer', keys: [{ publicKey: `U${'A'.repeat(55)}`, expiresAt: later(60_000) }] }, 'invalid'], ['x', { role: 'viewer', keys: [{ publicKey: newKey('account').getPublicKey(), expiresAt: later(60_000) }] }, expect.any(String)],
    ['x', { role: 'viewer', keys: [{ publicKey: newUserKey().publicKey, expiresAt: '9999-01-01T00:00:00Z' }] }, 'out-of-range'],
  ])('a domain admin makes a credential %s: %j', async (name, spec, code) => {
    expect(await statusOf(land.person('acme/admin'), 'PUT', `/v1/domains/acme/credentials/${name}`, spec)).toEqual([422, code]);
    expect((await land.live.root('GET', `/v1/domains/acme/credentials/${name}`)).status).toBe(404);
  });
  it("an approver has nothing tried again that he could not wish", async () => {
    const admin = await into(land.person('acme/shop-admin'));
    const h = headers();
    h.set('ce-id', 'dead-environment');
    admin.publish('osier.intent.acme.shop._.environment.apply.shop-admin', 'not JSON', { headers: h });
    await eventually(() => land.live.bus.last('DEAD', 'osier.dead.acme.shop.dead-environment'));
    const retry = '/v1/dead-letters/acme/shop/dead-environment/retry';
    for (const path of ['acme/approver', 'acme/shop-approver']) expect(await statusOf(land.person(path), 'POST', retry)).toEqual([403, 'not-allowed']);
    expect(await statusOf(land.person('acme/shop-approver'), 'POST', `/v1/dead-letters/acme/shop/${shop.dead}/retry`)).toEqual([422, 'not-json']);
    expect(await statusOf(land.person('acme/shop-admin'), 'POST', retry)).toEqual([422, 'not-json']);
  });
});

describe('nobody passes for another', () => {
  it("by a token: another's name over one's own key, one's own name over another's, and whatever else is no token", async () => {
    const [viewer, admin, node, rival] = [land.person('acme/shop-viewer'), land.person('acme/admin'), land.person('platform-node-n1'), land.person('rival/spymaster')];
    expect(await opens(`Bearer ${bearerOf(viewer)}`)).toBe(200);
    const [head = '', claims = '', signature = ''] = bearerOf(admin).split('.');
    const forged = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(claims, 'base64url').toString()) as object), iss: viewer.publicKey })).toString('base64url');
    const none = Buffer.from(JSON.stringify({ typ: 'JWT', alg: 'none' })).toString('base64url');
    const tries = [
      bearerOf({ path: 'acme/admin', seed: viewer.seed }), bearerOf({ path: 'platform-watch', seed: node.seed }), bearerOf({ path: 'platform-root', seed: node.seed }), bearerOf({ path: 'acme/admin', seed: rival.seed }), bearerOf({ path: 'acme/admin', seed: newUserKey().seed }),
      bearerOf({ path: 'osier-tenant', seed: viewer.seed }), bearerOf({ path: 'acme/shop-viewer', seed: admin.seed }), bearerOf({ path: '', seed: viewer.seed }), bearerOf({ path: '__proto__', seed: viewer.seed }),
      bearerOf(viewer, { expiresAt: Date.now() - 1_000 }), bearerOf(viewer, { issuedAt: Date.now() + 600_000, expiresAt: Date.now() + 700_000 }),
      viewer.jwt, admin.jwt, `${head}.${forged}.${signature}`, `${none}.${claims}.`, `${none}.${claims}.${signature}`, `${head}.${claims}.${signature.slice(0, -4)}AAAA`, `${bearerOf(admin)}.x`,
    ];
    for (const token of tries) expect(await opens(`Bearer ${token}`)).toBe(401);
    expect(await opens(`Bearer ${bearerOf(node)}`)).toBe(403);
  });

  it('on the bus: by a JWT that he has signed himself, that is for another key, or for another account', async () => {
    const [viewer, admin] = [land.person('acme/shop-viewer'), land.person('acme/admin')];
    const accountIn = (jwt: string): string => (JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as { nats: { issuer_account: string } }).nats.issuer_account;
    const own = newUserKey();
    const me = fromPublic(own.publicKey);
    const mine = newKey('account');
    const signedBy = (signer: ReturnType<typeof newKey>, account: string, scopedUser = false): Promise<string> => encodeUser('me', me, fromPublic(account), {}, { signer, scopedUser });
    const [services, system] = [Object.keys(land.live.keys.trust.accounts).find((key) => key !== land.live.keys.trust.systemAccount) ?? '', land.live.keys.trust.systemAccount];
    expect(await isLetIn(viewer)).toBe(true);
    const [h = '', body = ''] = viewer.jwt.split('.');
    const changed = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(body, 'base64url').toString()) as object), sub: own.publicKey })).toString('base64url');
    const tries = [
      { jwt: admin.jwt, seed: viewer.seed }, { jwt: await signedBy(mine, accountIn(admin.jwt)), seed: own.seed }, { jwt: await signedBy(mine, accountIn(admin.jwt), true), seed: own.seed }, { jwt: await signedBy(mine, services), seed: own.seed },
      { jwt: await signedBy(mine, system), seed: own.seed }, { jwt: await signedBy(mine, mine.getPublicKey()), seed: own.seed }, { jwt: `${h}.${changed}.${viewer.jwt.split('.')[2] ?? ''}`, seed: own.seed },
    ];
    for (const one of tries) expect(await isLetIn(one)).toBe(false);
    // An account of his own, pushed as the tenant service does it.
    const account = await encodeAccount('mine', mine, {}, { signer: newKey('operator') });
    const connection = await into(admin);
    const answers: string[] = [];
    for (const subject of ['$SYS.REQ.CLAIMS.UPDATE', `$SYS.REQ.ACCOUNT.${mine.getPublicKey()}.CLAIMS.UPDATE`]) await connection.request(subject, account, { timeout: 200 }).then((m) => answers.push(m.string()), () => undefined);
    expect(answers).toEqual([]);
    expect(await isLetIn({ jwt: await signedBy(mine, mine.getPublicKey()), seed: own.seed })).toBe(false);
    expect(seedText(mine)).toMatch(/^SA/);
  });

  it("by another's public key in a credential of one's own: that opens one's own to the other, and closes nothing of his", async () => {
    const rival = land.person('rival/spymaster');
    const theirs = await into(rival);
    expect((await statusOf(land.person('acme/admin'), 'PUT', '/v1/domains/acme/credentials/twin', { project: 'shop', role: 'viewer', keys: [{ publicKey: rival.publicKey, expiresAt: later(600_000) }] }))[0]).toBe(200);
    expect(await opens(`Bearer ${bearerOf({ path: 'acme/twin', seed: rival.seed })}`)).toBe(200);
    expect(await opens(`Bearer ${bearerOf(rival)}`)).toBe(403);
    expect((await statusOf(land.person('acme/admin'), 'DELETE', '/v1/domains/acme/credentials/twin'))[0]).toBe(200);
    await sleep(100);
    expect(theirs.isClosed()).toBe(false);
    await theirs.flush();
    expect(await opens(`Bearer ${bearerOf(rival)}`, `${inside(vault)}/networks`)).toBe(200);
    expect(await isLetIn(rival)).toBe(true);
  });

  it('two credentials of one name in two domains each have their own records', async () => {
    const theirs = await issue(land.live, { domain: 'rival', name: 'viewer', role: 'viewer' });
    for (const [who, mark] of [[land.person('acme/viewer'), 'of-acme'], [theirs, 'of-rival']] as const) {
      for (const domain of ['acme', 'rival']) expect((await statusOf(who, 'PUT', `/v1/domains/${domain}/projects/${mark}`, {}))[0]).toBe(403);
    }
    const log = async (who: Person): Promise<string> => (await asker(land.live, who)('GET', '/v1/audit?credential=viewer&limit=1000')).text;
    expect(await log(land.person('acme/approver'))).toMatch(/of-acme/);
    expect(await log(land.person('acme/approver'))).not.toMatch(/of-rival|rival/);
    expect(await log(land.person('rival/spymaster'))).toMatch(/of-rival/);
    expect(await log(land.person('rival/spymaster'))).not.toMatch(/acme/);
    // Who has knocked at one's door in vain is for the platform to know.
    expect((await asker(land.live, land.person('acme/approver'))('GET', '/v1/audit?domain=acme&limit=1000')).text).not.toMatch(/of-rival/);
    const all = (await land.live.root('GET', '/v1/audit?credential=viewer&limit=1000')).json<AuditPage & Record<string, unknown>>();
    expect(new Set(all.items.map(({ home }) => home))).toEqual(new Set(['acme', 'rival']));
  });
});

describe("a tenant's headers on its own intent", () => {
  it.each([
    ['Nats-Rollup', 'all'], ['Nats-Rollup', 'sub'], ['Nats-Expected-Stream', 'CHANGES'], ['Nats-Expected-Last-Sequence', '0'], ['Nats-Expected-Last-Msg-Id', 'x'], ['Nats-TTL', '1'], ['Nats-Msg-Id', vault.intent], ['Nats-Stream-Source', 'CHANGES 1'],
    ['Nats-Expected-Last-Subject-Sequence-Subject', 'osier.intent.rival.>'], ['Nats-Marker-Reason', 'Purge'], ['Nats-Schedule', '@every 1s'], ['Nats-Schedule-Target', 'osier.state.rival.x'], ['osier-retry-of', vault.dead], ['ce-source', 'osier/topology'], ['traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`],
  ])('%s: %s takes nothing away, and is answered without a word of others', async (name, value) => {
    const before = await land.live.bus.stream('INTENTS');
    const connection = await into(land.person('acme/shop-editor'));
    const h = headers();
    h.set(name, value);
    const answer = await connection.request('osier.intent.acme.shop.staging.network.apply.shop-editor', '{}', { headers: h, timeout: 2_000 }).then((m) => m.string(), () => '');
    expect(answer).not.toMatch(/rival|vault/);
    const after = await land.live.bus.stream('INTENTS');
    expect(after?.firstSequence).toBe(before?.firstSequence);
    expect((after?.messages ?? 0) - (before?.messages ?? 0)).toBe((after?.lastSequence ?? 0) - (before?.lastSequence ?? 0));
    expect(await land.live.bus.last('INTENTS', 'osier.intent.rival.vault.hidden.network.apply.platform-root')).toBeDefined();
    expect(await land.live.bus.last('CHANGES', 'osier.state.rival.x')).toBeUndefined();
  });
});
