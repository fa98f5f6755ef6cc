import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker, type MemoryBroker } from '@osier/bus/memory';
import { intentDeclaration } from '@osier/contracts/catalogue';
import { intentIdOf } from '@osier/contracts/envelope';
import type { Outcome } from '@osier/contracts/outcome';
import { outcomeSubject, parseIntentSubject, querySubject } from '@osier/contracts/subjects';
import { wishDigest } from '@osier/runtime/digest';
import { silent } from '@osier/telemetry/log';
import { type RunningApi, startApi } from './app.ts';
import { authenticator } from './tokens.ts';

const token = 'a-token-of-enough-length';
const id = '01997f5e-5b3c-7cc0-8000-000000000001';
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const staging = '/v1/domains/acme/projects/shop/environments/staging';

let broker: MemoryBroker;
let bus: Bus;
let api: RunningApi;
/** What the services of this test have decided, by intent. */
let decided: string[];
let decide: (name: string, body: { name: string }) => Partial<Outcome> & { result: 'accepted' | 'refused' };

/** Stands for the four services: decides each intent once, under its id. */
async function services(): Promise<void> {
  const seen = new Set<string>();
  await bus.consume({
    stream: 'INTENTS', durable: 'services', declaration: { stream: 'INTENTS' },
    onBatch: async (batch) => {
      for (const message of batch) {
        const subject = parseIntentSubject(message.subject);
        const intentId = intentIdOf(message.headers['ce-id'], message.sequence);
        if (subject !== undefined && !seen.has(intentId)) {
          seen.add(intentId);
          const intent = `${subject.noun}.${subject.verb}`;
          decided.push(`${message.subject} ${new TextDecoder().decode(message.data)}`);
          const outcome = { intentId, intent, credential: subject.credential, at: '2026-01-01T00:00:00Z', service: intentDeclaration(intent)?.owner, digest: wishDigest(intent, subject, message.data), ...decide(intent, JSON.parse(new TextDecoder().decode(message.data)) as { name: string }) };
          await bus.publish(outcomeSubject(subject.domain, subject.project, intentId), encode(outcome), { expectedLastSubjectSequence: 0 });
        }
        message.ack();
      }
    },
  });
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(api.url + path, {
    method, headers: { authorization: `Bearer ${token}`, ...headers }, signal: AbortSignal.timeout(10_000),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as Record<string, never> & { problem: { code: string; path: string; reason: string; fix: string }; items: unknown[] } };
}

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  await bus.ensureStreams();
  decided = [];
  decide = () => ({ result: 'accepted', revision: 7, changes: [] });
  api = await startApi({ bus: broker.connect('api'), authenticate: authenticator([{ token, credential: 'platform-anna' }]), log: silent, host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await api.stop();
  await bus.close();
});

describe('a wish over HTTP', () => {
  it('becomes an intent in the name of the caller, and answers with its outcome', async () => {
    await services();
    const answer = await call('PUT', `${staging}/networks/main`, { subnets: ['10.0.0.0/24'] }, { 'if-match': '"3"' });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ result: 'accepted', revision: 7, intent: 'network.apply', credential: 'platform-anna' });
    expect(answer.headers.get('osier-intent-id')).toBe(answer.body['intentId']);
    expect(decided).toEqual(['osier.intent.acme.shop.staging.network.apply.platform-anna {"name":"main","expectedVersion":3,"spec":{"subnets":["10.0.0.0/24"]}}']);
  });

  it.each([
    ['/v1/domains/acme', 'osier.intent._._._.domain.delete.platform-anna {"name":"acme"}'],
    ['/v1/domains/acme/projects/shop', 'osier.intent.acme._._.project.delete.platform-anna {"name":"shop"}'],
    [staging, 'osier.intent.acme.shop._.environment.delete.platform-anna {"name":"staging"}'],
    ['/v1/nodes/node-1', 'osier.intent._._._.node.delete.platform-anna {"name":"node-1"}'],
    [`${staging}/policies/web`, 'osier.intent.acme.shop.staging.policy.delete.platform-anna {"name":"web"}'],
  ])('is spoken in its scope: DELETE %s', async (path, intent) => {
    await services();
    expect((await call('DELETE', path)).status).toBe(200);
    expect(decided).toEqual([intent]);
  });

  it('is carried out once under one Idempotency-Key, and gets the same outcome again', async () => {
    await services();
    const first = await call('PUT', '/v1/domains/acme', {}, { 'idempotency-key': 'key-1' });
    const again = await call('PUT', '/v1/domains/acme', {}, { 'idempotency-key': 'key-1' });
    expect(again.body).toEqual(first.body);
    expect(decided).toHaveLength(1);
    for (const [method, path, body] of [['DELETE', '/v1/domains/acme', undefined], ['PUT', '/v1/domains/other', {}], ['PUT', '/v1/domains/acme', { description: 'another' }]] as const) {
      const other = await call(method, path, body, { 'idempotency-key': 'key-1' });
      expect([method, path, other.status, other.body.problem.code]).toEqual([method, path, 409, 'idempotency-key-reused']);
    }
    expect(decided).toHaveLength(1);
  });

  it("cannot have the id that an intent without one goes by: it would get another's outcome", async () => {
    const answer = await call('PUT', '/v1/domains/acme', {}, { 'idempotency-key': 'seq-1' });
    expect([answer.status, answer.body.problem.code]).toEqual([400, 'bad-header']);
  });

  it('is answered 202 with its id when nobody has decided in time; the outcome can be asked for later', async () => {
    const pending = await call('PUT', '/v1/domains/acme/projects/shop?timeout=50ms', {});
    expect([pending.status, pending.body['result']]).toEqual([202, 'pending']);
    const path = `/v1/outcomes/acme/_/${pending.body['intentId']}`;
    expect((await call('GET', path)).status).toBe(404);
    await services();
    expect((await call('GET', `${path}?timeout=5s`)).body).toMatchObject({ result: 'accepted', intent: 'project.apply' });
  });

  it.each([['version-conflict', 409], ['in-use', 409], ['overlapping-subnet', 409], ['unknown-project', 422], ['internal-error', 500]])('refused with %s answers %i with the problem', async (code, status) => {
    decide = () => ({ result: 'refused', problem: { code, reason: 'Because.', path: 'spec', fix: 'Mend it.' } });
    await services();
    const answer = await call('PUT', '/v1/domains/acme', {});
    expect([answer.status, answer.body.problem.code]).toEqual([status, code]);
  });
});

describe('what is wrong in itself is refused before anything is published', () => {
  it.each([
    ['an unknown field', `${staging}/networks/main`, { subnets: ['10.0.0.0/24'], gateway: 'x' }, 422, 'unknown-field', 'spec.gateway'],
    ['a wrong type', `${staging}/networks/main`, { subnets: '10.0.0.0/24' }, 422, 'wrong-type', 'spec.subnets'],
    ['a missing field', `${staging}/networks/main`, {}, 422, 'missing-field', 'spec.subnets'],
    ['a name of 10,000 characters', `${staging}/networks/${'a'.repeat(10_000)}`, { subnets: ['10.0.0.0/24'] }, 422, 'too-long', 'name'],
    ['a name that is no token', '/v1/domains/a.b', {}, 422, 'invalid', 'name'],
    ['a scope that is no name', '/v1/domains/*/projects/shop', {}, 422, 'invalid', 'domain'],
    ['not JSON', '/v1/domains/acme', '{"a"', 400, 'not-json', ''],
    ['nothing', '/v1/domains/acme', '', 400, 'not-json', ''],
    ['too large a body', '/v1/domains/acme', ' '.repeat(300_000), 413, 'too-large', ''],
    ['an unknown kind', '/v1/domains/acme/gadgets/x', {}, 404, 'unknown-route', ''],
    ['a bad timeout', '/v1/domains/acme?timeout=soon', {}, 400, 'bad-parameter', 'timeout'],
  ])('%s', async (_what, path, body, status, code, field) => {
    const answer = await call('PUT', path, body);
    expect([answer.status, answer.body.problem]).toEqual([status, { code, path: field, reason: expect.stringMatching(/.{10}/), fix: expect.stringMatching(/.{5}/) }]);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });

  it('an intent that only services speak, or that there is not', async () => {
    const internal = await call('POST', '/v1/intents/acme/shop/staging/lease/release', { lease: id });
    const unknown = await call('POST', '/v1/intents/acme/shop/staging/gadget/apply', {});
    const elsewhere = await call('POST', '/v1/intents/acme/_/_/domain/apply', { name: 'x', spec: {} });
    expect([internal, unknown, elsewhere].map((a) => [a.status, a.body.problem.code])).toEqual([[403, 'internal-intent'], [404, 'unknown-intent'], [422, 'wrong-scope']]);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });
});

describe('who asks', () => {
  it.each([{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${token}` }])('needs a token that is known: %j', async (headers: Record<string, string>) => {
    const response = await fetch(`${api.url}/v1/domains/acme`, { method: 'PUT', headers, body: '{}' });
    expect(response.status).toBe(401);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });
  it('needs none for health and the interface itself', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json']) expect((await fetch(api.url + path)).status).toBe(200);
  });
});

describe('while the bus is away', () => {
  it('says so with 503 and how to repeat safely, and the repeat is carried out once when it is back', async () => {
    broker.stop();
    const health = await call('GET', '/readyz');
    expect([health.status, health.body.problem.code]).toEqual([503, 'not-ready']);
    const away = call('PUT', '/v1/domains/acme?timeout=1s', {}, { 'idempotency-key': 'again' });
    for (const path of ['/v1/domains', '/v1/flows']) {
      const question = await call('GET', path);
      expect([question.status, question.body.problem.code]).toEqual([503, 'bus-unavailable']);
    }
    const answer = await away;
    expect([answer.status, answer.body.problem.code]).toEqual([503, 'bus-unavailable']);
    expect(answer.body.problem.fix).toContain('Idempotency-Key: again');
    broker.start();
    await services();
    expect((await call('PUT', '/v1/domains/acme', {}, { 'idempotency-key': 'again' })).status).toBe(200);
    expect(decided).toHaveLength(1);
  }, 20_000);

  it('stores the intent as soon as it is back', async () => {
    broker.stop();
    const waiting = call('PUT', '/v1/domains/acme', {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    broker.start();
    await services();
    expect((await waiting).status).toBe(200);
  });
});

describe('questions', () => {
  const network = { kind: 'network', name: 'main', domain: 'acme', project: 'shop', environment: 'staging', version: 3 };
  const reply = async (service: string, name: string, answer: (request: never, subject: string) => unknown): Promise<void> => {
    await bus.respond(querySubject(service, '*', '*', name), service, async ({ data, subject }) => ({ data: encode(answer(JSON.parse(new TextDecoder().decode(data)) as never, subject)) }));
  };

  it('go to the owner, in their scope', async () => {
    const asked: unknown[] = [];
    await reply('topology', 'list', (request, subject) => {
      asked.push([subject, request]);
      return { ok: true, data: { items: [{ document: network, revision: 7 }, { document: { ...network, environment: 'production' }, revision: 8 }] } };
    });
    const one = await call('GET', `${staging}/networks/main`);
    expect([one.body, one.headers.get('etag')]).toEqual([{ document: network, revision: 7 }, '"3"']);
    expect((await call('GET', `${staging}/networks`)).body.items).toHaveLength(1);
    expect((await call('GET', '/v1/domains/acme/projects/_/environments/_/networks')).body.items).toHaveLength(2);
    expect(asked).toEqual([
      ['osier.query.topology.acme.shop.list', { kind: 'network', environment: 'staging', name: 'main' }],
      ['osier.query.topology.acme.shop.list', { kind: 'network', environment: 'staging' }],
      ['osier.query.topology.acme._.list', { kind: 'network' }],
    ]);
    const none = await call('GET', `${staging}/networks/other`);
    expect([none.status, none.body.problem.code]).toEqual([404, 'not-found']);
  });

  it('about the past name a revision or a time; what is neither, or has not come yet, is refused', async () => {
    const moments: unknown[] = [];
    await reply('topology', 'list', ({ at }: { at?: unknown }) => {
      moments.push(at);
      return { ok: true, data: { items: [{ document: network, revision: 7 }] } };
    });
    for (const at of ['12', '2026-01-31T12:00:00+01:00', '5m']) expect((await call('GET', `${staging}/networks?at=${encodeURIComponent(at)}`)).status).toBe(200);
    expect((await call('GET', `${staging}/networks/main?at=0`)).status).toBe(200);
    expect(moments).toEqual([{ revision: 12 }, { time: '2026-01-31T11:00:00.000Z' }, { time: expect.stringMatching(/^\d{4}-.*Z$/) }, { revision: 0 }]);
    for (const at of ['', 'yesterday', '-1', '1'.repeat(16), '2999-01-01T00:00:00Z', '+275760-09-13T00:00:00Z', '-000001-01-01T00:00:00Z']) {
      const answer = await call('GET', `${staging}/networks?at=${encodeURIComponent(at)}`);
      expect([at, answer.status, answer.body.problem?.path]).toEqual([at, 400, 'at']);
    }
    expect(moments).toHaveLength(4);
  });

  it('that nobody answers are answered 503 with the name of the service', async () => {
    const answer = await call('GET', '/v1/domains');
    expect([answer.status, answer.body.problem]).toEqual([503, expect.objectContaining({ code: 'service-unavailable', reason: 'The tenant service does not answer.' })]);
  }, 10_000);

  it('about enforcement wait until all nodes have confirmed, or say who has not', async () => {
    let times = 0;
    const waiting = { state: 'waiting', revision: 9, nodes: [{ node: 'node-1', enforced: false, revision: 4, why: 'behind by 5' }] };
    await reply('topology', 'enforcement', () => ({ ok: true, data: ++times < 3 ? waiting : { state: 'enforced', revision: 9, nodes: [{ node: 'node-1', enforced: true, revision: 9 }] } }));
    const changes = { changes: [{ kind: 'network', id, subject: 'osier.state.acme.shop.staging.network._.x', revision: 9 }] };
    expect((await call('POST', '/v1/enforcement?timeout=0s', changes)).body).toEqual(waiting);
    expect((await call('POST', '/v1/enforcement?timeout=5s', changes)).body).toMatchObject({ state: 'enforced' });
    expect((await call('POST', '/v1/enforcement', { changes: 3 })).body.problem).toMatchObject({ code: 'wrong-type', path: 'changes' });
  });
});

describe('flows', () => {
  const flow = (environment: string, verdict: 'allowed' | 'denied') => ({
    event: verdict === 'denied' ? 'denied' : 'start', at: new Date().toISOString(), environment, network: 'main', protocol: 'TCP', verdict, reason: verdict === 'denied' ? 'policy_denied' : 'none',
    source: { address: '10.0.0.2', port: 40000 }, destination: { address: '10.0.0.3', port: 80 }, decisions: [], revision: 5, packets: { forward: 1, reply: 0 }, bytes: { forward: 60, reply: 0 }, repeats: 0,
  });
  const publish = (domain: string, lost: number, ...flows: unknown[]) => bus.publish(`osier.flow.${domain}.shop.node-1`, encode({ node: 'node-1', lost, flows }));
  const linesOf = (text: string): Record<string, unknown>[] => text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);

  it('come one to a line, filtered, with what was lost', async () => {
    await publish('acme', 0, flow('staging', 'denied'), flow('staging', 'allowed'), flow('production', 'denied'));
    await publish('other', 0, flow('staging', 'denied'));
    await publish('acme', 12, flow('staging', 'denied'));
    const response = await fetch(`${api.url}/v1/flows?domain=acme&environment=staging&denied=true&since=1m`, { headers: { authorization: `Bearer ${token}` } });
    expect(response.headers.get('content-type')).toContain('application/x-ndjson');
    const lines = linesOf(await response.text());
    expect(lines.map((line) => line['lost'] ?? `${line['domain']} ${line['environment']} ${line['verdict']}`)).toEqual(['acme staging denied', 12, 'acme staging denied']);
  });

  it('come from the node that said them, whatever node it says it is', async () => {
    await bus.publish('osier.flow.acme.shop.node-1', encode({ node: 'node-2', lost: 0, flows: [flow('staging', 'denied')] }));
    await publish('acme', 0, flow('staging', 'allowed'));
    const response = await fetch(`${api.url}/v1/flows?domain=acme`, { headers: { authorization: `Bearer ${token}` } });
    expect(linesOf(await response.text()).map((line) => `${line['node']} ${line['verdict']}`)).toEqual(['node-1 allowed']);
  });

  it('go on as they come, until the client leaves', async () => {
    const first = new Promise<string>((resolve, reject) => {
      const asking = request(`${api.url}/v1/flows?follow=true`, { headers: { authorization: `Bearer ${token}` } }, (response) => {
        response.once('data', (chunk: Buffer) => {
          asking.destroy();
          resolve(chunk.toString());
        });
        void publish('acme', 0, flow('staging', 'denied'));
      }).on('error', reject);
      asking.end();
    });
    expect(linesOf(await first)[0]).toMatchObject({ domain: 'acme', node: 'node-1', verdict: 'denied' });
  });
});
