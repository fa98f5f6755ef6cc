import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker, type MemoryBroker } from '@osier/bus/memory';
import type { AuditEntry, AuditPage } from '@osier/contracts/audit';
import { type DeadLetter, deadSubject } from '@osier/contracts/dead';
import { intentIdOf } from '@osier/contracts/envelope';
import { intentSubject, outcomeSubject, parseIntentSubject } from '@osier/contracts/subjects';
import type { Log } from '@osier/telemetry/log';
import { type RunningApi, startApi } from './app.ts';
import { authenticator } from './tokens.ts';

const [anna, ben] = ['a-token-of-enough-length', 'another-token-of-length'];
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

let broker: MemoryBroker;
let bus: Bus;
let api: RunningApi;
let warned: object[];

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  await bus.ensureStreams();
  warned = [];
  const log: Log = { debug: () => undefined, info: () => undefined, warn: (facts) => void warned.push(facts), error: () => undefined };
  api = await startApi({ bus: broker.connect('api'), authenticate: authenticator([{ token: anna, credential: 'platform-anna' }, { token: ben, credential: 'platform-ben' }]), log, host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await api.stop();
  await bus.close();
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(api.url + path, {
    method, headers: { authorization: `Bearer ${anna}`, ...headers }, signal: AbortSignal.timeout(10_000), ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> & { problem: { code: string }; items: Record<string, unknown>[]; next?: string } };
}
const audit = async (query = ''): Promise<AuditPage> => (await call('GET', `/v1/audit${query}`)).body as unknown as AuditPage;
const brief = (entry: AuditEntry): string => [entry.credential, entry.intent, [entry.domain, entry.project, entry.environment].join('/'), entry.name ?? '-', entry.result, entry.problem?.code ?? '-'].join(' ');

/** Stands for the services: refuses what is named "bad", leaves "slow" undecided. */
async function services(): Promise<void> {
  const seen = new Set<string>();
  await bus.consume({
    stream: 'INTENTS', durable: 'services', declaration: { stream: 'INTENTS' },
    onBatch: async (batch) => {
      for (const message of batch) {
        const subject = parseIntentSubject(message.subject);
        const intentId = intentIdOf(message.headers['ce-id'], message.sequence);
        const { name } = JSON.parse(new TextDecoder().decode(message.data)) as { name: string };
        if (subject !== undefined && name !== 'slow' && !seen.has(intentId)) {
          seen.add(intentId);
          const decided = name === 'bad' ? { result: 'refused', problem: { code: 'in-use', reason: 'r', path: '', fix: 'f' } } : { result: 'accepted', revision: 7, changes: [] };
          await bus.publish(outcomeSubject(subject.domain, subject.project, intentId),
            encode({ intentId, intent: `${subject.noun}.${subject.verb}`, credential: subject.credential, at: '2026-01-01T00:00:00Z', service: 'tenant', ...decided }), { expectedLastSubjectSequence: 0 });
        }
        message.ack();
      }
    },
  });
}
const publish = (noun: string, name: string, o: { credential?: string; id?: string; domain?: string } = {}) =>
  bus.publish(intentSubject({ domain: o.domain ?? 'acme', project: '_', environment: '_', noun, verb: 'apply', credential: o.credential ?? 'ci' }), encode({ name, spec: { secret: 'hush' } }), { headers: { 'ce-id': o.id ?? name, traceparent } });

describe('the audit log', () => {
  it('says who wished what, when, in which trace, and what became of it, wherever it was published', async () => {
    await services();
    await call('PUT', '/v1/domains/acme', {});
    await publish('project', 'bad');
    await publish('project', 'slow');
    await publish('project', 'shop', { credential: 'mallory', id: 'bad' });
    await call('GET', '/v1/outcomes/acme/_/bad?timeout=5s');
    const { items, next } = await audit();
    expect(items.map(brief)).toEqual([
      'mallory project.apply acme/_/_ shop ignored -', 'ci project.apply acme/_/_ slow pending -', 'ci project.apply acme/_/_ bad refused in-use', 'platform-anna domain.apply _/_/_ acme accepted -',
    ]);
    expect(items[2]).toMatchObject({ from: 'intents', sequence: 2, intentId: 'bad', trace: traceId, service: 'tenant', decidedAt: '2026-01-01T00:00:00Z', at: expect.stringMatching(/^20\d\d-/) });
    expect(JSON.stringify(items)).not.toContain('hush');
    expect(next).toBeUndefined();
  });

  it('has what the door refused, with its status and problem, and not what was only asked', async () => {
    const secret = '?password=hush';
    await call('PUT', `/v1/domains/acme/projects/shop/environments/staging/networks/main${secret}`, { subnets: 'x' }, { traceparent });
    await call('PUT', '/v1/domains/acme', {}, { authorization: 'Bearer wrong' });
    await call('POST', '/v1/intents/acme/shop/staging/lease/release', {}, { authorization: `Bearer ${ben}` });
    await call('PUT', '/v1/domains/acme/gadgets/x', {});
    await call('GET', '/v1/domains/acme/projects/%2A');
    const { items } = await audit();
    expect(items.map((entry) => `${brief(entry)} ${entry.status} ${entry.request}`)).toEqual([
      'platform-anna unknown _/_/_ - refused unknown-route 404 PUT /v1/domains/acme/gadgets/x',
      'platform-ben lease.release acme/shop/staging - refused internal-intent 403 POST /v1/intents/acme/shop/staging/lease/release',
      '_ domain.apply acme/_/_ - refused unauthorized 401 PUT /v1/domains/acme',
      'platform-anna network.apply acme/shop/staging - refused wrong-type 422 PUT /v1/domains/acme/projects/shop/environments/staging/networks/main',
    ]);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });

  it('counts a refusal of an owner once, not as one of the door too', async () => {
    await services();
    expect((await call('PUT', '/v1/domains/bad', {})).status).toBe(409);
    expect((await audit()).items.map(brief)).toEqual(['platform-anna domain.apply _/_/_ bad refused in-use']);
  });

  it.each([
    ['credential=ci', ['ci bad', 'ci shop']], ['result=refused', ['platform-anna -', 'ci bad']], ['noun=domain', ['platform-anna acme']], ['domain=acme', ['platform-anna -', 'ci bad', 'ci shop']],
    ['since=1h', ['platform-anna -', 'ci bad', 'ci shop', 'platform-anna acme']], ['since=2199-01-01T00:00:00Z', []], ['noun=teapot', []],
  ])('can be asked for %s', async (query, found) => {
    await services();
    await call('PUT', '/v1/domains/acme', {});
    await publish('project', 'shop');
    await publish('project', 'bad');
    await call('GET', '/v1/outcomes/acme/_/bad?timeout=5s');
    await new Promise((resolve) => setTimeout(resolve, 5));
    await call('PUT', '/v1/domains/acme/projects/shop/environments/staging/networks/main', {});
    expect((await audit(`?${query}`)).items.map((entry) => `${entry.credential} ${entry.name ?? '-'}`)).toEqual(found);
  });

  it.each(['since=soon', 'result=perhaps', 'credential=a.b', 'limit=0', 'limit=5000', 'before=x', 'before=1'])('refuses %s', async (query) => {
    const answer = await call('GET', `/v1/audit?${query}`);
    expect([answer.status, answer.body.problem.code]).toEqual([400, 'bad-parameter']);
  });

  it('comes in pages, each entry once, however long it is', async () => {
    for (let i = 0; i < 700; i++) await publish('project', `p${i}`);
    for (let i = 0; i < 5; i++) await call('PUT', '/v1/domains/acme', 'x');
    const found: string[] = [];
    let pages = 0;
    for (let before = ''; ; pages++) {
      const { items, next } = await audit(`?limit=300${before}`);
      found.push(...items.map((entry) => `${entry.from} ${entry.sequence}`));
      if (next === undefined) break;
      before = `&before=${next}`;
    }
    expect(pages).toBe(2);
    const numbers = (from: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${from} ${count - i}`);
    expect(found.slice().sort()).toEqual([...numbers('intents', 700), ...numbers('door', 5)].sort());
    expect(found.filter((entry) => entry.startsWith('intents'))).toEqual(numbers('intents', 700));
  });

  it('is in the log where it cannot be stored, and the answer is the same', async () => {
    broker.deleteStream('AUDIT');
    expect((await call('PUT', '/v1/domains/acme', 'x')).status).toBe(400);
    expect(warned).toEqual([expect.objectContaining({ audit: expect.objectContaining({ credential: 'platform-anna', intent: 'domain.apply', status: 400 }) })]);
  });
});

describe('dead letters', () => {
  const letter: DeadLetter = {
    intentId: 'poison', intent: 'project.apply', domain: 'acme', project: '_', environment: '_', credential: 'ci', subject: 'osier.intent.acme._._.project.apply.ci', sequence: 3,
    headers: { 'ce-id': 'poison' }, headersLeftOut: 0, body: { encoding: 'json', text: '{"name":"shop","spec":{}}' }, bytes: 25, problem: { code: 'internal-error', reason: 'r', path: '', fix: 'f' },
    cause: 'Error: bug', service: 'tenant', tries: 5, at: '2026-01-01T00:00:00Z',
  };
  const lay = (more: Partial<DeadLetter> = {}) => {
    const whole = { ...letter, ...more };
    return bus.publish(deadSubject(whole.domain, whole.project, whole.intentId), encode(whole));
  };
  const path = '/v1/dead-letters/acme/_/poison';

  it('are listed, the newest first, by scope and in pages; one is shown whole', async () => {
    for (const intentId of ['one', 'two', 'poison']) await lay({ intentId });
    await lay({ domain: 'other', intentId: 'theirs' });
    const ids = async (query: string) => (await call('GET', `/v1/dead-letters${query}`)).body.items.map((item) => item['intentId']);
    expect(await ids('')).toEqual(['theirs', 'poison', 'two', 'one']);
    expect(await ids('?domain=acme&project=_')).toEqual(['poison', 'two', 'one']);
    const page = await call('GET', '/v1/dead-letters?limit=3');
    expect(await ids(`?before=${page.body.next}`)).toEqual(['one']);
    expect((await call('GET', path)).body).toEqual({ ...letter, deadSequence: 3 });
    const missing = await call('GET', '/v1/dead-letters/acme/_/none');
    expect([missing.status, missing.body.problem.code]).toEqual([404, 'not-found']);
  });

  it('are tried again under a new id in the name of the author, and gone when that is stored; who did it is in the audit log', async () => {
    await services();
    await lay();
    const answer = await call('POST', `${path}/retry`, undefined, { authorization: `Bearer ${ben}`, traceparent });
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ result: 'accepted', intentId: 'retry-1-poison', credential: 'ci' })]);
    const again = await bus.last('INTENTS', '>');
    expect([again?.subject, new TextDecoder().decode(again?.data), again?.headers['osier-retry-of']]).toEqual([letter.subject, '{"name":"shop","spec":{}}', 'poison']);
    expect(await bus.last('DEAD', '>')).toBeUndefined();
    expect((await audit()).items.map(brief)).toEqual(expect.arrayContaining(['ci project.apply acme/_/_ shop accepted -', 'platform-ben dead-letter.retry acme/_/_ - accepted -']));
    expect((await call('POST', `${path}/retry`)).status).toBe(404);
  });

  it('stay while the repeat is not stored, and are carried out once however often that is asked', async () => {
    await lay();
    broker.deleteStream('INTENTS');
    expect((await call('POST', `${path}/retry?timeout=100ms`)).status).toBe(503);
    expect(await bus.last('DEAD', '>')).toBeDefined();
    await bus.ensureStreams();
    broker.deleteStream('AUDIT');
    expect((await call('POST', `${path}/retry?timeout=100ms`)).status).toBe(503);
    expect(await bus.last('DEAD', '>')).toBeDefined();
    await bus.ensureStreams();
    await services();
    expect((await call('POST', `${path}/retry`)).status).toBe(200);
    const ids: unknown[] = [];
    for await (const message of bus.read({ stream: 'INTENTS' })) ids.push(message.headers['ce-id']);
    expect(new Set(ids)).toEqual(new Set(['retry-1-poison']));
  }, 20_000);

  it.each([
    ['that are not whole', { body: { encoding: 'left-out' } as const }],
    ['whose subject no server should be given back', { subject: 'osier.intent.*._._.project.apply.ci' }],
  ])('%s are not tried again', async (_what, more) => {
    await lay(more);
    const answer = await call('POST', `${path}/retry`);
    expect([answer.status, answer.body.problem.code]).toEqual([422, 'not-repeatable']);
    expect(await bus.last('INTENTS', '>')).toBeUndefined();
  });

  it('are dropped one by one, and never without a record of who did it', async () => {
    for (const intentId of ['poison', 'other']) await lay({ intentId });
    broker.deleteStream('AUDIT');
    expect((await call('DELETE', path)).status).toBe(503);
    expect(await bus.last('DEAD', deadSubject('acme', '_', 'poison'))).toBeDefined();
    await bus.ensureStreams();
    for (const wild of ['*', '>']) expect((await call('DELETE', `/v1/dead-letters/acme/_/${encodeURIComponent(wild)}`)).status).toBe(404);
    for (const wild of ['/v1/dead-letters/acme/%2A/poison', '/v1/dead-letters/%2A/_/poison']) expect((await call('DELETE', wild)).status).toBe(404);
    expect((await call('DELETE', path)).status).toBe(200);
    expect((await call('GET', '/v1/dead-letters')).body.items.map((item) => item['intentId'])).toEqual(['other']);
    expect((await audit('?result=accepted')).items.map(brief)).toEqual(['platform-anna dead-letter.drop acme/_/_ - accepted -']);
  });
});
