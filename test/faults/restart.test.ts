// What is committed and not yet published when both the bus and the services die is published when they are back: once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { labDown } from '@osier/lab/down';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { natsUrl } from '@osier/lab/programs';
import { labUp } from '@osier/lab/up';
import { brokenHistories, compareState, rowsOf, unfinished } from './chaos/databases.ts';
import { quiet } from './chaos/quiet.ts';
import { enter, everything } from './chaos/raw.ts';
import { type Kept, startKeeping } from './chaos/store.ts';

const name = 'faultsr';
const services = ['tenant', 'ipam', 'topology', 'policy'];
let lab: Lab;
let kept: Kept;
let nats: NatsConnection;
let round = 0;

beforeAll(async () => {
  kept = await startKeeping();
  lab = await labUp({ name, nodes: 1, domains: ['acme'], project: 'shop', env: kept.env });
  nats = await enter(natsUrl(lab.record), lab.paths.creds('admin'), 'restart test');
  const scope = { domain: 'acme', project: 'shop', environment: '_' };
  await lab.client.apply('domain', { domain: '_', project: '_', environment: '_' }, 'acme', {});
  await lab.client.apply('project', { domain: 'acme', project: '_', environment: '_' }, 'shop', {});
  await lab.client.apply('environment', scope, 'staging', {});
}, 120_000);
afterAll(async () => {
  await nats?.close();
  await labDown(name);
  await kept?.remove();
}, 60_000);

const kill = (names: readonly string[]) => tellSupervisor(lab.paths, { do: 'hold', names, signal: 'SIGKILL' });
const revive = (names: readonly string[]) => tellSupervisor(lab.paths, { do: 'release', names });

/** Policies and environments, several changes of each; returns once all are stored. */
async function burst(count: number): Promise<string[]> {
  const turn = (round += 1);
  return Promise.all(Array.from({ length: count }, async (_, n) => {
    const [where, noun] = n % 4 === 0 ? ['_', 'environment'] : ['staging', 'policy'];
    const headers = natsHeaders();
    headers.set('ce-id', `r${turn}-${n}`);
    const spec = { description: `${turn} ${n}`, ...(noun === 'policy' ? { appliesTo: {} } : {}) };
    const answer = await nats.request(`osier.intent.acme.shop.${where}.${noun}.apply.operator`, JSON.stringify({ name: `x${n % 40}`, spec }), { timeout: 5_000, headers });
    if (typeof answer.json<{ seq?: number }>().seq !== 'number') throw new Error('not stored');
    return `osier.outcome.acme.shop.r${turn}-${n}`;
  }));
}

/** Everything is concluded once, published once, and the same in the databases and in STATE. */
async function settled(wished: readonly string[]): Promise<void> {
  const { open } = await quiet(lab, nats, 60_000);
  expect(open).toEqual([]);
  const outcomes = (await everything(nats, 'OUTCOMES')).map((message) => message.subject);
  expect(wished.filter((subject) => outcomes.filter((other) => other === subject).length !== 1)).toEqual([]);
  expect(new Set(outcomes).size).toBe(outcomes.length);
  const versions = (await everything(nats, 'CHANGES')).map((m) => `${m.subject} ${(JSON.parse(m.text) as { version?: number }).version}`).filter((line) => !line.endsWith(' undefined'));
  expect(versions.filter((line, index) => versions.indexOf(line) !== index)).toEqual([]);
  expect(compareState(rowsOf(lab), await everything(nats, 'STATE'))).toEqual([]);
  expect(brokenHistories(lab)).toEqual([]);
}

describe('when nats-server dies with work in the hands of the services', () => {
  it('is there again with all that it acknowledged, and everything goes on', async () => {
    const wished = await burst(400);
    await kill(['nats']);
    await sleep(1_000);
    await revive(['nats']);
    await settled(wished);
  }, 120_000);

  it('what is committed waits in the databases, also when the services die before the bus is back', async () => {
    let waiting = 0;
    const wished: string[] = [];
    for (let tries = 1; waiting === 0 && tries <= 8; tries++) {
      wished.push(...(await burst(400)));
      await kill(['nats']);
      for (const until = Date.now() + 2_000; waiting === 0 && Date.now() < until; await sleep(20)) waiting = unfinished(lab);
      await kill(services);
      waiting = unfinished(lab);
      if (waiting === 0) await revive(['nats', ...services]);
      if (waiting === 0) await quiet(lab, nats, 60_000);
    }
    console.log(`${waiting} rows were committed and not published when the bus and the services were dead`);
    expect(waiting).toBeGreaterThan(0);
    await revive(['nats', ...services]);
    await settled(wished);
  }, 180_000);
});
