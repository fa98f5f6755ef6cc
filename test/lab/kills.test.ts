// Traffic does not depend on the control plane: what is killed here are services, the bus and agents; what goes on is traffic.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { expected } from '@osier/lab/demo/shop';
import { readInventory } from '@osier/lab/inventory';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { everyPair, probe } from '@osier/lab/probes';
import { readState } from '@osier/lab/supervisor/spec';
import { identityOf } from '@osier/lab/system/processes';
import { labUp } from '@osier/lab/up';
import { askWorkload } from '@osier/lab/workload/ask';
import { at, deployShop, reaches, scope, tries, wish } from './shop.ts';

const name = `kl${process.pid.toString(36)}`;
const control = ['nats', 'tenant', 'ipam', 'topology', 'policy', 'api'];
let lab: Lab;

beforeAll(async () => {
  lab = await labUp({ name, nodes: 3, domains: ['acme'], project: 'shop' });
  await deployShop(lab);
}, 120_000);
afterAll(() => labDown(name), 60_000);

const kill = (names: readonly string[]) => tellSupervisor(lab.paths, { do: 'hold', names, signal: 'SIGKILL' });
const revive = (names: readonly string[]) => tellSupervisor(lab.paths, { do: 'release', names });
const target = (path: string, port: number) => ({ address: at(lab, path).address, port, protocol: 'TCP' });

/** Every pair of both environments, against what the application's author wrote. */
async function wrongPairs(): Promise<string[]> {
  const probes = await probe(lab.paths, everyPair(readInventory(lab.paths)));
  expect(probes).toHaveLength(8 * 8 - 8);
  return probes.filter((p) => p.reached !== expected(p.from, p.to)).map((p) => `${p.from} → ${p.to} ${p.reached ? 'reached' : 'not reached'}`);
}

/** Until it is so, or the time is over; the last error then. */
async function eventually(what: () => Promise<void>, seconds: number): Promise<void> {
  for (const until = Date.now() + seconds * 1000; ; await sleep(250)) {
    try {
      return await what();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

describe('when all services and NATS are killed', () => {
  it('established and new allowed connections work, denied stay denied; then everything catches up by itself', async () => {
    await askWorkload(lab.paths, 'staging/web', 'open', { id: 'long', target: target('staging/cart', 7070), timeoutMs: 2_000 });
    await kill(control);
    for (const process of control) expect(identityOf(readState(lab.paths, process)?.pid ?? 0)).toBeUndefined();
    await askWorkload(lab.paths, 'staging/web', 'say', { id: 'long', timeoutMs: 2_000 });
    expect(await wrongPairs()).toEqual([]);
    await askWorkload(lab.paths, 'staging/web', 'say', { id: 'long', timeoutMs: 2_000 });

    await revive(control);
    await eventually(async () => void (await lab.client.nodes()), 30);
    const policy = { appliesTo: { matchTags: { app: 'orders' } }, priority: 10, ingress: [{ name: 'from-cart', from: [{ endpoints: { matchTags: { app: 'cart' } } }], ports: [{ protocol: 'TCP', port: 7080 }] }] };
    expect(await reaches(lab, 'production/cart', 'production/orders', 7080)).toBe(false);
    const { changes } = await lab.client.apply('policy', scope('production'), 'late', policy);
    await waitEnforced(lab, changes);
    expect(await reaches(lab, 'production/cart', 'production/orders', 7080)).toBe(true);
    await waitEnforced(lab, (await lab.client.delete('policy', scope('production'), 'late')).changes);
    expect(await wrongPairs()).toEqual([]);
    await askWorkload(lab.paths, 'staging/web', 'say', { id: 'long', timeoutMs: 2_000 });
  }, 120_000);
});

describe('when an agent is killed', () => {
  it('a transfer of 100 Mbit/s across its node does not stall, and no denied packet passes meanwhile', async () => {
    const [source, receiver] = [at(lab, 'staging/web'), at(lab, 'staging/orders')];
    expect(source.node).not.toBe(receiver.node);
    const agents = [`agent-${source.node}`, `agent-${receiver.node}`];
    const transfer = askWorkload(lab.paths, 'staging/web', 'transfer', { target: target('staging/orders', 7080), megabitsPerSecond: 100, seconds: 12 });
    const forbidden = [wish(lab, 'staging/web', 'staging/db', 5432), wish(lab, 'staging/db', 'staging/web', 8080), wish(lab, 'staging/orders', 'staging/cart', 7070)];
    let [over, attempts] = [false, 0];
    const knocking = (async () => {
      const answers: string[] = [];
      while (!over) {
        for (const answer of await tries(lab, forbidden)) {
          attempts += 1;
          if (answer.result !== 'timeout') answers.push(JSON.stringify(answer));
        }
      }
      return answers;
    })();
    await sleep(1_500);
    for (const agent of agents) {
      const before = readState(lab.paths, agent)?.pid;
      await kill([agent]);
      await sleep(1_000);
      await revive([agent]);
      expect(readState(lab.paths, agent)?.pid).not.toBe(before);
      await sleep(2_000);
    }
    const result = await transfer;
    over = true;
    expect(await knocking).toEqual([]);
    console.log(`transfer across two restarts of agents: ${(result.receivedBytes * 8e-6 / result.seconds).toFixed(0)} Mbit/s, longest gap ${result.longestGapMs} ms; ${attempts} denied attempts, none passed`);
    expect(result.cutShort).toBeUndefined();
    expect(result.receivedBytes).toBe(result.sentBytes);
    expect(result.receivedBytes).toBeGreaterThan(0.9 * 12 * 12_500_000);
    // A lost segment costs at least one retransmission time-out of 200 ms (RFC 6298 as Linux has it); the rest is a busy machine.
    expect(result.longestGapMs).toBeLessThan(1_000);
    expect(attempts).toBeGreaterThanOrEqual(9);
    await eventually(async () => expect((await lab.client.nodes()).map((node) => node.state)).toEqual(['ready', 'ready', 'ready']), 30);
    expect(await wrongPairs()).toEqual([]);
  }, 120_000);

  it('a policy that came while it was away is in force when it is back, and the wait for it names the node', async () => {
    const agent = `agent-${at(lab, 'staging/orders').node}`;
    await kill([agent]);
    const { changes } = await lab.client.apply('policy', scope('staging'), 'late', { appliesTo: { matchTags: { app: 'orders' } }, ingress: [{ name: 'from-cart', from: [{ endpoints: { matchTags: { app: 'cart' } } }] }] });
    const waiting = await lab.client.enforcement(changes, 3_000);
    expect(waiting.state).toBe('waiting');
    const late = waiting.nodes.filter((node) => !node.enforced);
    expect(late.map((node) => node.node)).toEqual([at(lab, 'staging/orders').node]);
    expect(late[0]?.why).toBeTruthy();
    expect(await reaches(lab, 'staging/cart', 'staging/orders', 7080)).toBe(false);
    await revive([agent]);
    await waitEnforced(lab, changes);
    expect(await reaches(lab, 'staging/cart', 'staging/orders', 7080)).toBe(true);
    await waitEnforced(lab, (await lab.client.delete('policy', scope('staging'), 'late')).changes);
  }, 90_000);
});
