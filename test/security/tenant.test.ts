import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { serverLimits } from '@osier/bus/grants';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytes, domainUser, installation, serviceUser, type Installation, intent, them, us, type World } from './world.ts';

jest.setTimeout(30_000);
async function until(what: () => boolean, ms = 5_000): Promise<void> {
  for (const end = Date.now() + ms; !what(); await sleep(10)) if (Date.now() > end) throw new Error(`not in ${ms} ms: ${what.toString()}`);
}

describe('a tenant with a NATS client of its own', () => {
  let real: Installation;
  let w: World;
  beforeAll(async () => {
    real = await installation('generated');
    w = await real.enter();
  });
  afterAll(async () => {
    await w.leave();
    await real.close();
  });

  it('publishes an intent, is told that it is stored, and reads its outcome', async () => {
    const outcomes: string[] = [];
    w.tenant.subscribe(`osier.outcome.${us.domain}.>`, { callback: (_error, message) => void outcomes.push(`${message.subject} ${message.string()}`) });
    await w.tenant.flush();
    const h = headers();
    h.set('ce-id', 'wish-1');
    const ack = await jetstream(w.tenant).publish(intent(us.domain, us.credential), JSON.stringify({ name: 'main', spec: { subnets: ['10.0.0.0/24'] } }), { headers: h });
    expect(ack).toMatchObject({ stream: 'INTENTS', seq: expect.any(Number), duplicate: false });
    expect(await w.services.last('INTENTS', intent(us.domain, us.credential))).toMatchObject({ sequence: ack.seq, headers: { 'ce-id': 'wish-1' } });

    await w.services.publish(`osier.outcome.${us.domain}.shop.wish-1`, bytes('{"result":"accepted"}'));
    await until(() => outcomes.length > 0);
    expect(outcomes).toEqual([`osier.outcome.${us.domain}.shop.wish-1 {"result":"accepted"}`]);
  });

  it('reads the flows of its domain that nodes report, under the subject of the contract', async () => {
    const flows: string[] = [];
    w.tenant.subscribe(`osier.flow.${us.domain}.>`, { callback: (_error, message) => void flows.push(`${message.subject} ${message.string()}`) });
    await w.tenant.flush();
    await jetstream(w.node).publish(`osier.flow.${them.domain}.shop.${us.node}`, 'theirs');
    await jetstream(w.node).publish(`osier.flow.${us.domain}.shop.${us.node}`, 'ours');
    await until(() => flows.length > 0);
    expect(flows).toEqual([`osier.flow.${us.domain}.shop.${us.node} ours`]);
  });

  it('gets no acknowledgement for a kind of intent that there is not, nor for one that is not for tenants', async () => {
    const publish = (subject: string): Promise<unknown> => jetstream(w.tenant).publish(subject, '{}', { timeout: 1_000 });
    await expect(publish(intent(us.domain, us.credential, 'gnome'))).rejects.toThrow();
    await expect(publish(intent(us.domain, us.credential, 'network', 'explode'))).rejects.toThrow();
    await expect(publish(intent(us.domain, us.credential, 'lease', 'reserve'))).rejects.toThrow();
    await expect(publish(intent(us.domain, us.credential, 'node'))).rejects.toThrow();
    expect(await w.services.last('INTENTS', `osier.intent.${us.domain}.*.*.gnome.>`)).toBeUndefined();
    expect(await w.services.last('INTENTS', `osier.intent.${us.domain}.*.*.lease.>`)).toBeUndefined();
  });

  it('may open no more connections than its limit, and does not keep others out thereby', async () => {
    const user = domainUser(us.domain, us.colleague);
    const connections: NatsConnection[] = [];
    for (let i = 0; i < serverLimits.connectionsPerCredential; i++) connections.push(await w.connect(user));
    await expect(w.connect(user)).rejects.toThrow();
    await expect(w.connect(domainUser(them.domain, them.credential))).resolves.toBeDefined();
    await Promise.all(connections.map((connection) => connection.close()));
  });

  describe("given that somebody has guessed the message id of another tenant's intent", () => {
    const guessed = 'deploy-1';
    const rivals = async (w: World): Promise<boolean> => {
      const options = { headers: headers() };
      options.headers.set('Nats-Msg-Id', guessed);
      await jetstream(w.tenant).publish(intent(us.domain, us.credential), '{}', options);
      await sleep(300);
      const victim = await w.connect(domainUser(them.domain, them.credential));
      await jetstream(victim).publish(intent(them.domain, them.credential), '{}', options);
      return (await w.services.last('INTENTS', intent(them.domain, them.credential))) !== undefined;
    };
    it("still stores the other's intent", async () => {
      expect(await rivals(w)).toBe(true);
    });
    it("could be red: with the server's own window of two minutes it would not", async () => {
      const weak = await installation('generated');
      const inside = await weak.enter();
      const service = await inside.connect(serviceUser);
      const { config } = (await service.request('$JS.API.STREAM.INFO.INTENTS')).json<{ config: object }>();
      await service.request('$JS.API.STREAM.UPDATE.INTENTS', JSON.stringify({ ...config, duplicate_window: 120_000_000_000 }));
      expect(await rivals(inside)).toBe(false);
      await inside.leave();
      await weak.close();
    });
  });
});
