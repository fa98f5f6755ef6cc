// Whoever is put out stays out: on connections that are open, on those that are being made, after restarts, and when what was restored is older.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { newUserKey } from '@osier/bus/keys';
import { request } from 'node:http';
import { cpSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, hangUp } from './live/http.ts';
import { blog, flowsOf, inside, type Land, settle, shop } from './live/land.ts';
import { asker, bearerOf, enter, issue, itemOf, later, type Person, specOf } from './live/people.ts';
import { eventually } from './live/world.ts';

const network = JSON.stringify({ subnets: ['10.50.0.0/24'] });

let land: Land;
const open: NatsConnection[] = [];
beforeAll(async () => {
  land = await settle();
}, 60_000);
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});
afterAll(async () => {
  await land?.close();
  hangUp();
});

const into = async (who: { jwt: string; seed: string }): Promise<NatsConnection> => {
  const connection = await enter(land.live, who);
  open.push(connection);
  return connection;
};
const isLetIn = (who: { jwt: string; seed: string }): Promise<boolean> => into(who).then(() => true, () => false);
const opens = async (authorization: string, path = `${inside(shop)}/networks`): Promise<number> => (await call(land.live.api.url, 'GET', path, { headers: { authorization } })).status;
const reissued = async (facts: Parameters<typeof issue>[1], keys: readonly { publicKey: string; expiresAt: string }[]): Promise<number> => (await land.live.root('PUT', itemOf(facts), specOf(facts, keys))).status;

describe('who is put out stays out', () => {
  const put = (name: string, keys: readonly { publicKey: string; expiresAt: string }[]): Promise<number> => reissued({ domain: 'acme', name, role: 'admin' }, keys);
  const goneWithin = async (connection: NatsConnection, ms: number): Promise<void> => void (await eventually(() => connection.isClosed(), ms));

  it('a key that is taken out ends what it had open at once, and its JWT and token count no more; the other key goes on', async () => {
    const first = await issue(land.live, { domain: 'acme', name: 'rotated', role: 'admin' });
    const second = newUserKey();
    const expiresAt = later(600_000);
    const { keys } = (await land.live.root('GET', '/v1/domains/acme/credentials/rotated')).json<{ document: { spec: { keys: { publicKey: string; expiresAt: string }[] } } }>().document.spec;
    expect(await put('rotated', [...keys, { publicKey: second.publicKey, expiresAt }])).toBe(200);
    const { logins } = (await land.live.root('GET', '/v1/domains/acme/credentials/rotated/logins')).json<{ logins: { publicKey: string; jwt: string }[] }>();
    const next = { jwt: logins.find(({ publicKey }) => publicKey === second.publicKey)?.jwt ?? '', seed: second.seed };
    const [old, young] = [await into(first), await into(next)];
    const began = performance.now();
    expect(await put('rotated', [{ publicKey: second.publicKey, expiresAt }])).toBe(200);
    await goneWithin(old, 2_000);
    console.log(`revocation: the connection of the key ended ${Math.round(performance.now() - began)} ms after the request`);
    await eventually(async () => (await opens(`Bearer ${bearerOf(first)}`)) === 401, 2_000);
    expect(await isLetIn(first)).toBe(false);
    expect(young.isClosed()).toBe(false);
    await young.flush();
    expect(await opens(`Bearer ${bearerOf({ path: 'acme/rotated', seed: second.seed })}`)).toBe(200);
    expect(await put('rotated', [{ publicKey: second.publicKey, expiresAt }, ...keys])).toBe(422);
    expect(await put('rotated', [{ publicKey: second.publicKey, expiresAt: later(1_000) }])).toBe(409);
  });

  it('a lesser role, and another scope, count for what is open already', async () => {
    const who = await issue(land.live, { domain: 'acme', project: 'shop', name: 'moved', role: 'admin' });
    const key = [{ publicKey: who.publicKey, expiresAt: later(3_600_000) }];
    const before = await into(who);
    const follow = request(`${land.live.api.url}/v1/flows?follow=true`, { headers: { authorization: `Bearer ${bearerOf(who)}` } });
    const lines: string[] = [];
    const ended = new Promise<void>((resolve) => follow.on('response', (response) => response.on('data', (chunk: Buffer) => lines.push(chunk.toString())).on('end', resolve).on('close', resolve)).on('error', () => resolve()));
    follow.end();
    const waiting = asker(land.live, who)('GET', '/v1/outcomes/acme/shop/never?timeout=1m');
    await sleep(200);
    expect(await reissued({ domain: 'acme', project: 'blog', name: 'moved', role: 'viewer' }, key)).toBe(200);
    await goneWithin(before, 2_000);
    const after = await into(who);
    const heard: string[] = [];
    after.subscribe('osier.outcome.acme.shop.>', { callback: (error, message) => void (error === null && heard.push(message.subject)) });
    after.publish('osier.intent.acme.shop.staging.network.apply.moved', network);
    await after.flush();
    expect((await land.live.root('PUT', `${inside(shop)}/networks/${shop.network}`, { subnets: [shop.subnet] })).status).toBe(200);
    await eventually(async () => (await opens(`Bearer ${bearerOf(who)}`)) === 403);
    expect(heard).toEqual([]);
    expect(await land.live.bus.last('INTENTS', 'osier.intent.acme.shop.staging.network.apply.moved')).toBeUndefined();
    // What goes on at the door ends too.
    await Promise.race([ended, sleep(5_000).then(() => Promise.reject(new Error('the flows go on')))]);
    expect((await waiting).status).toBe(401);
    const node = await into(land.person('platform-node-n1'));
    node.publish('osier.flow.acme.shop.n1', JSON.stringify(flowsOf(shop, 'n1')));
    await node.flush();
    await sleep(100);
    expect(lines.join('')).not.toContain(shop.network);
  }, 20_000);

  it('a key that expires ends what it had open', async () => {
    const who = await issue(land.live, { domain: 'acme', name: 'short', role: 'viewer', lastsMs: 2_500 });
    const connection = await into(who);
    expect(await opens(`Bearer ${bearerOf(who)}`)).toBe(200);
    await goneWithin(connection, 5_000);
    // A JWT counts in whole seconds, so the bus is closed a moment earlier than the door.
    await eventually(async () => (await opens(`Bearer ${bearerOf(who)}`)) === 401, 1_500);
    // Within the last second the server lets one in, to put him out at once.
    await eventually(async () => !(await isLetIn(who)), 1_500);
    expect((await land.live.root('GET', '/v1/domains/acme/credentials/short/logins')).json()).toEqual({ logins: [] });
  }, 15_000);

  it('whoever is connecting while he is revoked is not overlooked', async () => {
    const who = await issue(land.live, { domain: 'acme', name: 'hasty', role: 'viewer' });
    let stop = false;
    const storm = Promise.all(Array.from({ length: 8 }, async () => {
      while (!stop) await into(who).catch(() => undefined);
    }));
    await sleep(100);
    expect((await land.live.root('DELETE', '/v1/domains/acme/credentials/hasty')).status).toBe(200);
    await sleep(300);
    stop = true;
    await storm;
    await eventually(() => open.every((connection) => connection.isClosed()), 2_000);
    expect(open.length).toBeGreaterThan(10);
    expect(await isLetIn(who)).toBe(false);
  });

  it('a domain and a credential that are made again under the same names are not those that were', async () => {
    const make = async (): Promise<Person> => {
      for (const path of ['/v1/domains/phoenix', '/v1/domains/phoenix/projects/shop']) expect((await land.live.root('PUT', path, {})).status).toBe(200);
      return issue(land.live, { domain: 'phoenix', project: 'shop', name: 'ci', role: 'admin' });
    };
    const old = await make();
    const connection = await into(old);
    const secret = '/v1/domains/phoenix/projects/shop/environments/secret';
    expect((await land.live.root('PUT', secret, {})).status).toBe(200);
    const then = `/v1/domains/phoenix/projects/shop/environments?at=${encodeURIComponent(new Date().toISOString())}`;
    const seenThen = async (who: Person): Promise<unknown[]> => ((await call(land.live.api.url, 'GET', then, { headers: { authorization: `Bearer ${bearerOf(who)}` } })).json() as { items: unknown[] }).items;
    expect(await seenThen(old)).toHaveLength(1);
    expect((await land.live.root('DELETE', secret)).status).toBe(200);
    expect((await land.live.root('DELETE', '/v1/domains/phoenix/projects/shop')).json()).toMatchObject({ result: 'refused', problem: { code: 'in-use' } });
    expect((await land.live.root('DELETE', '/v1/domains/phoenix')).json()).toMatchObject({ result: 'refused', problem: { code: 'in-use' } });
    for (const path of ['/v1/domains/phoenix/credentials/ci', '/v1/domains/phoenix/projects/shop', '/v1/domains/phoenix']) expect((await land.live.root('DELETE', path)).status).toBe(200);
    await goneWithin(connection, 2_000);
    const young = await make();
    const path = '/v1/domains/phoenix/projects/shop/environments';
    await eventually(async () => (await opens(`Bearer ${bearerOf(young)}`, path)) === 200);
    expect(await opens(`Bearer ${bearerOf(old)}`, path)).toBe(401);
    expect(await isLetIn(old)).toBe(false);
    expect(await isLetIn(young)).toBe(true);
    // What was then under their names is not theirs to see; whoever runs the platform does.
    expect(await seenThen(young)).toEqual([]);
    expect(((await land.live.root('GET', then)).json() as { items: unknown[] }).items).toHaveLength(1);
  });

  it('a revocation while the tenant service is away counts as soon as it is back', async () => {
    const who = await issue(land.live, { domain: 'acme', name: 'lucky', role: 'viewer' });
    const connection = await into(who);
    await land.live.stop('tenant');
    expect((await land.live.root('DELETE', '/v1/domains/acme/credentials/lucky?timeout=0s')).status).toBe(202);
    const began = performance.now();
    await land.live.start('tenant');
    await goneWithin(connection, 8_000);
    await eventually(async () => (await opens(`Bearer ${bearerOf(who)}`)) === 401);
    console.log(`revocation: wished while the tenant service was away, in force ${Math.round(performance.now() - began)} ms after its start`);
    expect(await isLetIn(who)).toBe(false);
  }, 20_000);

  it('not after a restart of nats-server either, nor when its accounts come back older than they were', async () => {
    const { server, root } = land.live;
    const who = await issue(land.live, { domain: 'acme', name: 'undead', role: 'admin' });
    expect(await isLetIn(who)).toBe(true);
    const accounts = join(dirname(server.configFile), 'js/accounts');
    const copy = join(dirname(server.configFile), 'accounts-before');
    cpSync(accounts, copy, { recursive: true });
    expect((await root('DELETE', '/v1/domains/acme/credentials/undead')).status).toBe(200);
    await server.kill();
    await server.start();
    expect(await isLetIn(who)).toBe(false);
    await server.kill();
    cpSync(copy, accounts, { recursive: true, force: true });
    expect(readdirSync(accounts).length).toBeGreaterThan(0);
    const began = performance.now();
    await server.start();
    const cameBack = await isLetIn(who);
    await eventually(async () => open.every((connection) => connection.isClosed()) && !(await isLetIn(who)), 15_000);
    console.log(`revocation: with an older copy of its accounts the server ${cameBack ? 'let the key in again' : 'never let the key in'}, and it was out ${Math.round(performance.now() - began)} ms after the start`);
    // Not the five seconds of the usual look: another connection is noticed at once.
    expect(performance.now() - began).toBeLessThan(4_000);
    await eventually(async () => (await asker(land.live, land.person('acme/viewer'))('GET', `${inside(blog)}/networks`)).status === 200, 10_000);
  }, 40_000);
});
