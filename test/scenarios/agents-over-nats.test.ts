// The same conversation over a real server, with the accounts that an installation has: a node may fetch and acknowledge, and make nothing.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from '@osier/bus/accounts';
import type { UserLogin } from '@osier/bus/authority';
import type { Bus } from '@osier/bus/bus';
import { type Installation, newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import { nodeConsumer } from '@osier/contracts/coordination';
import type { AnyDocument } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { silent } from '@osier/telemetry/log';
import { type Sessions, startSessions } from '../../apps/node-agent/src/bus/session.ts';
import { startCoordinator } from '../../apps/topology/src/coordinator/coordinator.ts';
import { endpoint, id, network, node } from '../../libs/domain/test/documents.ts';


describe('what nodes are told, over a real server', () => {
  const dir = mkdtempSync(join(tmpdir(), 'osier-agents-'));
  const buses: Bus[] = [];
  let server: NatsServer;
  let keys: Installation;
  let bus: Bus;
  let coordinator: Awaited<ReturnType<typeof startCoordinator>>;
  let sessions = 0;
  const agents: Sessions[] = [];

  const connect = async (login: UserLogin, name: string): Promise<Bus> => {
    const made = await connectBus({ url: server.url, ...login, name });
    buses.push(made);
    return made;
  };
  const coordinate = async (): Promise<void> => void (coordinator = await startCoordinator({ bus, log: silent, now: Date.now, publishIntent: async () => undefined }));
  const agent = async (name: string): Promise<Sessions> => {
    const started = await startSessions({ bus: await connect(await keys.node(name), name), node: name, log: silent, now: Date.now, newId: () => `session-${++sessions}`, onAdvance: () => undefined });
    agents.push(started);
    return started;
  };
  /** As topology's relay would, which keeps trying. */
  const publish = async (...documents: AnyDocument[]): Promise<void> => {
    for (const document of documents) {
      for (;;) {
        try {
          await bus.publish(documentSubject(document), new TextEncoder().encode(JSON.stringify(document)));
          break;
        } catch {
          await sleep(50);
        }
      }
    }
  };
  const hears = async (agent_: Sessions, ...names: string[]): Promise<void> => {
    const known = (): string => agent_.knowledge.view.list('endpoint').map((e) => e.name).sort().join(' ');
    const until = Date.now() + 15_000;
    while (!agent_.knowledge.complete || known() !== names.join(' ')) {
      if (Date.now() > until) throw new Error(`knows ${known()} (complete: ${agent_.knowledge.complete}), and should know ${names.join(' ')}`);
      await sleep(10);
    }
  };
  const on = (name: string, n: number, where: 1 | 2, nodeName: string) => endpoint(name, `10.0.${where}.${n}`, { node: nodeName, network: `net-${where}` }, { id: id(100 + n), parent: id(where) });

  beforeAll(async () => {
    keys = await newInstallation({ nodes: ['node-1', 'node-2'] });
    server = await startNatsServer({ dir, config: natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'store'), trust: keys.trust }) });
    bus = await connect(await keys.service('admin'), 'topology');
    await bus.ensureStreams();
    await coordinate();
    await publish(node('node-1', '192.0.2.1', { id: id(11) }), node('node-2', '192.0.2.2', { id: id(12) }));
    await publish(network('net-1', ['10.0.1.0/24'], { id: id(1) }), network('net-2', ['10.0.2.0/24'], { id: id(2) }), on('far', 1, 2, 'node-2'), on('web', 2, 1, 'node-1'));
  }, 30_000);
  afterAll(async () => {
    await Promise.all(agents.map((a) => a.stop()));
    await coordinator?.stop();
    await Promise.all(buses.map((b) => b.close()));
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('an agent hears of its networks, of others by a join, and goes on after the server was killed', async () => {
    const one = await agent('node-1');
    await hears(one, 'web');
    await publish(on('near', 3, 2, 'node-1'));
    await hears(one, 'far', 'near', 'web');
    expect((await bus.consumer('STATE', nodeConsumer('node-1')))?.filters).toHaveLength(15);

    await server.kill();
    await server.start();
    await publish(on('after', 4, 1, 'node-2'));
    await hears(one, 'after', 'far', 'near', 'web');
    expect(one.knowledge.incarnation).not.toBe('');
  }, 45_000);

  it('a restart of both sides at once, with a change between, ends in the same place', async () => {
    await coordinator.stop();
    await agents[0]?.stop();
    await publish(on('between', 5, 2, 'node-2'));
    const again = await agent('node-1');
    await coordinate();
    await hears(again, 'after', 'between', 'far', 'near', 'web');
  }, 45_000);

  it('barriers bring an agent up to date with what does not concern it', async () => {
    const two = await agent('node-2');
    await hears(two, 'after', 'between', 'far', 'near', 'web');
    const last = (await bus.stream('CHANGES'))?.lastSequence ?? 0;
    for (const until = Date.now() + 15_000; two.knowledge.revision < last; await sleep(20)) if (Date.now() > until) throw new Error('no barrier came');
  }, 30_000);
});
