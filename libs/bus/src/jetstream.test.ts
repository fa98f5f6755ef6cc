import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { connect as connectPlain, type Msg } from '@nats-io/transport-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from './accounts.ts';
import type { UserLogin } from './authority.ts';
import { type Bus, BusRefused, BusUnavailable, type ConsumerDeclaration, type Delivery } from './bus.ts';
import { nodeConsumers } from './grants.ts';
import { type Installation, newInstallation } from './installation.ts';
import { connectBus } from './jetstream.ts';
import { authenticatorOf } from './login.ts';
import { parseAckSubject } from './jetstream/pull.ts';
import { freePort, type NatsServer, startNatsServer } from './server.ts';

jest.setTimeout(40_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (message: { data: Uint8Array }): string => new TextDecoder().decode(message.data);
const subject = (domain: string, id: string | number): string => `osier.state.${domain}.shop.staging.network._.${id}`;
async function until(what: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !(await what()); await sleep(10)) if (Date.now() > end) throw new Error(`not in ${ms} ms: ${what.toString()}`);
}

describe('JetStream bus on a server that comes and goes', () => {
  let dir: string;
  let keys: Installation;
  let server: NatsServer;
  let services: Bus;
  const open: Bus[] = [];
  const connect = async (login: Promise<UserLogin>, name = 'test'): Promise<Bus> => {
    const bus = await connectBus({ url: server.url, ...(await login), name });
    open.push(bus);
    return bus;
  };
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'osier-bus-'));
    keys = await newInstallation({ nodes: ['n1'] });
    server = await startNatsServer({ dir, config: natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'js'), trust: keys.trust }) });
    services = await connect(keys.service('admin'));
    await services.ensureStreams();
  });
  afterAll(async () => {
    await Promise.all(open.map((bus) => bus.close()));
    await server?.stop();
    rmSync(dir, { recursive: true });
  });

  it('given the credentials of another installation, says so at once; given no server, keeps trying, or says so when patience ends', async () => {
    await expect(connectBus({ url: server.url, ...(await (await newInstallation()).service('topology')), name: 'topology' })).rejects.toThrow(/credentials of topology.*credentials file/);
    const url = `nats://127.0.0.1:${await freePort()}`;
    await expect(connectBus({ url, user: 'u', password: 'p', name: 'x', patienceMs: 300 })).rejects.toThrow(/nats-server runs there/);
  });

  it('given a server killed and started again, goes on publishing and consuming by itself, losing nothing', async () => {
    const seen: string[] = [];
    const states: string[] = [];
    const watching = await connectBus({ url: server.url, ...(await keys.service('topology')), name: 'w', onStatus: ({ state }) => states.push(state) });
    open.push(watching);
    const consumption = await watching.consume({
      stream: 'CHANGES', durable: 'survivor', declaration: { stream: 'CHANGES', filters: ['osier.state.survive.>'] },
      onBatch: async (batch) => batch.forEach((d) => (seen.push(text(d)), d.ack())),
    });
    const follow = new AbortController();
    const followed: string[] = [];
    const following = (async () => {
      for await (const m of watching.read({ stream: 'CHANGES', filters: ['osier.state.survive.>'], follow: true, signal: follow.signal })) followed.push(text(m));
    })();
    await services.publish(subject('survive', 1), bytes('1'));
    await until(() => seen.length === 1 && followed.length === 1);

    await server.kill();
    await until(() => !services.connected);
    await expect(services.publish(subject('survive', 2), bytes('2'), { timeoutMs: 200 })).rejects.toBeInstanceOf(BusUnavailable);
    await server.start();
    // Repeated until it is stored, as the relay does.
    await until(() => services.publish(subject('survive', 3), bytes('3')).then(() => true, () => false));
    await until(() => seen.includes('3') && followed.includes('3'));
    expect(followed).toEqual(['1', '3']);
    expect(states).toEqual(expect.arrayContaining(['disconnected', 'connected']));
    follow.abort();
    await following;
    await consumption.stop();
  });

  it('given a server killed and started again, goes on listening; given what it may not hear, says so, tries again, and stays connected', async () => {
    const heard: string[] = [];
    const problems: Error[] = [];
    const [api, agent] = await Promise.all([connect(keys.service('api')), connect(keys.node('n1'))]);
    const ear = await agent.listen('osier.ask.connections.n1', (said) => void heard.push(text(said)));
    const refused = await agent.listen('osier.ask.connections.*', (said) => void heard.push(`foreign ${text(said)}`), { onProblem: (problem) => problems.push(problem) });
    await until(() => api.tell('osier.ask.connections.n1', bytes('before')).then(() => heard.length > 0));
    await server.kill();
    await until(() => !api.connected && !agent.connected);
    await expect(agent.tell('osier.connections.n1', bytes('x'))).rejects.toBeInstanceOf(BusUnavailable);
    await server.start();
    await until(() => api.tell('osier.ask.connections.n1', bytes('after')).then(() => heard.includes('after'), () => false));
    await until(() => problems.length > 1);
    expect(problems[0]).toBeInstanceOf(BusRefused);
    expect(heard.filter((word) => word.startsWith('foreign'))).toEqual([]);
    expect(agent.connected).toBe(true);
    await Promise.all([ear.stop(), refused.stop()]);
  });

  it('given a backlog, hands it over in whole batches, and what comes alone at once', async () => {
    // More than comes in one piece from the network.
    await Promise.all(Array.from({ length: 300 }, (_, n) => services.publish(subject('backlog', n), bytes('x'.repeat(3_000)))));
    const sizes: number[] = [];
    const consumption = await services.consume({
      stream: 'CHANGES', durable: 'backlog', declaration: { stream: 'CHANGES', filters: ['osier.state.backlog.>'] }, batch: 128,
      onBatch: async (batch) => {
        sizes.push(batch.length);
        batch.forEach((delivery) => delivery.ack());
      },
    });
    await until(() => sizes.reduce((a, b) => a + b, 0) === 300);
    // A machine that is busy may hand over a piece of one; without batches they would be as many as pieces from the network.
    expect(Math.max(...sizes)).toBe(128);
    expect(sizes.length).toBeLessThanOrEqual(5);
    const before = sizes.length;
    await services.publish(subject('backlog', 'last'), bytes('last'));
    await until(() => sizes.length === before + 1);
    expect(sizes.at(-1)).toBe(1);
    await consumption.stop();
  });

  it('given a process that died with deliveries in hand, hands them to the next at once and in their place', async () => {
    const declaration: ConsumerDeclaration = { stream: 'CHANGES', filters: ['osier.state.died.>'] };
    for (let i = 1; i <= 3; i++) await services.publish(subject('died', i), bytes(`${i}`));
    const first = await connect(keys.service('topology'));
    const taken: string[] = [];
    let release = (): void => undefined;
    const stuck = new Promise<void>((resolve) => (release = resolve));
    await first.consume({ stream: 'CHANGES', durable: 'mortal', declaration, onBatch: async (batch) => {
      taken.push(...batch.map(text));
      batch[0]?.ack();
      await stuck;
    } });
    try {
      await until(() => taken.length === 3);
      await until(async () => (await services.consumer('CHANGES', 'mortal'))?.ackPending === 2);
      await services.publish(subject('died', 4), bytes('4'));

      const next = await connect(keys.service('topology'));
      const seen: string[] = [];
      await next.consume({ stream: 'CHANGES', durable: 'mortal', declaration, onBatch: async (batch) => batch.forEach((d) => (seen.push(text(d)), d.ack())) });
      await until(() => seen.length >= 3, 5_000);
      expect(seen).toEqual(['2', '3', '4']);
    } finally {
      release();
    }
  });

  describe('as an agent, which may only fetch and acknowledge', () => {
    const { state } = nodeConsumers('n1');
    const make = async (domain: string, more: Partial<ConsumerDeclaration> = {}): Promise<void> => {
      await services.deleteConsumer('STATE', state);
      await services.ensureConsumer(state, { stream: 'STATE', filters: [`osier.state.${domain}.>`], from: 'last-per-subject', ackPolicy: 'all', ackWaitMs: 2_000, ...more });
    };
    it('fetches everything in order over the import, in batches, and acknowledges all with one', async () => {
      const agent = await connect(keys.node('n1'));
      for (let i = 0; i < 500; i++) void services.publish(subject('agent', i), bytes(`${i}`));
      await until(async () => (await services.last('STATE', subject('agent', 499))) !== undefined);
      await make('agent');
      const seen: number[] = [];
      let gaps = 0;
      const consumption = await agent.consume({ stream: 'STATE', durable: state, batch: 64, onGap: () => gaps++, onBatch: async (batch) => {
        expect(batch.length).toBeLessThanOrEqual(64);
        for (const d of batch) seen.push(d.sequence);
        batch.at(-1)?.ack();
      } });
      await until(() => seen.length === 500);
      await until(async () => (await services.consumer('STATE', state))?.ackPending === 0);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(gaps).toBe(0);
      const sent = performance.now();
      await services.publish(subject('agent', 'late'), bytes('late'));
      await until(() => seen.length === 501);
      expect(performance.now() - sent).toBeLessThan(2_000);
      await consumption.stop();
    });

    it('given a consumer made anew while it waits, starts again with the first delivery of the new one', async () => {
      const agent = await connect(keys.node('n1'));
      await services.publish(subject('anew', 1), bytes('1'));
      await until(async () => (await services.last('STATE', subject('anew', 1))) !== undefined);
      await make('anew');
      const seen: string[] = [];
      let gaps = 0;
      const consumption = await agent.consume({ stream: 'STATE', durable: state, onGap: () => gaps++, onBatch: async (batch) => batch.forEach((d) => (seen.push(text(d)), d.ack())) });
      await until(() => seen.length === 1);
      await make('anew');
      await until(() => seen.length === 2);
      expect([seen, gaps]).toEqual([['1', '1'], 0]);
      await consumption.stop();
    });

    it('given a server restart, goes on fetching', async () => {
      const agent = await connect(keys.node('n1'));
      await make('restart');
      const seen: string[] = [];
      const consumption = await agent.consume({ stream: 'STATE', durable: state, onBatch: async (batch) => batch.forEach((d) => (seen.push(text(d)), d.ack())) });
      await services.publish(subject('restart', 1), bytes('1'));
      await until(() => seen.length === 1);
      await server.kill();
      await server.start();
      await until(() => services.publish(subject('restart', 2), bytes('2')).then(() => true, () => false));
      await until(() => seen.includes('2'));
      await consumption.stop();
    });

    it('given deliveries that another life of it took and lost, says that there is a gap before it hands over what follows', async () => {
      await make('gap');
      await services.publish(subject('gap', 1), bytes('1'));
      const thief = await connectPlain({ servers: server.url, authenticator: authenticatorOf(await keys.node('n1').then((login) => () => login)) });
      await until(async () => (await services.consumer('STATE', state))?.pending === 1);
      const taken: Msg[] = [];
      thief.subscribe('_INBOX.thief', { callback: (_error, message) => void taken.push(message) });
      thief.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${state}`, JSON.stringify({ batch: 1 }), { reply: '_INBOX.thief' });
      await until(() => taken.length === 1);
      expect(parseAckSubject(taken[0]?.reply ?? '')).toMatchObject({ stream: 'STATE', ordinal: 1, deliveries: 1 });
      await thief.close();
      await services.publish(subject('gap', 2), bytes('2'));
      const events: string[] = [];
      const agent = await connect(keys.node('n1'));
      const consumption = await agent.consume({ stream: 'STATE', durable: state, onGap: () => events.push('gap'), onBatch: async (batch: readonly Delivery[]) => void events.push(...batch.map(text)) });
      await until(() => events.includes('2'));
      expect(events.slice(0, 2)).toEqual(['gap', '2']);
      await consumption.stop();
    });

    it('given an agent that went away with a request open, does not lose to it what comes afterwards', async () => {
      await make('away', { ackWaitMs: 20_000 });
      const gone = await connectPlain({ servers: server.url, authenticator: authenticatorOf(await keys.node('n1').then((login) => () => login)) });
      gone.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${state}`, JSON.stringify({ batch: 10, expires: 25_000_000_000 }), { reply: '_INBOX.gone' });
      gone.subscribe('_INBOX.gone');
      await gone.flush();
      await gone.close();
      // The server needs a moment to notice; until then what it sends is lost on the way, and comes after the ackWait.
      await sleep(500);
      await services.publish(subject('away', 1), bytes('1'));
      const agent = await connect(keys.node('n1'));
      const seen: string[] = [];
      const consumption = await agent.consume({ stream: 'STATE', durable: state, onBatch: async (batch) => batch.forEach((d) => (seen.push(text(d)), d.ack())) });
      await until(() => seen.length === 1, 5_000);
      await consumption.stop();
    });

    it('may make no consumer of its own', async () => {
      const agent = await connect(keys.node('n1'));
      await expect(agent.ensureConsumer('mine', { stream: 'STATE' })).rejects.toBeInstanceOf(BusRefused);
      await expect(agent.ensureStreams()).rejects.toBeInstanceOf(BusRefused);
    });
  });
});
