import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { make, pause, staging, World } from '../test/world.ts';

const net = make.network(101, staging);
const [web, db] = [make.endpoint(11, net, 1, { app: 'web' }), make.endpoint(12, net, 1, { app: 'db' })];
const nobody = make.policy(301, staging, { appliesTo: { matchTags: { app: 'db' } }, ingress: [] });
const base = [make.node(1), make.node(2), net, web, db];

let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.stop());

describe('an agent whose streams were emptied or put back', () => {
  it('enforces nothing around a document that a later version wrote and it cannot read: it may be the one that denies', async () => {
    await world.startAgent();
    const before = await world.settle(...base, nobody);
    expect(world.send(web, db, 5432)).toBe('policy_denied');
    // The same policy under another name, which this version cannot read, and then the end of the one that it could.
    const later = make.policy(302, staging, { appliesTo: { matchTags: { app: 'db' } }, ingress: [] });
    await world.put({ ...later, spec: { ...later.spec, ofALaterVersion: true } } as never);
    await world.put({ ...nobody, version: 2, phase: 'deleted' });
    await world.barrier();
    const receipt = await world.receipt(0, (r) => r.pending.some((p) => p.code === 'document-unknown'));
    expect(receipt.revision).toBe(before.revision);
    expect(receipt.pending[0]?.reason).toMatch(/cannot read osier\.state\..*policy.*Upgrade the agent/);
    await pause(100);
    expect(world.send(web, db, 5432)).toBe('policy_denied');

    await world.put({ ...later, version: 2 });
    const after = await world.settle();
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(world.send(web, db, 5432)).toBe('policy_denied');
  });

  it('takes no older world for the truth, not even after a start of its own: it enforces what it had, and says so', async () => {
    await world.startAgent();
    const before = await world.settle(...base, nobody);
    expect(world.send(web, db, 5432)).toBe('policy_denied');
    await world.agent?.stop();

    for (const name of ['STATE', 'CHANGES']) world.broker.deleteStream(name);
    await world.bus.ensureStreams();
    // The whole of what the streams hold now, and it allows what the kernel denies.
    for (const document of base) await world.put(document);
    await world.startAgent();
    await world.barrier();
    const receipt = await world.receipt(0, (r) => r.pending.some((p) => p.code === 'older-world'));
    expect(receipt.pending[0]?.reason).toContain(`this kernel enforces revision ${before.revision}`);
    await pause(100);
    expect(world.send(web, db, 5432)).toBe('policy_denied');

    // As a rebuild does it: beyond every revision that was given.
    while ((await world.barrier()) <= before.revision);
    const after = await world.receipt(before.revision + 1, (r) => r.pending.length === 0);
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(world.send(web, db, 5432)).toBe('none');
  });
});
