// A lab whose bus is three nats-servers: services, agents and tenants go on, each over whichever server is left, while one after another is killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { connect as connectPlain } from '@nats-io/transport-node';
import { connectBus } from '@osier/bus/jetstream';
import { authenticatorOf, readLogin } from '@osier/bus/login';
import { streams } from '@osier/contracts/streams';
import { waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { natsUrl } from '@osier/lab/programs';
import { natsNames } from '@osier/lab/record';
import { labUp } from '@osier/lab/up';
import { deployShop, reaches, scope } from '../lab/shop.ts';
import { eventually } from './cluster/servers.ts';

const name = 'faultsc';
let lab: Lab;
let bus: Bus;
/** A change goes all the way: wished, decided, told, enforced, and taken back. Returns the milliseconds of the slower half. */
async function change(): Promise<number> {
  const policy = { appliesTo: { matchTags: { app: 'orders' } }, priority: 10, ingress: [{ name: 'from-cart', from: [{ endpoints: { matchTags: { app: 'cart' } } }], ports: [{ protocol: 'TCP', port: 7080 }] }] };
  const times: number[] = [];
  for (const [wish, reached] of [[() => lab.client.apply('policy', scope('staging'), 'late', policy), true], [() => lab.client.delete('policy', scope('staging'), 'late'), false]] as const) {
    const started = Date.now();
    // The HTTP door does not know either whether it was stored while nobody leads: said again, it is done once.
    const { changes } = await eventually(wish, 60_000);
    await waitEnforced(lab, changes);
    times.push(Date.now() - started);
    expect(await reaches(lab, 'staging/cart', 'staging/orders', 7080)).toBe(reached);
  }
  return Math.max(...times);
}

describe('a lab with three nats-servers', () => {
  beforeAll(async () => {
    lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop', natsServers: 3 });
    await deployShop(lab);
    bus = await connectBus({ url: natsUrl(lab.record), ...readLogin(lab.paths.creds('admin')), name: 'cluster lab' });
  }, 180_000);
  afterAll(async () => {
    await bus?.close();
    await labDown(name);
  }, 60_000);

  it('keeps every stream three times, and enforces a change', async () => {
    for (const stream of Object.keys(streams)) expect([stream, (await bus.stream(stream))?.replicas]).toEqual([stream, 3]);
    expect(await reaches(lab, 'staging/web', 'staging/cart', 7070)).toBe(true);
    console.log(`a change with all servers: ${await change()} ms`);
  }, 60_000);

  it.each([...natsNames(3)])('goes on without %s: changes are enforced, traffic and verdicts stay what they are, no stream is made anew', async (server) => {
    const before = (await bus.stream('CHANGES'))?.incarnation;
    await tellSupervisor(lab.paths, { do: 'hold', names: [server], signal: 'SIGKILL' });
    console.log(`a change just after ${server} was killed: ${await change()} ms`);
    expect(await reaches(lab, 'staging/web', 'staging/cart', 7070)).toBe(true);
    expect(await reaches(lab, 'staging/db', 'staging/web', 8080)).toBe(false);
    await tellSupervisor(lab.paths, { do: 'release', names: [server] });
    await eventually(async () => ((await lab.client.nodes()).every(({ state }) => state === 'ready') ? true : undefined), 60_000);
    expect((await bus.stream('CHANGES'))?.incarnation).toBe(before);
    await sleep(3_000);
  }, 150_000);

  it('a service that is started gives streams that one server has to the others', async () => {
    const plain = await connectPlain({ servers: natsUrl(lab.record), authenticator: authenticatorOf(() => readLogin(lab.paths.creds('admin'))) });
    for (const stream of ['CHANGES', 'STATE', 'AUDIT']) {
      const { config } = (await plain.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ config: object }>();
      await plain.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify({ ...config, num_replicas: 1 }));
      expect((await bus.stream(stream))?.replicas).toBe(1);
    }
    await plain.close();
    await tellSupervisor(lab.paths, { do: 'hold', names: ['policy'], signal: 'SIGKILL' });
    await tellSupervisor(lab.paths, { do: 'release', names: ['policy'] });
    for (const stream of ['CHANGES', 'STATE', 'AUDIT']) await eventually(async () => ((await bus.stream(stream))?.replicas === 3 ? true : undefined), 60_000);
    console.log(`a change afterwards: ${await change()} ms`);
  }, 150_000);
});
