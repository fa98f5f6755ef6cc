import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deleted, eventually, make, pause, production, staging, World } from '../test/world.ts';

const [net, other] = [make.network(101, staging), make.network(102, production)];
const [web, db, api] = [make.endpoint(11, net, 1, { app: 'web' }), make.endpoint(12, net, 1, { app: 'db' }), make.endpoint(13, net, 2, { app: 'api' })];
const twin = make.endpoint(211, other, 1, { app: 'web' });
const onlyApi = make.policy(301, staging, {
  appliesTo: { matchTags: { app: 'db' } }, ingress: [{ name: 'from-api', action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }],
});
const base = [make.node(1), make.node(2), net, other];

let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.stop());

describe('the node agent', () => {
  it('programs its endpoints and says so in a receipt that covers the barrier', async () => {
    await world.startAgent();
    const receipt = await world.settle(...base, web, db, api);
    expect(receipt.endpoints.map((e) => e.id).sort()).toEqual([web.id, db.id]);
    expect(receipt).toMatchObject({ incarnation: 'first', pending: [], counts: { addresses: 3 } });
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.12', '101 10.0.0.13']);
    expect([world.send(web, db, 5432), world.kernel.links.list().filter((l) => l.kind === 'veth').every((l) => l.up)]).toEqual(['none', true]);
  });

  it('puts a policy into force, and takes it out again', async () => {
    await world.startAgent();
    const before = await world.settle(...base, web, db, onlyApi);
    expect(world.send(web, db, 5432)).toBe('policy_denied');
    const after = await world.settle(deleted(onlyApi));
    expect(world.send(web, db, 5432)).toBe('none');
    expect([after.epoch > before.epoch, after.digest === before.digest]).toEqual([true, false]);
  });

  it('keeps equal addresses of two environments apart', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, twin);
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.12', '102 10.0.0.11']);
    expect([world.send(web, db, 80), world.send(twin, db, 80)]).toEqual(['none', 'unknown_destination']);
  });

  it('removes what is deleted, with its device', async () => {
    await world.startAgent();
    await world.settle(...base, web, db);
    const receipt = await world.settle(deleted(web));
    expect(receipt.endpoints.map((e) => e.id)).toEqual([db.id]);
    expect(world.addresses()).toEqual(['101 10.0.0.12']);
    expect(world.kernel.links.list().filter((l) => l.kind === 'veth')).toHaveLength(1);
    await world.settle(deleted(db));
    expect([world.addresses(), world.kernel.policy.list(), world.kernel.rules.list(), world.kernel.identities.list()]).toEqual([[], [], [], []]);
  });

  it('waits for a namespace that is missing, says so, and goes on by itself', async () => {
    world.missingNamespaces.add('c11');
    await world.startAgent();
    const receipt = await world.settle(...base, web, db);
    expect(receipt.pending).toMatchObject([{ kind: 'endpoint', id: web.id, path: 'acme/shop/staging/e11', code: 'namespace-missing' }]);
    expect(world.addresses()).toEqual(['101 10.0.0.12']);
    world.missingNamespaces.clear();
    await world.receipt(receipt.revision, (r) => r.pending.length === 0 && r.endpoints.length === 2);
  });

  it('writes nothing that does not fit, and says which table is full', async () => {
    await world.startAgent({ addresses: 2 });
    const first = await world.settle(...base, web, db);
    await world.put(api);
    const receipt = await world.receipt(0, (r) => r.pending.some((p) => p.code === 'table-full'));
    expect(receipt.revision).toBe(first.revision);
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.12']);
    await world.settle(deleted(db));
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.13']);
  });
});

describe('an address that goes', () => {
  it('is confirmed as gone only when no connection of it is tracked any more', async () => {
    await world.startAgent();
    const before = await world.settle(...base, web, db);
    world.send(web, db, 80);
    const { forget } = world.kernel;
    world.kernel.forget = () => 0;
    await world.put(deleted(web));
    const waiting = await world.receipt(0, (r) => r.pending.some((p) => p.reason.includes('connections of 101|10.0.0.11 are still tracked')));
    expect(waiting.revision).toBe(before.revision);
    world.kernel.forget = forget;
    await world.settle();
    expect(world.memory.tracked.size).toBe(0);
  });
});

describe('an agent that starts again', () => {
  it('touches nothing before it has been told everything', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const [epoch, entries] = [world.kernel.config().epoch, world.kernel.policy.list().length];
    await world.agent?.stop();
    world.answering = false;
    await world.startAgent();
    // The consumer of the former session is still there and delivers this one change, of all that there is.
    await world.put(api);
    await pause(100);
    expect([world.kernel.restored, world.kernel.config().epoch, world.kernel.policy.list().length, world.send(web, db, 5432)]).toEqual([true, epoch, entries, 'policy_denied']);
  });

  it('keeps every number that still means the same, and learns what changed meanwhile', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const numbers = () => JSON.stringify([world.kernel.identities.list(), world.kernel.policies.list(), world.kernel.rules.list()]);
    const [before, epoch] = [numbers(), world.kernel.config().epoch];
    await world.agent?.stop();
    await world.startAgent();
    await world.settle();
    expect([numbers(), world.kernel.config().epoch]).toEqual([before, epoch]);
    await world.agent?.stop();
    await world.put(deleted(onlyApi));
    await world.startAgent();
    await world.settle();
    expect(world.send(web, db, 5432)).toBe('none');
  });

  it('is heard though its first hello is not', async () => {
    world.answering = false;
    await world.startAgent();
    await pause(50);
    world.answering = true;
    // The next hello comes after some seconds; topology answers the one that it reads first.
    await world.settle(...base, web).catch(() => undefined);
    expect((await world.receipt(1)).endpoints).toHaveLength(1);
  }, 15_000);

  it('publishes its latest receipt when the bus comes back', async () => {
    await world.startAgent();
    await world.settle(...base, web);
    world.broker.stop();
    await pause(50);
    world.broker.start();
    expect((await world.settle(db)).endpoints).toHaveLength(2);
  });
});

describe('an interest that grows', () => {
  it('enforces nothing of the new network before the join has drained', async () => {
    world.filters = ['osier.state.acme.shop.staging.>'];
    await world.startAgent();
    const before = await world.settle(...base, web, db);
    await world.settle(twin, make.policy(302, production, { isolates: ['ingress'] }));
    const fresh = ['osier.state.acme.shop.production.>'];
    await world.grow(fresh, { withJoin: false });
    const barrier = await world.barrier();
    await pause(150);
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.12']);
    await world.openJoin(fresh);
    const receipt = await world.receipt(barrier);
    expect([before.endpoints.length, receipt.endpoints.length]).toEqual([2, 3]);
    expect(world.addresses()).toContain('102 10.0.0.11');
  });
});

describe('drift', () => {
  it('is told, repaired, and told to be repaired', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const [key] = world.kernel.addresses.list()[0] ?? [];
    if (key === undefined) throw new Error('there is no address');
    world.kernel.addresses.remove([key]);
    await eventually(async () => ((await world.observations('repair')).length > 0 ? true : undefined));
    expect((await world.observations('drift'))[0]?.message).toContain('missing address 101|10.0.0.11');
    expect(world.addresses()).toEqual(['101 10.0.0.11', '101 10.0.0.12']);
  });

  it('is seen inside any workload, sooner or later, and only what is looked at is paid for', async () => {
    await world.startAgent();
    const many = Array.from({ length: 20 }, (_, i) => make.endpoint(20 + i, net, 1, {}));
    await world.settle(...base, ...many);
    world.damage.set('c39', 'the workload of e39 has no default route');
    await eventually(() => (world.damage.size === 0 ? true : undefined));
    await eventually(async () => ((await world.observations('repair')).length > 0 ? true : undefined));
    expect((await world.observations('drift'))[0]?.message).toBe('The kernel is not as it should be: the workload of e39 has no default route');
    expect(Math.max(...world.looks)).toBe(8);
  });

  it('is seen in an entry that somebody slipped in', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const [key, entry] = world.kernel.policy.list().find(([, e]) => e.action === 2) ?? [];
    if (key === undefined || entry === undefined) throw new Error('there is no denying entry');
    world.kernel.policy.put([[key, { ...entry, action: 1 }]]);
    expect(world.send(web, db, 22)).toBe('none');
    await eventually(() => (world.send(web, db, 22) === 'policy_denied' ? true : undefined));
  });

  it('is seen in a device that went down or away', async () => {
    await world.startAgent();
    await world.settle(...base, web);
    const name = world.kernel.links.list().find((l) => l.kind === 'veth')?.name ?? '';
    world.memory.devices.delete(name);
    await eventually(() => (world.kernel.links.list().some((l) => l.name === name && l.up) ? true : undefined));
    await eventually(() => (world.kernel.endpoints.list()[0]?.[0] === world.kernel.links.list().find((l) => l.name === name)?.ifindex ? true : undefined));
  });
});

describe('flow records', () => {
  it('name the endpoints, the rule and the revision', async () => {
    await world.startAgent();
    const receipt = await world.settle(...base, web, db, onlyApi);
    world.send(web, db, 22);
    const batch = await eventually(async () => (await world.flows())[0]);
    expect(batch.flows[0]).toMatchObject({
      event: 'denied', environment: 'staging', network: 'net-101', protocol: 'TCP', verdict: 'denied', reason: 'policy_denied',
      source: { address: '10.0.0.11', endpoint: 'acme/shop/staging/e11', tags: { app: 'web' } },
      destination: { address: '10.0.0.12', port: 22, endpoint: 'acme/shop/staging/e12' },
    });
    expect(batch.flows[0]?.decisions.at(-1)).toEqual({ direction: 'ingress', policy: 'acme/shop/staging/p301', policyId: onlyApi.id, rule: 'default-deny' });
    expect(batch.flows[0]?.revision).toBeLessThanOrEqual(receipt.revision);
  });

  it('tell what a shadow would decide, with its rules, beside the verdict', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const [number] = world.kernel.rules.list().find(([, row]) => row.direction === 2 && row.action === 2) ?? [0];
    for (const change of [{ shadowVerdict: 2, shadowIngressRule: number }, { shadowVerdict: 1, shadowEgressRule: 4_000_000 }, {}] as const) world.kernel.emit({ rd: 101, kind: 1, verdict: 1, ...change });
    const told = await eventually(async () => {
      const found = (await world.flows()).flatMap((batch) => batch.flows);
      return found.length > 2 ? found : undefined;
    });
    expect(told.map(({ verdict, shadow }) => [verdict, shadow])).toEqual([
      ['allowed', { verdict: 'denied', ingress: { direction: 'ingress', policy: 'acme/shop/staging/p301', policyId: onlyApi.id, rule: 'default-deny' } }],
      ['allowed', { verdict: 'allowed', egress: { direction: 'egress', policy: 'unknown', policyId: '', rule: 'rule 4000000' } }],
      ['allowed', undefined],
    ]);
  });

  it('tell of a connection that its rules deny and that goes on, by which rule and until when', async () => {
    await world.startAgent();
    await world.settle(...base, web, db, onlyApi);
    const [ingressRule] = world.kernel.rules.list().find(([, row]) => row.direction === 2 && row.action === 2) ?? [0];
    const soon = { rd: 101, verdict: 1, ingressRule, time: 5_000_000_000n } as const;
    for (const change of [{ kind: 3, reason: 1, sparedUntil: 7_000_000_000n }, { kind: 2, endedBy: 1, sparedUntil: 2n ** 64n - 1n }, { kind: 2, endedBy: 1 }] as const) world.kernel.emit({ ...soon, ...change });
    const told = await eventually(async () => {
      const found = (await world.flows()).flatMap((batch) => batch.flows);
      return found.length > 2 ? found : undefined;
    });
    const [drains, kept, plain] = told;
    expect(drains).toMatchObject({ event: 'denied', verdict: 'allowed', reason: 'policy_denied', decisions: [{ direction: 'ingress', policy: 'acme/shop/staging/p301', rule: 'default-deny' }] });
    expect(Date.parse(drains?.spared?.until ?? '') - Date.parse(drains?.at ?? '')).toBe(2_000);
    expect([kept?.event, kept?.endedBy, kept?.spared]).toEqual(['end', 'fin', {}]);
    expect(plain).not.toHaveProperty('spared');
  });

  it('name SCTP, and what the agent does not know "other"', async () => {
    await world.startAgent();
    await world.settle(...base, web, db);
    for (const protocol of [132, 47]) world.kernel.emit({ rd: 101, kind: 1, protocol });
    const told = await eventually(async () => {
      const found = (await world.flows()).flatMap((batch) => batch.flows);
      return found.length > 1 ? found : undefined;
    });
    expect(told.map(({ protocol }) => protocol)).toEqual(['SCTP', 'other']);
  });

  it('of a routing domain that nobody here has are told to the operator, and are no loss of any tenant', async () => {
    await world.startAgent();
    await world.settle(...base, web, db);
    for (let i = 0; i < 3; i++) world.kernel.emit({ rd: 999, kind: 3, reason: 7 });
    world.kernel.emit({ rd: 101, kind: 1 });
    const [told] = await eventually(async () => {
      const found = (await world.observations('drops')).filter((o) => o.severity === 'warning');
      return found.length > 0 ? found : undefined;
    });
    expect(told?.detail).toMatchObject({ records: 3, vni: 999, reason: 'unknown_peer' });
    const batches = await eventually(async () => {
      const found = await world.flows();
      return found.length > 0 ? found : undefined;
    });
    expect(batches.map((b) => [b.lost, b.flows.length])).toEqual([[0, 1]]);
  });

  it('are split into batches, and none is missing', async () => {
    await world.startAgent();
    await world.settle(...base, web, db);
    for (let i = 0; i < 1_100; i++) world.kernel.emit({ rd: 101, kind: 1 });
    const batches = await eventually(async () => {
      const found = await world.flows();
      return found.reduce((sum, b) => sum + b.flows.length, 0) === 1_100 ? found : undefined;
    });
    expect(batches.map((b) => b.flows.length)).toEqual([500, 500, 100]);
    expect(batches.at(-1)?.lost).toBe(0);
  });
});
