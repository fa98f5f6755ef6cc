import { describe, expect, it } from '@jest/globals';
import { applySchema, catalogue, intentDeclaration } from './catalogue.ts';
import { kinds, writableKinds } from './kinds.ts';
import { parse } from './problem.ts';
import { streams } from './streams.ts';
import { intentPattern, intentSubject, parseIntentSubject, parseStateSubject, stateSubject } from './subjects.ts';

describe('the catalogue of intents', () => {
  it.each(catalogue.map((i) => [`${i.noun}.${i.verb}`, i] as const))('%s: its own example is valid', (_name, intent) => {
    expect(parse(intent.body, intent.example)).toMatchObject({ ok: true });
  });

  it('gives every writable kind an apply and a delete', () => {
    for (const kind of writableKinds) {
      expect(intentDeclaration(`${kind}.apply`)?.owner).toBe(kinds[kind].owner);
      expect(intentDeclaration(`${kind}.delete`)?.owner).toBe(kinds[kind].owner);
    }
  });

  it('has INTENTS listen to its own kinds only', () => {
    expect(streams.INTENTS.subjects).toContain(intentPattern('network', 'apply'));
    expect(streams.INTENTS.subjects.some((s) => s.includes('>') || s.split('.')[5] === '*')).toBe(false);
  });

  it('names every internal intent as such', () => {
    expect(catalogue.filter((i) => i.internal).map((i) => i.noun)).toEqual(['lease', 'lease']);
  });
});

describe('what a bad body is told', () => {
  const network = (spec: unknown, more = {}) => parse(applySchema('network'), { name: 'main', spec, ...more });
  const table: [string, ReturnType<typeof parse>, { code: string; path: string }][] = [
    ['an unknown field', network({ subnets: ['10.0.0.0/24'], colour: 'red' }), { code: 'unknown-field', path: 'spec.colour' }],
    ['a wrong type', network({ subnets: '10.0.0.0/24' }), { code: 'wrong-type', path: 'spec.subnets' }],
    ['a missing field', network({}), { code: 'missing-field', path: 'spec.subnets' }],
    ['an empty list', network({ subnets: [] }), { code: 'too-few', path: 'spec.subnets' }],
    ['too long a list', network({ subnets: Array(17).fill('10.0.0.0/24') }), { code: 'too-many', path: 'spec.subnets' }],
    ['an octal address', network({ subnets: ['010.0.0.0/24'] }), { code: 'invalid', path: 'spec.subnets[0]' }],
    ['a name of 10,000 characters', parse(applySchema('network'), { name: 'a'.repeat(10_000), spec: { subnets: ['10.0.0.0/24'] } }), { code: 'too-long', path: 'name' }],
    ['a body that is no object', parse(applySchema('network'), 7), { code: 'wrong-type', path: '' }],
    ['an unknown protocol', parse(applySchema('policy'), { name: 'p', spec: { appliesTo: {}, ingress: [{ ports: [{ protocol: 'GRE', port: 1 }] }] } }), { code: 'unknown-value', path: 'spec.ingress[0].ports[0].protocol' }],
    ['a port out of range', parse(applySchema('policy'), { name: 'p', spec: { appliesTo: {}, ingress: [{ ports: [{ protocol: 'TCP', port: 70000 }] }] } }), { code: 'out-of-range', path: 'spec.ingress[0].ports[0].port' }],
    ['a bad tag value', parse(applySchema('endpoint'), { name: 'e', spec: { network: 'n', node: 'm', attachment: { containerId: 'c' }, tags: { app: 'no spaces' } } }), { code: 'invalid', path: 'spec.tags.app' }],
    ['a bad tag key', parse(applySchema('endpoint'), { name: 'e', spec: { network: 'n', node: 'm', attachment: { containerId: 'c' }, tags: { '-': 'x' } } }), { code: 'invalid', path: 'spec.tags.-' }],
  ];
  it.each(table)('%s: code, field, reason, fix', (_what, result, expected) => {
    expect(result).toMatchObject({ ok: false, problem: expected });
    if (result.ok) return;
    expect(result.problem.reason.length).toBeGreaterThan(10);
    expect(result.problem.reason.length).toBeLessThan(300);
    expect(result.problem.fix).not.toBe('');
  });
});

describe('the name of a container\'s network namespace', () => {
  const attached = (containerId: unknown) => parse(applySchema('endpoint'), { name: 'e', spec: { network: 'n', node: 'm', attachment: { containerId } } });
  it.each(['.', '..', '../web', 'a/b', '/run/netns/web', '.hidden', '-x', 'a\0b', 'web\n', '', 'a'.repeat(129)])('is never %j, which could lead out of the folder of namespaces', (containerId) => {
    expect(attached(containerId)).toMatchObject({ ok: false, problem: { path: 'spec.attachment.containerId' } });
  });
  it.each(['web', 'web-7d9f', 'a..b', '8f14e45fceea167a5a36dedd4bea2543'])('may be %j', (containerId) => expect(attached(containerId)).toMatchObject({ ok: true }));
});

describe('the name of an interface', () => {
  const named = (name: string) => parse(applySchema('endpoint'), { name: 'e', spec: { network: 'n', node: 'm', attachment: { containerId: 'c', interface: name } } });
  it.each(['.', '..', 'lo', 'a/b', 'a b', 'a\n', '', 'a'.repeat(16)])('is never %j, which no kernel gives', (name) => {
    expect(named(name)).toMatchObject({ ok: false, problem: { path: 'spec.attachment.interface', fix: expect.stringMatching(/./) } });
  });
  it.each(['eth0', 'lo1', 'net.7', '...'])('may be %j', (name) => expect(named(name)).toMatchObject({ ok: true }));
});

describe('subjects', () => {
  const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
  it('are read as they were written', () => {
    const intent = { ...scope, noun: 'network', verb: 'apply', credential: 'ci' };
    expect(parseIntentSubject(intentSubject(intent))).toEqual(intent);
    const state = { ...scope, noun: 'endpoint' as const, parent: 'p', id: 'i' };
    expect(parseStateSubject(stateSubject(state))).toEqual(state);
  });
  it.each(['osier.intent.a.b.c.d.e', 'osier.intent.a.b.c.d.e.f.g', 'osier.state.a.b.c.d.e.f', 'x'])('%s is no intent', (subject) => {
    expect(parseIntentSubject(subject)).toBeUndefined();
  });
});
