// What the door does with whoever knocks too often, and with whoever loses his credential while he is being answered.
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeBearer } from '@osier/bus/bearer';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker } from '@osier/bus/memory';
import type { DoorRecord } from '@osier/contracts/audit';
import { silent } from '@osier/telemetry/log';
import { credential, key, publish } from '../test/credential.ts';
import { type RunningApi, startApi } from './app.ts';
import type { DoorLimits } from './guard.ts';
import { authenticator } from './tokens.ts';

const anna = 'a-token-of-enough-length';
let bus: Bus;
let api: RunningApi;
const begin = async (limits: Partial<DoorLimits> = {}): Promise<void> => {
  const broker = memoryBroker();
  bus = broker.connect('test');
  await bus.ensureStreams();
  api = await startApi({ bus: broker.connect('api'), authenticate: authenticator([{ token: anna, credential: 'platform-anna' }]), log: silent, host: '127.0.0.1', port: 0, limits });
};
afterEach(async () => {
  await api.stop();
  await bus.close();
});

const ask = (method: string, path: string, token?: string, signal?: AbortSignal): Promise<Response> =>
  fetch(api.url + path, { method, ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }), ...(method === 'PUT' ? { body: '{}' } : {}), signal: signal ?? AbortSignal.timeout(10_000) });
const statuses = async (count: number, method: string, path: string, token?: string): Promise<number[]> => {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await ask(method, path, token)).status);
  return found;
};
const records = async (): Promise<DoorRecord[]> => {
  const found: DoorRecord[] = [];
  for await (const message of bus.read({ stream: 'AUDIT' })) found.push(JSON.parse(new TextDecoder().decode(message.data)) as DoorRecord);
  return found;
};

describe('whoever knocks too often', () => {
  beforeEach(() => begin({ guessesPerSecond: 0.001, guessesBurst: 3, askingPerSecond: 0.001, askingBurst: 5 }));
  it.each([['on a route', 'PUT', '/v1/domains/acme', 401], ['where there is none', 'PUT', '/nowhere', 404], ['by turns', 'GET', '/v1/nodes', 401]])('is told so, and written down no more: a stranger, %s', async (_, method, path, status) => {
    expect(await statuses(6, method, path)).toEqual([status, status, status, 429, 429, 429]);
    expect(await records()).toHaveLength(3);
    expect((await ask(method, path)).headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await ask('GET', '/v1/flows', anna)).status).toBe(200);
  });
  it.each([['on a route', '/v1/domains/%2A'], ['where there is none', '/nowhere']])('is told so: somebody who is known, %s', async (_, path) => {
    expect((await statuses(7, 'PUT', path, anna)).map((status) => status === 429)).toEqual([false, false, false, false, false, true, true]);
    expect(await records()).toHaveLength(5);
  });
});

describe('whoever loses his credential', () => {
  beforeEach(() => begin());
  const [own, other] = [key(), key()];
  const token = (): string => makeBearer({ path: 'acme/ci', seed: own.seed, issuedAt: Date.now(), expiresAt: Date.now() + 1_000 });
  const known = async (): Promise<void> => {
    await publish(bus, credential('ci', [own]));
    while ((await ask('GET', '/v1/domains', token())).status === 401) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  it.each([
    ['the key', () => credential('ci', [other], { version: 2 })], ['the credential', () => credential('ci', [own], { version: 2, phase: 'deleted' })], ['a part of his scope', () => credential('ci', [own], { version: 2, project: 'blog' })],
  ])('follows flows no more, and waits for nothing: %s', async (_, change) => {
    await known();
    const waiting = ask('GET', '/v1/outcomes/acme/shop/never?timeout=1m', token());
    const flows = await ask('GET', '/v1/flows?follow=true', token());
    expect(flows.status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await publish(bus, change());
    expect(await flows.text()).toBe('');
    expect((await waiting).status).toBe(401);
  });
  it('has nothing carried out whose body he was still sending', async () => {
    await publish(bus, credential('ci', [own], { role: 'admin' }));
    while ((await ask('GET', '/v1/domains', token())).status === 401) await new Promise((resolve) => setTimeout(resolve, 20));
    const asking = request(`${api.url}/v1/domains/acme/projects/shop?timeout=0s`, { method: 'PUT', headers: { authorization: `Bearer ${token()}`, 'content-length': '2' } });
    const status = new Promise<number | undefined>((resolve, reject) => asking.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject));
    asking.write('{');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await publish(bus, credential('ci', [other], { version: 2, role: 'admin' }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    asking.end('}');
    expect(await status).toBe(401);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });
  it('goes on following while only his token has become too old', async () => {
    await known();
    const flows = await ask('GET', '/v1/flows?follow=true', token());
    const ended = flows.text().then(() => 'ended', () => 'cut');
    expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2_500, 'going on'))])).toBe('going on');
    await api.stop();
    await ended;
  });
});
