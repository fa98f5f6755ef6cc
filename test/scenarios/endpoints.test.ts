// What a scenario file cannot say: intents that wait, answers that come late, and bodies too long to write down.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Platform } from '@osier/testing/platform';
import { startControlPlane } from './control-plane.ts';

const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
const body = (name: string, more = {}) => ({ name, spec: { network: 'main', node: 'node-1', attachment: { containerId: name }, ...more } });

describe('the life of an endpoint', () => {
  let platform: Platform;
  const wish = (noun: string, at: object, of: unknown, id: string) => platform.wish({ noun, verb: 'apply', id, body: of, ...at });
  const names = async (kind: 'lease' | 'endpoint'): Promise<string[]> => (await platform.list(kind, scope)).map((item) => item.document.name).sort();

  beforeEach(async () => {
    platform = await startControlPlane();
    await wish('domain', {}, { name: 'acme', spec: {} }, 'a');
    await wish('project', { domain: 'acme' }, { name: 'shop', spec: {} }, 'b');
    await wish('environment', { domain: 'acme', project: 'shop' }, { name: 'staging', spec: {} }, 'c');
    await wish('node', {}, { name: 'node-1', spec: { tunnelEndpoint: '192.0.2.11' } }, 'd');
    await wish('network', scope, { name: 'main', spec: { subnets: ['10.0.0.0/24'] } }, 'e');
  });
  afterEach(async () => platform.close());

  it('waits while ipam is away, also through a restart of topology, and is made when ipam is back', async () => {
    await platform.stop('ipam');
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'web', body: body('web') });
    await platform.settle();
    await platform.stop('topology');
    await platform.start('topology');
    await platform.start('ipam');
    expect(await platform.outcome(scope, 'web')).toMatchObject({ result: 'accepted', changes: [{ kind: 'endpoint', path: 'acme/shop/staging/web' }] });
    await platform.settle();
    await platform.check();
  });

  it('is refused when ipam is silent too long, and the address that ipam gives afterwards comes back', async () => {
    await platform.stop('ipam');
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'web', body: body('web') });
    await platform.settle();
    await platform.advance(31_000);
    expect(await platform.outcome(scope, 'web')).toMatchObject({ result: 'refused', problem: { code: 'no-address-in-time' } });
    await platform.start('ipam');
    await platform.settle();
    expect([await names('endpoint'), await names('lease')]).toEqual([[], []]);
    await platform.check();
  });

  it('is one endpoint when two wish the same at once, and the address too many comes back', async () => {
    await platform.stop('ipam');
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'one', body: body('web') });
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'two', body: body('web', { tags: { app: 'web' } }) });
    await platform.settle();
    await platform.start('ipam');
    expect([await platform.outcome(scope, 'one'), await platform.outcome(scope, 'two')]).toMatchObject([{ result: 'accepted' }, { result: 'accepted' }]);
    await platform.settle();
    expect([await names('endpoint'), await names('lease')]).toEqual([['web'], ['10.0.0.1']]);
    expect(await platform.list('endpoint', scope)).toMatchObject([{ document: { version: 2, spec: { tags: { app: 'web' } } } }]);
    await platform.check();
  });

  it('is not there when it was deleted while it waited: what was wished last is what stays', async () => {
    await platform.stop('ipam');
    for (const [id, verb, more] of [['one', 'apply', {}], ['two', 'delete', undefined], ['three', 'apply', { tags: { app: 'web' } }], ['four', 'delete', undefined], ['five', 'apply', { tags: { app: 'last' } }], ['six', 'delete', undefined]] as const) {
      await platform.publish({ ...scope, noun: 'endpoint', verb, id, body: more === undefined ? { name: 'web' } : body('web', more) });
    }
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'other', body: body('other') });
    await platform.settle();
    await platform.stop('topology');
    await platform.start('topology');
    await platform.start('ipam');
    for (const id of ['one', 'three', 'five']) expect(await platform.outcome(scope, id)).toMatchObject({ result: 'accepted', changes: [{ kind: 'endpoint', version: 1 }] });
    for (const id of ['two', 'four', 'six']) expect(await platform.outcome(scope, id)).toMatchObject({ result: 'accepted', changes: [{ kind: 'endpoint', version: 2 }] });
    await platform.settle();
    expect(await names('endpoint')).toEqual(['other']);
    await platform.check();
  });

  it('that is wished over and over while ipam is away is refused in the end, and those behind it are decided', async () => {
    await platform.stop('ipam');
    const ids = Array.from({ length: 102 }, (_, n) => `n${n}`);
    for (const id of ids) await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id, body: body('web') });
    await platform.settle();
    expect(await platform.outcome(scope, 'n101')).toMatchObject({ result: 'refused', problem: { code: 'too-many-waiting' } });
    await platform.advance(31_000);
    expect(await platform.outcome(scope, 'n0')).toMatchObject({ result: 'refused', problem: { code: 'no-address-in-time' } });
    await platform.start('ipam');
    for (const id of ids.slice(1, 101)) expect(await platform.outcome(scope, id)).toMatchObject({ result: 'accepted' });
    await platform.settle();
    expect(await names('endpoint')).toEqual(['web']);
    await platform.check();
  });

  it('is refused where its network went while it waited', async () => {
    await platform.stop('ipam');
    await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id: 'web', body: body('web') });
    await platform.settle();
    expect(await platform.wish({ ...scope, noun: 'network', verb: 'delete', id: 'gone', body: { name: 'main' } })).toMatchObject({ result: 'accepted' });
    await platform.start('ipam');
    expect(await platform.outcome(scope, 'web')).toMatchObject({ result: 'refused', problem: { code: 'unknown-network', path: 'spec.network' } });
    await platform.settle();
    expect(await names('lease')).toEqual([]);
    await platform.check();
  });

  it('cannot have a name of 10,000 characters, and the refusal does not repeat it', async () => {
    const outcome = await wish('endpoint', scope, body('x'.repeat(10_000)), 'long');
    expect(outcome).toMatchObject({ result: 'refused', problem: { code: 'too-long', path: 'name' } });
    expect(JSON.stringify(outcome).length).toBeLessThan(1_000);
  });

  it("does not take another tenant's intent of the same id for its own", async () => {
    await wish('domain', {}, { name: 'rival', spec: {} }, 'r1');
    await wish('project', { domain: 'rival' }, { name: 'shop', spec: {} }, 'r2');
    expect(await wish('environment', { domain: 'rival', project: 'shop' }, { name: 'staging', spec: {} }, 'c')).toMatchObject({ result: 'accepted', changes: [{ path: 'rival/shop/staging' }] });
    expect(await wish('network', { ...scope, domain: 'rival' }, { name: 'main', spec: { subnets: ['10.0.0.0/24'] } }, 'e')).toMatchObject({ result: 'accepted', changes: [{ path: 'rival/shop/staging/main' }] });
  });

  it('reaches nobody when its intent is of a kind that is not known', async () => {
    await expect(platform.publish({ ...scope, noun: 'gateway', verb: 'apply', id: 'x', body: {} })).rejects.toThrow(/no stream takes/);
  });
});
