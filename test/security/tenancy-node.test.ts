// What a node's credential can do with what it may say. The bus keeps it to its own subjects (attacks.test.ts); here is what it may put into them.
//
// A node may lie about itself, and is believed: that it has put into force, at any revision up to now, what it has not; that it cannot; which of its endpoints it
// programs; which flows it has seen, in any domain; that its agent has begun again. It cannot speak as another node, confirm what does not exist yet,
// free an address that another node still holds, nor use up what others need to be told.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { helloTopic, interestSubject, nodeConsumer } from '@osier/contracts/coordination';
import type { Enforcement, NodeView } from '@osier/contracts/queries';
import { observationSubject, querySubject, receiptSubject } from '@osier/contracts/subjects';
import type { Platform } from '@osier/testing/platform';
import { startControlPlane } from '../scenarios/control-plane.ts';

const at = { domain: 'acme', project: 'shop', environment: 'staging' };
const encode = (body: unknown): Uint8Array => (body instanceof Uint8Array ? body : new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)));

describe('a node that lies', () => {
  let platform: Platform;
  let wishes: number;
  let changes: { kind: string; id: string; subject: string; revision: number }[];

  const wish = async (noun: string, name: string, spec: object, scope: object = at, verb: 'apply' | 'delete' = 'apply') => {
    const outcome = await platform.wish({ ...scope, noun, verb, id: `w${++wishes}`, body: verb === 'apply' ? { name, spec } : { name } });
    if (outcome.result !== 'accepted') throw new Error(JSON.stringify(outcome));
    return outcome.changes.map(({ kind, id, subject, revision }) => ({ kind, id, subject, revision }));
  };
  const ask = async <T>(name: string, request: object): Promise<T> => {
    const { data } = await platform.bus.request(querySubject('topology', '_', '_', name), encode(request));
    expect(data.byteLength).toBeLessThan(1_000_000);
    const reply = JSON.parse(new TextDecoder().decode(data)) as { ok: boolean; data: T; problem?: unknown };
    if (!reply.ok) throw new Error(JSON.stringify(reply.problem));
    return reply.data;
  };
  const node = async (name: string): Promise<NodeView> => {
    const found = (await ask<{ nodes: NodeView[] }>('nodes', {})).nodes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  };
  const enforcement = (): Promise<Enforcement> => ask('enforcement', { changes });
  const eventually = async (what: () => Promise<boolean>, withinMs = 8_000): Promise<void> => {
    for (const until = performance.now() + withinMs; !(await what()); await sleep(10)) if (performance.now() > until) throw new Error(`did not come true: ${what.toString()}`);
  };
  const last = async (): Promise<number> => (await platform.bus.stream('CHANGES'))?.lastSequence ?? 0;
  const receipt = async (name: string, over: Readonly<Record<string, unknown>> = {}): Promise<unknown> => ({
    node: name, incarnation: (await platform.bus.stream('CHANGES'))?.incarnation ?? '', revision: await last(), epoch: 1, digest: 'd', readBackAt: new Date(platform.clock.now()).toISOString(),
    endpoints: [], pending: [], counts: { addresses: 0, identities: 0, policyEntries: 0, rules: 0 }, ...over,
  });
  const say = (name: string, body: unknown) => platform.bus.publish(receiptSubject(name), encode(body));
  const hello = (name: string, session: string, as = name) => platform.bus.publish(observationSubject(name, helloTopic), encode({ node: as, session, at: new Date(platform.clock.now()).toISOString() }));
  const told = async (name: string) => {
    const message = await platform.bus.last('STATE', interestSubject((await node(name)).id));
    return message && (JSON.parse(new TextDecoder().decode(message.data)) as { session: string; generation: number });
  };

  beforeEach(async () => {
    platform = await startControlPlane();
    wishes = 0;
    await wish('domain', 'acme', {}, {});
    await wish('project', 'shop', {}, { domain: 'acme' });
    await wish('environment', 'staging', {}, { domain: 'acme', project: 'shop' });
    for (const [i, name] of ['honest', 'liar'].entries()) await wish('node', name, { tunnelEndpoint: `192.0.2.${i + 1}` }, {});
    await wish('network', 'main', { subnets: ['10.0.0.0/24'] });
    changes = [];
    for (const name of ['honest', 'liar']) changes.push(...(await wish('endpoint', `on-${name}`, { network: 'main', node: name, attachment: { containerId: name } })));
    for (const name of ['honest', 'liar']) await hello(name, `first-${name}`);
    for (const name of ['honest', 'liar']) await eventually(async () => (await told(name))?.session === `first-${name}`);
    await say('honest', await receipt('honest'));
    await eventually(async () => (await node('honest')).revision > 0);
  });
  afterEach(async () => {
    await platform.settle();
    await platform.check();
    await platform.close();
  });

  it.each([
    ["another's name", { node: 'honest', revision: 1 }],
    ['a revision below none', { revision: -1 }],
    ['a revision that is no whole number', { revision: 1.5 }],
    ['a revision beyond all numbers', { revision: 2 ** 53 }],
    ['a revision in words', { revision: '7' }],
    ['a field that there is not', { admin: true }],
    ['endpoints that are none', { endpoints: [{ id: '../../x', version: 1 }] }],
    ['a time that is none', { readBackAt: 'now' }],
  ])('is not heard with %s in its receipt', async (_what, over) => {
    const before = await node('honest');
    await say('liar', await receipt('liar', over));
    await say('liar', '{"node"');
    await say('liar', Uint8Array.of(0xff, 0xfe, 0));
    await say('liar', '['.repeat(400_000));
    await sleep(50);
    expect((await node('liar')).state).toBe('never-seen');
    expect(await node('honest')).toEqual(before);
    await say('liar', await receipt('liar'));
    await eventually(async () => (await node('liar')).revision > 0);
  });

  it('confirms nothing by a revision that does not exist yet, neither now nor for what comes', async () => {
    await say('liar', await receipt('liar', { revision: Number.MAX_SAFE_INTEGER }));
    await eventually(async () => (await node('liar')).lastReceiptAt !== undefined);
    expect((await node('liar')).state).toBe('behind');
    expect(await enforcement()).toMatchObject({ state: 'waiting', nodes: expect.arrayContaining([{ node: 'honest', enforced: true, revision: expect.any(Number), readBackAt: expect.any(String) }]) });
    expect((await enforcement()).nodes.find((one) => one.node === 'liar')?.why).toMatch(/does not exist/);
    await wish('endpoint', 'on-honest', {}, at, 'delete');
    await say('honest', await receipt('honest'));
    await sleep(100);
    expect((await platform.list('lease', at)).length).toBe(2);
    await say('liar', await receipt('liar'));
    await eventually(async () => (await platform.list('lease', at)).length === 1);
  });

  it("frees no address that another node holds, by any receipt of its own", async () => {
    await say('liar', await receipt('liar'));
    const removed = (await wish('endpoint', 'on-honest', {}, at, 'delete'))[0];
    await say('liar', await receipt('liar', { revision: (removed?.revision ?? 0) + 1_000, endpoints: [{ id: removed?.id, version: 99 }] }));
    await sleep(200);
    expect((await platform.list('lease', at)).length).toBe(2);
  });

  it('cannot make answers about nodes and changes too large to be given', async () => {
    const long = 'x'.repeat(400_000);
    const own = changes.find((change) => change.kind === 'endpoint' && change.subject.length > 0);
    await say('liar', await receipt('liar', { digest: long, pending: [{ kind: 'endpoint', id: own?.id, path: long, code: 'x', reason: 'y'.repeat(100_000) }] }));
    await say('honest', await receipt('honest', { pending: Array.from({ length: 9_000 }, (_one, i) => ({ kind: 'endpoint', id: String(i), path: 'p', code: 'c', reason: 'because of this and that' })) }));
    await eventually(async () => (await node('liar')).lastReceiptAt !== undefined);
    await sleep(50);
    expect((await ask<{ nodes: NodeView[] }>('nodes', {})).nodes).toHaveLength(2);
    for (const { why = '' } of (await enforcement()).nodes) expect(why.length).toBeLessThan(1_000);
  });

  it('may say hello ten thousand times: the others are told of what concerns them, and the streams do not fill', async () => {
    const before = await last();
    for (let i = 0; i < 10_000; i++) {
      await hello('liar', `flood-${i}`, i % 2 === 0 ? 'honest' : 'liar');
      if (i % 500 === 0) await sleep(1);
    }
    await hello('honest', 'second-honest');
    await eventually(async () => (await told('honest'))?.session === 'second-honest');
    await wish('network', 'other', { subnets: ['10.1.0.0/24'] });
    changes = await wish('endpoint', 'another', { network: 'other', node: 'honest', attachment: { containerId: 'a' } });
    await eventually(async () => (await platform.bus.consumer('STATE', nodeConsumer('honest')))?.filters.some((filter) => changes.some((change) => change.subject.startsWith(filter.replace(/\*$/, '')))) === true);
    expect((await last()) - before).toBeLessThan(60);
    expect((await platform.bus.consumers('STATE')).filter(({ name }) => name.includes('liar') || name.includes('honest')).length).toBeLessThanOrEqual(4);
    await platform.advance(60_000);
    await eventually(async () => (await told('liar'))?.session === 'flood-9999');
  }, 30_000);

  it.each([['a session of a megabyte', 's'.repeat(900_000)], ['a session that is no token', '*.>'], ['no session', undefined]])('is not answered with %s', async (_what, session) => {
    const before = await last();
    await hello('liar', session as string);
    await hello('nobody', 'session-of-nobody');
    await sleep(100);
    expect((await told('liar'))?.session === 'first-liar').toBe(true);
    expect((await last()) - before).toBeLessThan(5);
  });
});
