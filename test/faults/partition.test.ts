// One server of three is killed, or cut off while its clients still reach it: what was acknowledged is there, and what that server says alone is not taken for the truth.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Bus, BusUnavailable } from '@osier/bus/bus';
import { type NatsCluster, startNatsCluster } from '@osier/bus/cluster';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { ask, enterAt, eventually, leaderOf } from './cluster/servers.ts';

const keys = await newInstallation();
const login = await keys.service('admin');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const subject = (id: string | number): string => `osier.state.acme.shop.staging.network._.${id}`;
const dir = mkdtempSync(join(tmpdir(), 'osier-partition-'));
const open: { close(): Promise<void> }[] = [];
let cluster: NatsCluster;
const enter = async (index: number): Promise<NatsConnection> => {
  const nats = await enterAt(cluster, index, login);
  open.push(nats);
  return nats;
};
const connect = async (url = cluster.url, onReason: (reason: string) => void = () => undefined): Promise<Bus> => {
  const made = await connectBus({ url, ...login, name: 'partition test', replicas: 3, onStatus: ({ reason }) => onReason(reason) });
  open.push(made);
  return made;
};
/** Knows all servers, and is connected to this one. */
async function connectAt(index: number, reasons: string[]): Promise<Bus> {
  const wanted = `127.0.0.1:${cluster.servers[index]?.port}`;
  return eventually(async () => {
    reasons.length = 0;
    const bus = await connect(cluster.url, (reason) => reasons.push(reason));
    return reasons[0]?.includes(wanted) ? bus : undefined;
  });
}

describe('streams on three servers', () => {
  beforeAll(async () => {
    cluster = await startNatsCluster({ dir, accounts: { trust: keys.trust } });
    const bus = await connect();
    await eventually(async () => (await bus.ensureStreams(), true));
  }, 60_000);
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()));
    await cluster?.stop();
    rmSync(dir, { recursive: true });
  }, 60_000);

  it('go on when the server that leads is killed, with all that was acknowledged', async () => {
    const acknowledged: string[] = [];
    const leader = await leaderOf(await enter(0), cluster, 'CHANGES');
    const writer = await connect(cluster.servers[(leader + 1) % 3]?.url);
    let going = true;
    const writing = (async () => {
      for (let n = 0; going; n++) {
        await writer.publish(subject(`k${n}`), bytes(String(n)), { timeoutMs: 1_000 }).then(() => acknowledged.push(`k${n}`), () => undefined);
      }
    })();
    await sleep(500);
    await cluster.servers[leader]?.kill();
    const before = acknowledged.length;
    await eventually(async () => (acknowledged.length > before + 50 ? true : undefined));
    going = false;
    await writing;
    const held = new Set<string>();
    await eventually(async () => {
      held.clear();
      for await (const { subject: name } of writer.read({ stream: 'CHANGES' })) held.add(name);
      return true;
    });
    expect(acknowledged.filter((id) => !held.has(subject(id)))).toEqual([]);
    await cluster.servers[leader]?.start();
  }, 60_000);

  it('are not answered for by a server that was cut off: what it still says is known to be unconfirmed, and whoever is connected there goes to another', async () => {
    const leader = await leaderOf(await enter(0), cluster, 'CHANGES');
    const [there, elsewhere] = [await enter(leader), await enter((leader + 1) % 3)];
    const states: string[] = [];
    const stuck = await connectAt(leader, states);
    const held = (await stuck.stream('CHANGES', { confirmed: true }))?.lastSequence ?? 0;
    cluster.cutOff(leader);
    await expect(stuck.publish(subject('lost'), bytes('nobody else has it'), { timeoutMs: 1_000 })).rejects.toBeInstanceOf(BusUnavailable);
    await expect(there.request(subject('lost-too'), '{}', { timeout: 1_000 })).rejects.toThrow();
    const headers = natsHeaders();
    headers.set('Nats-Expected-Last-Subject-Sequence', '0');
    await eventually(async () => ((await elsewhere.request(subject('won'), '{}', { timeout: 1_000, headers })).json<{ seq?: number }>().seq !== undefined ? true : undefined));
    // The one that was cut off does not know: it still answers, with what it had.
    const stale = await ask(there, 'STREAM.INFO.CHANGES').catch(() => undefined);
    expect(stale?.state?.last_seq ?? held).toBe(held);
    await expect(stuck.stream('CHANGES', { confirmed: true })).rejects.toBeInstanceOf(BusUnavailable);
    // Some ten seconds until it gives up leading, ten more until it is left.
    const seen = await eventually(async () => {
      await stuck.publish(subject('found-the-others'), bytes('{}'), { timeoutMs: 1_000 });
      return stuck.stream('CHANGES', { confirmed: true });
    }, 60_000);
    expect(seen?.lastSequence).toBeGreaterThan(held);
    expect(states.join('\n')).toMatch(/has not answered for JetStream for 10 s: trying another server/);
    cluster.mend(leader);
    await eventually(async () => ((await ask(there, 'STREAM.INFO.CHANGES')).state.last_seq > held ? true : undefined));
    // It coming back may begin another election.
    for (const lost of ['lost', 'lost-too']) expect(await eventually(async () => ({ [lost]: await stuck.last('CHANGES', subject(lost)) }))).toEqual({ [lost]: undefined });
    await eventually(() => stuck.last('STATE', subject('won')));
  }, 120_000);
});
