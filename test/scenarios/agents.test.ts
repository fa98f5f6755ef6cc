// Topology's half and the agents' half of the same conversation, over the same bus: nothing in between is played.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { interestSchema, interestSubject, joinConsumer, nodeConsumer } from '@osier/contracts/coordination';
import type { Enforcement, NodeView } from '@osier/contracts/queries';
import { querySubject, receiptSubject } from '@osier/contracts/subjects';
import type { Receipt } from '@osier/contracts/telemetry';
import { silent } from '@osier/telemetry/log';
import type { Platform } from '@osier/testing/platform';
import { type Sessions, startSessions } from '../../apps/node-agent/src/bus/session.ts';
import { startControlPlane } from './control-plane.ts';

const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
const at = (environment: string) => ({ ...scope, environment });

describe('what a node is told', () => {
  let platform: Platform;
  let agents: Sessions[];
  let intents: number;
  let sessions: number;

  const wish = async (noun: string, where: object, name: string, spec: object = {}, verb: 'apply' | 'delete' = 'apply') => {
    const outcome = await platform.wish({ noun, verb, id: `w${++intents}`, body: verb === 'apply' ? { name, spec } : { name }, ...where });
    if (outcome.result !== 'accepted') throw new Error(JSON.stringify(outcome));
    return outcome;
  };
  const place = (name: string, node: string, network = 'main', environment = 'staging') =>
    wish('endpoint', at(environment), name, { network, node, attachment: { containerId: `${environment}-${name}` } });
  const agent = async (node: string): Promise<Sessions> => {
    const started = await startSessions({ bus: platform.broker.connect(node), node, log: silent, now: platform.clock.now, newId: () => `session-${++sessions}`, onAdvance: () => undefined });
    agents.push(started);
    return started;
  };
  const eventually = async (what: () => boolean | Promise<boolean>, withinMs = 8_000): Promise<void> => {
    const until = performance.now() + withinMs;
    while (!(await what())) {
      if (performance.now() > until) throw new Error(`did not come true: ${what.toString()}`);
      await sleep(5);
    }
  };
  const knows = (sessions_: Sessions, kind: 'endpoint' | 'network' | 'policy' | 'node'): string[] => sessions_.knowledge.view.list(kind).map((d) => d.name).sort();
  const complete = (s: Sessions, ...endpoints: string[]): Promise<void> =>
    eventually(() => s.knowledge.complete && JSON.stringify(knows(s, 'endpoint')) === JSON.stringify(endpoints));
  const ask = async <T>(name: string, request: object): Promise<T> => {
    const reply = await platform.bus.request(querySubject('topology', '_', '_', name), new TextEncoder().encode(JSON.stringify(request)));
    return (JSON.parse(new TextDecoder().decode(reply.data)) as { data: T }).data;
  };
  const enforcement = (outcome: { changes?: unknown }): Promise<Enforcement> => ask('enforcement', { changes: (outcome.changes as { path: string; version: number }[]).map(({ path: _p, version: _v, ...c }) => c) });
  const confirm = async (node: string, s: Sessions): Promise<void> => {
    const receipt: Receipt = {
      node, incarnation: s.knowledge.incarnation, revision: s.knowledge.complete ? s.knowledge.revision : 0, epoch: 1, digest: 'd', readBackAt: new Date(platform.clock.now()).toISOString(),
      endpoints: [], pending: [], counts: { addresses: 0, identities: 0, policyEntries: 0, rules: 0 },
    };
    await platform.bus.publish(receiptSubject(node), new TextEncoder().encode(JSON.stringify(receipt)));
  };

  beforeEach(async () => {
    agents = [];
    intents = 0;
    sessions = 0;
    platform = await startControlPlane();
    await wish('domain', {}, 'acme');
    await wish('project', { domain: 'acme' }, 'shop');
    for (const environment of ['staging', 'production']) {
      await wish('environment', { domain: 'acme', project: 'shop' }, environment);
      await wish('network', at(environment), 'main', { subnets: ['10.0.0.0/24'] });
      await wish('network', at(environment), 'other', { subnets: ['10.0.1.0/24'] });
      await wish('policy', at(environment), `rules-of-${environment}`, { appliesTo: {} });
    }
    for (const n of [1, 2]) await wish('node', {}, `node-${n}`, { tunnelEndpoint: `192.0.2.${n}` });
    await place('web', 'node-1');
  });
  afterEach(async () => {
    await Promise.all(agents.map((a) => a.stop()));
    await platform.close();
  });

  it('is all nodes, its networks with everybody in them, and their rules; and nothing of other environments', async () => {
    await place('db', 'node-2');
    await place('web', 'node-2', 'main', 'production');
    const one = await agent('node-1');
    await complete(one, 'db', 'web');
    expect([knows(one, 'node'), knows(one, 'network'), knows(one, 'policy')]).toEqual([['node-1', 'node-2'], ['main'], ['rules-of-staging']]);
    expect(one.knowledge.view.list('endpoint').every((e) => e.environment === 'staging')).toBe(true);
  });

  it('grows with its endpoints: what was there before comes by the join, what comes later by itself', async () => {
    await place('old', 'node-2', 'other');
    const one = await agent('node-1');
    await complete(one, 'web');
    await place('mine', 'node-1', 'other');
    await complete(one, 'mine', 'old', 'web');
    await place('young', 'node-2', 'other');
    await complete(one, 'mine', 'old', 'web', 'young');
  });

  it('loses nothing when it grows faster than the node follows', async () => {
    for (const environment of ['staging', 'production']) await place('old', 'node-2', 'other', environment);
    await place('far', 'node-2', 'main', 'production');
    const one = await agent('node-1');
    await complete(one, 'web');
    await Promise.all([place('a', 'node-1', 'other'), place('b', 'node-1', 'main', 'production'), place('c', 'node-1', 'other', 'production')]);
    await complete(one, 'a', 'b', 'c', 'far', 'old', 'old', 'web');
    expect(knows(one, 'policy')).toEqual(['rules-of-production', 'rules-of-staging']);
  });

  it('carries in each join what no receipt says has come with the one before', async () => {
    const one = await agent('node-1');
    await complete(one, 'web');
    const joined = async (): Promise<string> => ((await platform.bus.consumer('STATE', joinConsumer('node-1')))?.filters ?? []).join(' ');
    await place('a', 'node-1', 'other');
    await place('b', 'node-1', 'main', 'production');
    await complete(one, 'a', 'b', 'web');
    expect([(await joined()).includes('shop.staging.endpoint'), (await joined()).includes('shop.production.endpoint')]).toEqual([true, true]);
    await eventually(async () => {
      await confirm('node-1', one);
      return (await ask<{ nodes: NodeView[] }>('nodes', {})).nodes[0]?.state === 'ready';
    });
    await place('c', 'node-1', 'other', 'production');
    await complete(one, 'a', 'b', 'c', 'web');
    expect((await joined()).includes('shop.staging.endpoint')).toBe(false);
  });

  it('is told from the beginning to an agent that starts anew', async () => {
    await (await agent('node-1')).stop();
    await place('db', 'node-2');
    await complete(await agent('node-1'), 'db', 'web');
  });

  it('goes on over a restart of topology, of the agent, of both at once, and of the bus', async () => {
    const one = await agent('node-1');
    await complete(one, 'web');
    await platform.stop('topology');
    await platform.start('topology');
    await place('a', 'node-1', 'other');
    await complete(one, 'a', 'web');

    await platform.stop('topology');
    await one.stop();
    const two = await agent('node-1');
    await platform.start('topology');
    await complete(two, 'a', 'web');

    platform.broker.stop();
    await sleep(50);
    platform.broker.start();
    await place('b', 'node-1', 'main', 'production');
    await complete(two, 'a', 'b', 'web');
  }, 20_000);

  it('is told when the node becomes known only after its agent has started', async () => {
    const three = await agent('node-3');
    await wish('node', {}, 'node-3', { tunnelEndpoint: '192.0.2.3' });
    await place('late', 'node-3');
    await complete(three, 'late', 'web');
  });

  it('is mended when the server has lost the consumer', async () => {
    const one = await agent('node-1');
    await complete(one, 'web');
    await platform.bus.deleteConsumer('STATE', nodeConsumer('node-1'));
    await place('db', 'node-2');
    platform.clock.advance(6_000);
    await complete(one, 'db', 'web');
  });

  it('ends with the node: its consumers go', async () => {
    await complete(await agent('node-2'));
    await wish('node', {}, 'node-2', {}, 'delete');
    await eventually(async () => !(await platform.bus.consumers('STATE')).some((c) => [nodeConsumer('node-2'), joinConsumer('node-2')].includes(c.name)));
  });

  it('has generations that never run backwards, over sessions and restarts', async () => {
    const seen: number[] = [];
    const node = (await platform.list('node', {})).find((n) => n.document.name === 'node-1');
    const look = async (): Promise<void> => {
      const message = await platform.bus.last('STATE', interestSubject(node?.document.id ?? ''));
      seen.push(interestSchema.parse(JSON.parse(new TextDecoder().decode(message?.data))).generation);
    };
    const one = await agent('node-1');
    await complete(one, 'web');
    await look();
    await place('a', 'node-1', 'other');
    await complete(one, 'a', 'web');
    await look();
    await platform.stop('topology');
    await platform.start('topology');
    await one.stop();
    await complete(await agent('node-1'), 'a', 'web');
    await look();
    expect(seen).toEqual([1, 2, 3]);
  });

  describe('and what it has confirmed', () => {
    it('is asked for by change: nobody yet, then the nodes by name, then enforced', async () => {
      const made = await place('db', 'node-2');
      expect(await enforcement(made)).toMatchObject({ state: 'waiting', nodes: [{ node: 'node-1', why: expect.stringMatching(/never said/) }, { node: 'node-2', why: expect.stringMatching(/never said/) }] });
      const [one, two] = [await agent('node-1'), await agent('node-2')];
      await Promise.all([complete(one, 'db', 'web'), complete(two, 'db', 'web')]);
      await confirm('node-1', one);
      await eventually(async () => (await enforcement(made)).nodes.some((n) => n.node === 'node-1' && n.enforced));
      expect(await enforcement(made)).toMatchObject({ state: 'waiting', nodes: [{ node: 'node-1', enforced: true }, { node: 'node-2', enforced: false }] });
      await confirm('node-2', two);
      await eventually(async () => (await enforcement(made)).state === 'enforced');
    });

    it('is nothing for what no node hears of', async () => {
      expect((await enforcement(await wish('policy', at('production'), 'more', { appliesTo: {} }))).state).toBe('none');
      expect((await enforcement(await wish('project', { domain: 'acme' }, 'other'))).state).toBe('none');
    });

    it('does not pass a join that has not been drained: a barrier alone proves nothing', async () => {
      await place('old', 'node-2', 'other');
      const one = await agent('node-1');
      await complete(one, 'web');
      await one.stop();
      const made = await place('mine', 'node-1', 'other');
      // The node's revision is past the change, but what told it of the change came later still.
      const revision = (made.changes[0]?.revision ?? 0) + 1;
      const node = (await platform.list('node', {})).find((n) => n.document.name === 'node-1')?.document.id ?? '';
      await eventually(async () => interestSchema.parse(JSON.parse(new TextDecoder().decode((await platform.bus.last('STATE', interestSubject(node)))?.data))).join !== undefined);
      const receipt = { node: 'node-1', incarnation: one.knowledge.incarnation, revision, epoch: 1, digest: 'd', readBackAt: '2026-01-01T00:00:00.000Z', endpoints: [], pending: [], counts: { addresses: 0, identities: 0, policyEntries: 0, rules: 0 } };
      const told = (await platform.bus.last('STATE', interestSubject(node)))?.sequence ?? 0;
      await platform.bus.publish(receiptSubject('node-1'), new TextEncoder().encode(JSON.stringify({ ...receipt, revision: told - 1 })));
      await sleep(50);
      expect((await enforcement(made)).nodes.find((n) => n.node === 'node-1')).toMatchObject({ enforced: false });
      await platform.bus.publish(receiptSubject('node-1'), new TextEncoder().encode(JSON.stringify({ ...receipt, revision: told })));
      await eventually(async () => (await enforcement(made)).nodes.find((n) => n.node === 'node-1')?.enforced === true);
    });

    it('is listed by node', async () => {
      const one = await agent('node-1');
      await complete(one, 'web');
      await confirm('node-1', one);
      const nodes = async (): Promise<NodeView[]> => (await ask<{ nodes: NodeView[] }>('nodes', {})).nodes;
      await eventually(async () => (await nodes())[0]?.state === 'ready');
      expect(await nodes()).toMatchObject([{ name: 'node-1', endpoints: 1, behind: 0, state: 'ready' }, { name: 'node-2', endpoints: 0, state: 'never-seen' }]);
      platform.clock.advance(31_000);
      expect((await nodes())[0]?.state).toBe('silent');
    });

    it('frees an address only when the node that was told, and has said nothing yet, confirms', async () => {
      const [one] = [await agent('node-1'), await agent('node-2')];
      await complete(one, 'web');
      await wish('endpoint', scope, 'web', {}, 'delete');
      await complete(one);
      const leases = async (): Promise<string[]> => (await platform.list('lease', scope)).map((l) => l.document.name);
      await confirm('node-1', one);
      await sleep(100);
      expect(await leases()).toEqual(['10.0.0.1']);
      // The barrier brings node-2, which hears nothing of that network, past the tombstone.
      await eventually(async () => {
        await confirm('node-2', agents[1] as Sessions);
        return (await leases()).length === 0;
      });
    }, 15_000);
  });
});
