import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { natsConfiguration } from '@osier/bus/accounts';
import type { Bus } from '@osier/bus/bus';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import type { AuditPage } from '@osier/contracts/audit';
import { deadSubject } from '@osier/contracts/dead';
import { intentSubject } from '@osier/contracts/subjects';
import { silent } from '@osier/telemetry/log';
import { type RunningApi, startApi } from './app.ts';
import { authenticator } from './tokens.ts';

const token = 'a-token-of-enough-length';
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

let folder: string;
let server: NatsServer;
let bus: Bus;
let api: RunningApi;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'osier-audit-'));
  const keys = await newInstallation();
  const listen = `127.0.0.1:${await freePort()}`;
  server = await startNatsServer({ dir: folder, config: natsConfiguration({ listen, storeDir: join(folder, 'js'), trust: keys.trust }) });
  bus = await connectBus({ url: server.url, ...(await keys.service('admin')), name: 'test' });
  await bus.ensureStreams();
  api = await startApi({ bus, authenticate: authenticator([{ token, credential: 'platform-anna' }]), log: silent, host: '127.0.0.1', port: 0 });
}, 30_000);
afterAll(async () => {
  await api.stop();
  await bus.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function call(method: string, path: string) {
  const response = await fetch(api.url + path, { method, headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, body: (await response.json()) as { items: Record<string, unknown>[] } };
}

describe('on a real server', () => {
  it('the audit log is read backwards, over both streams, by any filter, in pages', async () => {
    const wishes = Array.from({ length: 700 }, (_, i) => ({ noun: i % 100 === 7 ? 'policy' : 'network', credential: i % 2 === 0 ? 'ci' : 'cd', name: `n${i}` }));
    await Promise.all(wishes.map(({ noun, credential, name }) =>
      bus.publish(intentSubject({ domain: 'acme', project: 'shop', environment: 'staging', noun, verb: 'apply', credential }), encode({ name, spec: {} }), { headers: { 'ce-id': name } })));
    expect((await call('PUT', '/v1/domains/acme')).status).toBe(400);
    const all = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      for (let before = ''; ; ) {
        const { items, next } = (await call('GET', `/v1/audit?limit=250${query}${before}`)).body as unknown as AuditPage;
        found.push(...items.map((entry) => `${entry.from} ${entry.name ?? entry.intent}`));
        if (next === undefined) return found;
        before = `&before=${next}`;
      }
    };
    const backwards = wishes.toReversed();
    expect(await all('')).toEqual(['door domain.apply', ...backwards.map((wish) => `intents ${wish.name}`)]);
    expect(await all('&noun=policy')).toEqual(backwards.filter((wish) => wish.noun === 'policy').map((wish) => `intents ${wish.name}`));
    expect(await all('&noun=network&credential=cd&domain=acme&project=shop')).toEqual(backwards.filter((wish) => wish.noun === 'network' && wish.credential === 'cd').map((wish) => `intents ${wish.name}`));
    expect(await all('&domain=other')).toEqual([]);
  }, 60_000);

  it('one dead letter is dropped, and the others stay', async () => {
    const letter = {
      intent: 'network.apply', domain: 'acme', project: 'shop', environment: 'staging', credential: 'ci', subject: 's', sequence: 1, headers: {}, headersLeftOut: 0,
      body: { encoding: 'left-out' }, bytes: 1, problem: { code: 'c', reason: 'r', path: '', fix: 'f' }, cause: 'x', service: 'topology', tries: 5, at: '2026-01-01T00:00:00Z',
    };
    for (const intentId of ['one', 'two', 'three']) await bus.publish(deadSubject('acme', 'shop', intentId), encode({ ...letter, intentId }), { expectedLastSubjectSequence: 0 });
    expect((await call('DELETE', '/v1/dead-letters/acme/shop/two')).status).toBe(200);
    expect((await call('GET', '/v1/dead-letters')).body.items.map((item) => item['intentId'])).toEqual(['three', 'one']);
    expect((await call('DELETE', '/v1/dead-letters/acme/shop/two')).status).toBe(404);
  });
});
