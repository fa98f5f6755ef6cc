import { describe, expect, it } from '@jest/globals';
import { limits } from '@osier/contracts/limits';
import { intentIdOf } from '@osier/contracts/envelope';
import { identify, intentKey, readIntent } from './intent.ts';

const message = (subject: string, body: unknown, headers: Record<string, string> = { 'ce-id': 'x' }) =>
  ({ subject, sequence: 7, headers, data: typeof body === 'string' ? new TextEncoder().encode(body) : body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body)) });
const place = 'osier.intent.acme.shop.staging';
const good = { name: 'main', spec: { subnets: ['10.0.0.0/24'] } };

describe('the id of an intent', () => {
  it.each([
    ['a good one', { 'ce-id': '01997f5e-5b3c' }, '01997f5e-5b3c'],
    ['none', {}, 'seq-7'],
    ['an empty one', { 'ce-id': '' }, 'seq-7'],
    ['one that is no token', { 'ce-id': 'a.b' }, 'seq-7'],
    ['one that would match others', { 'ce-id': '>' }, 'seq-7'],
    ['one that is too long', { 'ce-id': 'a'.repeat(129) }, 'seq-7'],
    ["another's sequence", { 'ce-id': 'seq-3' }, 'seq-7'],
  ] as [string, Record<string, string>, string][])('%s', (_what, headers, id) => expect(intentIdOf(headers['ce-id'], 7)).toBe(id));
});

describe('an intent that is valid in itself', () => {
  it('has its scope and credential from the subject, and the defaults of its schema', () => {
    const spec = { network: 'main', node: 'n', attachment: { containerId: 'c' } };
    expect(readIntent(message(`${place}.endpoint.apply.ci`, { name: 'e', spec }))).toMatchObject({
      id: 'x', name: 'endpoint.apply', credential: 'ci', scope: { domain: 'acme', project: 'shop', environment: 'staging' },
      content: { ok: true, intent: { body: { name: 'e', spec: { ...spec, tags: {}, attachment: { interface: 'eth0' } } } } },
    });
  });
  it('is no intent on another subject', () => expect(readIntent(message('osier.state.a.b.c.d.e.f', good))).toBeUndefined());
});

describe('an intent that is not', () => {
  it.each([
    ['not JSON', `${place}.network.apply.ci`, '{"name"', 'not-json', ''],
    ['not UTF-8', `${place}.network.apply.ci`, new Uint8Array([0x22, 0xff, 0x22]), 'not-json', ''],
    ['empty', `${place}.network.apply.ci`, '', 'not-json', ''],
    ['too large', `${place}.network.apply.ci`, new Uint8Array(limits.intentBytes + 1), 'too-large', ''],
    ['an unknown field', `${place}.network.apply.ci`, { ...good, colour: 1 }, 'unknown-field', 'colour'],
    ['a wrong type', `${place}.network.apply.ci`, { ...good, name: 5 }, 'wrong-type', 'name'],
    ['a name of 10,000 characters', `${place}.network.apply.ci`, { ...good, name: 'a'.repeat(10_000) }, 'too-long', 'name'],
    ['no environment', 'osier.intent.acme.shop._.network.apply.ci', good, 'wrong-scope', 'subject.environment'],
    ['an environment too many', `${place}.environment.apply.ci`, { name: 'x', spec: {} }, 'wrong-scope', 'subject.environment'],
    ['a scope for the platform', 'osier.intent.acme._._.node.apply.ci', { name: 'x', spec: { tunnelEndpoint: '192.0.2.1' } }, 'wrong-scope', 'subject.domain'],
    ['a scope that no name can be', 'osier.intent.ACME.shop.staging.network.apply.ci', good, 'invalid-name', 'subject.domain'],
    ["a tenant's internal intent", `${place}.lease.release.ci`, { lease: '01997f5e-5b3c-7cc0-8000-000000000001' }, 'not-allowed', 'subject.credential'],
    ['an unknown kind', `${place}.teapot.apply.ci`, {}, 'unknown-intent', 'subject'],
  ] as const)('%s: is told the field, the reason and the fix', (_what, subject, body, code, path) => {
    const received = readIntent(message(subject, body));
    if (received?.content.ok !== false) throw new Error('taken for valid');
    expect(received.content.problem).toMatchObject({ code, path });
    expect(received.content.problem.reason).toMatch(/\.$/);
    expect(received.content.problem.fix).toMatch(/\.$/);
    expect(JSON.stringify(received.content.problem).length).toBeLessThan(500);
  });
});

describe('whatever a tenant sends', () => {
  it('is refused in words, however deep it is', () => {
    for (const body of ['['.repeat(100_000) + ']'.repeat(100_000), `{"name":"main","spec":${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}}`]) {
      const received = readIntent(message(`${place}.network.apply.ci`, body));
      expect(received?.content).toMatchObject({ ok: false, problem: { code: expect.stringMatching(/wrong-type|unknown-field|missing-field/) } });
    }
  });
  it('is known by its subject and headers alone', () => {
    const { data: _, ...delivery } = message(`${place}.network.apply.ci`, '');
    expect(identify(delivery)).toEqual({ id: 'x', name: 'network.apply', credential: 'ci', scope: { domain: 'acme', project: 'shop', environment: 'staging' }, traceparent: undefined });
  });
  it('has a key of its own: no two scopes make the same', () => {
    const key = (domain: string, project: string): string => intentKey({ domain, project }, 'x');
    expect(key('acme', 'shop')).toBe('acme/shop/x');
    expect(key('acme/shop', 'a')).not.toBe(key('acme', 'shop/a'));
  });
});
