import { describe, expect, it } from '@jest/globals';
import type { Outcome } from '@osier/contracts/outcome';
import type { Spec } from '@osier/contracts/kinds';
import { changesOf, endpoint, expectRefusal, id, ids, network, node, production, staging } from '../../test/documents.ts';
import { continueEndpoint, decideEndpoint, type EndpointFacts } from './endpoint.ts';

const main = network('main', ['10.0.0.0/24']);
const ground: EndpointFacts = { current: undefined, network: main, node: node('node-1'), holders: [] };
const spec = (more: Partial<Spec<'endpoint'>> = {}): Spec<'endpoint'> => ({ network: 'main', node: 'node-1', tags: { app: 'cart' }, attachment: { containerId: 'cart', interface: 'eth0' }, ...more });
const apply = (facts: Partial<EndpointFacts> = {}, more: Partial<Spec<'endpoint'>> = {}, body = {}) => decideEndpoint(staging, { name: 'cart', spec: spec(more), ...body }, { ...ground, ...facts }, ids(5));
const note = { endpoint: id(5), network: main.id };
const release = { id: `release-${id(5)}`, name: 'lease.release', scope: staging, body: { lease: id(5) } };

describe('a new endpoint', () => {
  it('waits for a lease, asked for under an id that nobody can guess', () => {
    expect(apply()).toEqual({
      result: 'waiting', awaits: `reserve-${id(5)}`, deadlineMs: 30_000, note,
      intents: [{ id: `reserve-${id(5)}`, name: 'lease.reserve', scope: staging, body: { network: main.id, endpoint: id(5) } }],
    });
  });
  it('passes on the address that its author asks for', () => expect(apply({}, { address: '10.0.0.9' })).toMatchObject({ intents: [{ body: { address: '10.0.0.9' } }] }));
  it('needs its network and its node', () => {
    expectRefusal(apply({ network: undefined }), 'unknown-network', 'spec.network');
    expectRefusal(apply({ node: undefined }), 'unknown-node', 'spec.node');
  });
  it('is refused where its author expected another version', () => expectRefusal(apply({}, {}, { expectedVersion: 3 }), 'version-conflict', 'expectedVersion'));
});

describe('the network namespace of a new endpoint', () => {
  const attachment = (device: string) => ({ attachment: { containerId: 'cart', interface: device } });
  const sibling = endpoint('twin', '10.0.0.8', attachment('eth0'));
  it('may have several interfaces, each of one endpoint of its environment', () => {
    expect(apply({ holders: [sibling] }, attachment('eth1'))).toMatchObject({ result: 'waiting' });
    expectRefusal(apply({ holders: [sibling] }), 'attachment-taken', 'spec.attachment');
    expect(apply({ holders: [sibling] })).toMatchObject({ problem: { reason: expect.stringContaining('acme/shop/staging/twin') } });
  });
  it.each([['environment', production], ['project', { ...staging, project: 'hidden' }], ['domain', { ...staging, domain: 'hidden' }]])('is not that of another %s, whatever the interface, and whose it is stays unsaid', (_what, where) => {
    const stranger = endpoint('secret', '10.0.0.8', attachment('eth0'), where);
    for (const device of ['eth0', 'eth1']) {
      const decision = apply({ holders: [sibling, stranger] }, attachment(device));
      expectRefusal(decision, 'attachment-foreign', 'spec.attachment');
      expect(JSON.stringify(decision)).not.toMatch(/secret|hidden|production|10\.0\.0\.8/);
    }
  });
});

describe('an endpoint that exists', () => {
  const current = endpoint('cart', '10.0.0.4');
  it.each<[string, Partial<Spec<'endpoint'>>]>([['tags', { tags: { app: 'cart', tier: 'db' } }], ['ports', { ports: [{ protocol: 'TCP', port: 80 }] }]])('changes its %s at once', (_what, more) => {
    expect(apply({ current }, more)).toMatchObject({ result: 'accepted', puts: [{ id: current.id, spec: more, status: current.status }] });
  });
  it.each<[string, Partial<Spec<'endpoint'>>]>([['nothing', {}], ['nothing, though its address is named', { address: '10.0.0.4' }]])('changes %s', (_what, more) => expect(changesOf(apply({ current }, more))).toEqual([]));
  it('keeps the address that was asked for when it is left out later', () => {
    const asked = endpoint('cart', '10.0.0.4', { address: '10.0.0.4' });
    expect(changesOf(apply({ current: asked }))).toEqual([]);
    expect(apply({ current: asked }, { tags: {} })).toMatchObject({ puts: [{ spec: { address: '10.0.0.4', tags: {} } }] });
  });
  it.each<[string, Partial<Spec<'endpoint'>>]>([
    ['network', { network: 'other' }], ['node', { node: 'node-2' }], ['address', { address: '10.0.0.5' }], ['attachment', { attachment: { containerId: 'cart-2', interface: 'eth0' } }],
  ])('keeps its %s', (field, more) => expectRefusal(apply({ current }, more), 'immutable', `spec.${field}`));
});

describe('an endpoint that waits for its address', () => {
  const base = { intentId: `reserve-${id(5)}`, intent: 'lease.reserve', credential: 'osier-topology', at: '2026-01-01T00:00:00.000Z', service: 'ipam' };
  const granted: Outcome = {
    ...base, result: 'accepted', revision: 9,
    changes: [{ kind: 'lease', id: id(5), path: 'acme/shop/staging/10.0.0.4', version: 1, subject: 's', revision: 9 }],
  };
  const refused = (code: string): Outcome => ({ ...base, result: 'refused', problem: { code, path: 'spec.address', reason: 'No.', fix: 'Do.' } });
  const go = (outcome: Outcome | undefined, facts: Parameters<typeof continueEndpoint>[1] = ground, more: Partial<Spec<'endpoint'>> = {}) =>
    continueEndpoint({ scope: staging, body: { name: 'cart', spec: spec(more) }, note, outcome }, facts);

  it('is made when the lease is granted', () => {
    expect(go(granted)).toEqual({
      result: 'accepted',
      puts: [{ kind: 'endpoint', id: id(5), name: 'cart', parent: main.id, phase: 'active', ...staging, spec: spec(), status: { address: '10.0.0.4', mac: '02:07:0a:00:00:04', lease: id(5) } }],
    });
  });
  it('is refused with what ipam says', () => {
    expectRefusal(go(refused('addresses-exhausted')), 'addresses-exhausted', 'spec.address');
    expect(go(refused('addresses-exhausted'))).not.toHaveProperty('intents');
  });
  it('is told who has the address, or that it is in quarantine', () => {
    const holder = endpoint('frontend', '10.0.0.4');
    expect(go(refused('address-taken'), { ...ground, holder }, { address: '10.0.0.4' })).toMatchObject({ problem: { code: 'address-taken', reason: expect.stringContaining('acme/shop/staging/frontend') } });
    expect(go(refused('address-taken'), ground, { address: '10.0.0.4' })).toMatchObject({ problem: { code: 'address-quarantined' } });
  });
  it.each<[string, string, Outcome | undefined, Partial<EndpointFacts>]>([
    ['its interface was taken meanwhile', 'attachment-taken', granted, { holders: [endpoint('other', '10.0.0.8', { attachment: { containerId: 'cart', interface: 'eth0' } })] }],
    ['its namespace became another environment\'s meanwhile', 'attachment-foreign', granted, { holders: [endpoint('other', '10.0.0.8', { attachment: { containerId: 'cart', interface: 'eth1' } }, production)] }],
    ['ipam is silent', 'no-address-in-time', undefined, {}],
    ['its network is gone', 'unknown-network', granted, { network: undefined }],
    ['its node is gone', 'unknown-node', granted, { node: undefined }],
    ['its network is another of the same name', 'network-changed', granted, { network: network('main', ['10.0.0.0/24'], { id: id(77) }) }],
    ['its network has lost the subnet', 'network-changed', granted, { network: network('main', ['10.0.9.0/24']) }],
  ])('is refused and gives the address back where %s', (_what, code, outcome, facts) => {
    const decision = go(outcome, { ...ground, ...facts });
    expect(decision).toMatchObject({ result: 'refused', problem: { code }, intents: [release] });
  });
  it('becomes a change where another intent has made it meanwhile, and gives the address back', () => {
    const current = endpoint('cart', '10.0.0.3', {}, { id: id(4) });
    expect(go(granted, { ...ground, current })).toEqual({ result: 'accepted', puts: [], intents: [release] });
    expect(go(granted, { ...ground, current }, { tags: { app: 'other' } })).toMatchObject({ result: 'accepted', puts: [{ id: id(4) }], intents: [release] });
    expect(go(granted, { ...ground, current }, { node: 'node-2' })).toMatchObject({ result: 'refused', problem: { code: 'immutable' }, intents: [release] });
  });
  it('is not moved by the outcome of anything else', () => {
    expect(go({ ...granted, intent: 'network.apply' })).toMatchObject({ result: 'waiting', awaits: `reserve-${id(5)}`, intents: [] });
    expect(go({ ...granted, service: 'policy' })).toMatchObject({ result: 'waiting', intents: [] });
  });
});
