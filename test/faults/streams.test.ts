// Streams can lie: come back empty, shorter, older, or not at all. What is broken here is the bus' memory; the databases are the truth.
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { connectBus } from '@osier/bus/jetstream';
import { readLogin } from '@osier/bus/login';
import { documentSubject } from '@osier/contracts/subjects';
import { waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { probe } from '@osier/lab/probes';
import { natsUrl } from '@osier/lab/programs';
import { labUp } from '@osier/lab/up';
import { deployShop, scope, wish } from '../lab/shop.ts';

const name = 'liar';
const services = ['tenant', 'ipam', 'topology', 'policy'] as const;
/** What is tried all the time, over and over, each time on a new connection. */
const pairs: readonly (readonly [from: string, to: string, port: number, expected: 'allowed' | 'denied'])[] = [
  ['staging/web', 'staging/cart', 7070, 'allowed'], ['production/cart', 'production/db', 5432, 'allowed'],
  ['staging/db', 'staging/web', 8080, 'denied'], ['production/web', 'production/db', 5432, 'denied'],
  ['staging/web', 'production/cart', 7070, 'denied'], ['production/cart', 'staging/db', 5432, 'denied'],
];
let lab: Lab;
let bus: Bus;
const figures: string[] = [];
const over = new AbortController();
let knocking: Promise<void> | undefined;
let watching: Promise<void> | undefined;
let tries = 0;
const wrong: string[] = [];
/** Of each node: the highest revision that it ever confirmed, and whatever it confirmed after a higher one. */
const confirmed = new Map<string, number>();
const backwards: string[] = [];

async function knock(): Promise<void> {
  const wishes = pairs.map(([from, to, port]) => wish(lab, from, to, port));
  while (!over.signal.aborted) {
    const probes = await probe(lab.paths, wishes);
    tries += 1;
    probes.forEach((p, index) => {
      const expected = pairs[index]?.[3];
      if (p.reached !== (expected === 'allowed')) wrong.push(`${new Date().toISOString()} ${p.from} → ${p.to} (${expected}) ${p.reached ? 'reached' : 'not reached'}`);
    });
    await sleep(200, undefined, { signal: over.signal }).catch(() => undefined);
  }
}
async function watch(): Promise<void> {
  while (!over.signal.aborted) {
    for (const node of await lab.client.nodes().catch(() => [])) {
      const before = confirmed.get(node.name) ?? 0;
      // A coordinator that has just started has read nothing, and says so with 0.
      if (node.revision > 0 && node.revision < before) backwards.push(`${node.name}: ${node.revision} after ${before}`);
      confirmed.set(node.name, Math.max(before, node.revision));
    }
    await sleep(250, undefined, { signal: over.signal }).catch(() => undefined);
  }
}

const hold = (names: readonly string[], how: 'SIGKILL' | undefined = 'SIGKILL') => tellSupervisor(lab.paths, { do: 'hold', names, ...(how ? { signal: how } : {}) });
const release = (names: readonly string[]) => tellSupervisor(lab.paths, { do: 'release', names });

/** Log lines of a program since a moment. */
function said(program: string, since: number): { time: number; msg: string; level: number }[] {
  return readFileSync(lab.paths.log(program), 'utf8').split('\n').flatMap((line) => {
    try {
      const parsed = JSON.parse(line) as { time: number | string; msg?: string; level: number };
      const time = typeof parsed.time === 'number' ? parsed.time : Date.parse(parsed.time);
      return time >= since && parsed.msg !== undefined ? [{ time, msg: parsed.msg, level: parsed.level }] : [];
    } catch {
      return [];
    }
  });
}
async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  let last: unknown;
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not within ${seconds} s: ${what}`, { cause: last });
}
const noticed = (since: number): Promise<number> => until('a service notices', 30, () => {
  const lines = services.flatMap((service) => said(service, since)).filter((line) => line.msg.startsWith('The streams are not what they were'));
  return lines.length > 0 ? Math.min(...lines.map((line) => line.time)) - since : undefined;
});

/** What the databases say by way of the HTTP door, against STATE: what lacks or differs. */
async function differences(): Promise<string[]> {
  const stated = new Map<string, { sequence: number; version: number }>();
  for await (const m of bus.read({ stream: 'STATE' })) stated.set(m.subject, { sequence: m.sequence, version: (JSON.parse(new TextDecoder().decode(m.data)) as { version: number }).version });
  const found: string[] = [];
  for (const environment of ['staging', 'production']) {
    for (const kind of ['network', 'policy', 'endpoint', 'lease'] as const) {
      for (const { document, revision } of await lab.client.list(kind, scope(environment))) {
        const there = stated.get(documentSubject(document));
        if (there?.sequence !== revision || there.version !== document.version) found.push(`${kind} ${document.name}: database ${document.version}@${revision}, STATE ${there?.version}@${there?.sequence}`);
      }
    }
  }
  return found;
}
/** Every node has confirmed, in the stream that is there now, everything that concerns it, and databases and STATE agree. Milliseconds since. */
async function mended(since: number, within = 90): Promise<number> {
  await until('every node has confirmed the rebuilt streams', within, async () => {
    const incarnation = (await bus.stream('CHANGES'))?.incarnation;
    const nodes = await lab.client.nodes();
    return nodes.length === 2 && nodes.every((node) => node.state === 'ready' && node.receipt?.incarnation === incarnation) && (await differences()).length === 0 ? true : undefined;
  });
  return Date.now() - since;
}
/** A change goes all the way: wished, decided, told, enforced, and taken back. */
async function works(): Promise<void> {
  const policy = { appliesTo: { matchTags: { app: 'orders' } }, priority: 10, ingress: [{ name: 'from-cart', from: [{ endpoints: { matchTags: { app: 'cart' } } }], ports: [{ protocol: 'TCP', port: 7080 }] }] };
  const reached = async () => (await probe(lab.paths, [wish(lab, 'staging/cart', 'staging/orders', 7080)]))[0]?.reached;
  expect(await reached()).toBe(false);
  await waitEnforced(lab, (await lab.client.apply('policy', scope('staging'), 'late', policy)).changes);
  expect(await reached()).toBe(true);
  await waitEnforced(lab, (await lab.client.delete('policy', scope('staging'), 'late')).changes);
  expect(await reached()).toBe(false);
}
const figure = (what: string, noticedMs: number, mendedMs: number): void => {
  figures.push(`${what}: noticed after ${(noticedMs / 1000).toFixed(1)} s, mended after ${(mendedMs / 1000).toFixed(1)} s`);
  console.log(figures.at(-1));
};

beforeAll(async () => {
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
  await deployShop(lab);
  bus = await connectBus({ url: natsUrl(lab.record), ...readLogin(lab.paths.creds('admin')), name: 'liar' });
  knocking = knock();
  watching = watch();
}, 180_000);
afterEach(() => {
  expect(wrong).toEqual([]);
  expect(backwards).toEqual([]);
});
afterAll(async () => {
  over.abort();
  await knocking;
  await watching;
  console.log([...figures, `${tries} rounds of ${pairs.length} pairs, ${wrong.length} wrong; ${[...confirmed].map(([node, revision]) => `${node} at ${revision}`).join(', ')}`].join('\n'));
  await bus?.close();
  await labDown(name);
}, 60_000);

describe('a stream that is deleted while everything runs', () => {
  it.each([['STATE', ['STATE']], ['CHANGES', ['CHANGES']], ['both', ['CHANGES', 'STATE']]])('%s is noticed, reported and rebuilt', async (what, names) => {
    const before = await bus.stream('CHANGES');
    const since = Date.now();
    for (const stream of names) await bus.deleteStream(stream);
    const noticedMs = await noticed(since);
    figure(`${what} deleted`, noticedMs, await mended(since));
    const after = await bus.stream('CHANGES');
    if (what === 'STATE') expect(after?.incarnation).toBe(before?.incarnation);
    else expect(after?.firstSequence).toBeGreaterThan(before?.lastSequence ?? Infinity);
    await works();
  }, 180_000);
});

describe('a stream that is gone when the services start', () => {
  it('is rebuilt, and an agent that starts meanwhile is not told half of the world', async () => {
    await hold(services);
    await bus.deleteStream('STATE');
    await bus.deleteStream('CHANGES');
    const agents = lab.record.nodes.map((node) => `agent-${node.name}`);
    await hold(agents);
    const since = Date.now();
    // All that says who may not talk is policy's to publish: without it, half a world would allow everything in an environment.
    await release(['tenant', 'ipam', 'topology', ...agents]);
    await until('topology waits for policy', 60, () => said('topology', since).some((line) => line.msg.includes('no node is told anything')) || undefined);
    const noticedMs = await noticed(since);
    await sleep(8_000);
    expect(wrong).toEqual([]);
    const nodes = await lab.client.nodes();
    expect(nodes.map((node) => node.state)).not.toContain('ready');
    await release(['policy']);
    figure('CHANGES and STATE gone at the start, agents started anew, policy 8 s late', noticedMs, await mended(since));
    await works();
  }, 240_000);
});

describe('a bus that was put back to an older copy', () => {
  it('is noticed and rebuilt above all revisions that were ever given', async () => {
    await hold(['nats']);
    const store = lab.paths.data('nats');
    cpSync(store, `${store}.old`, { recursive: true });
    await release(['nats']);
    await until('the bus is back', 30, async () => ((await bus.stream('CHANGES')) === undefined ? undefined : true));
    await mended(Date.now());
    await works();
    const kept = await lab.client.apply('policy', scope('staging'), 'kept', { appliesTo: { matchTags: { app: 'db' } }, ingress: [] });
    await waitEnforced(lab, kept.changes);
    const before = await bus.stream('CHANGES');

    await hold(['nats']);
    rmSync(store, { recursive: true });
    cpSync(`${store}.old`, store, { recursive: true });
    const since = Date.now();
    await release(['nats']);
    const noticedMs = await noticed(since);
    figure('everything on the bus put back to an older copy', noticedMs, await mended(since));
    expect((await bus.stream('CHANGES'))?.firstSequence).toBeGreaterThan(before?.lastSequence ?? Infinity);
    expect((await lab.client.list('policy', scope('staging'))).map(({ document }) => document.name)).toContain('kept');
    await waitEnforced(lab, (await lab.client.delete('policy', scope('staging'), 'kept')).changes);
    await works();
    rmSync(`${store}.old`, { recursive: true });
  }, 240_000);
});

describe('a database that was put back to an older copy', () => {
  it('is refused by its service, which names the fix; the others go on', async () => {
    await hold(['policy']);
    const data = lab.paths.data('policy');
    cpSync(data, `${data}.old`, { recursive: true });
    await release(['policy']);
    await works();
    await hold(['policy']);
    cpSync(data, `${data}.new`, { recursive: true });
    rmSync(data, { recursive: true });
    cpSync(`${data}.old`, data, { recursive: true });
    const since = Date.now();
    const seen = readFileSync(lab.paths.log('policy'), 'utf8').length;
    await release(['policy']);
    const text = await until('policy refuses to start', 60, () => /osier policy cannot start: .*older than the stream STATE.*/.exec(readFileSync(lab.paths.log('policy'), 'utf8').slice(seen))?.[0]);
    const refusedMs = Date.now() - since;
    expect(text).toContain('put the newest copy of its database back');
    await until('the supervisor has seen it end', 20, async () => ((await tellSupervisor(lab.paths, { do: 'status' })).find((program) => program.name === 'policy')?.restarts ?? 0) > 0 || undefined);
    const network = await lab.client.apply('network', scope('staging'), 'meanwhile', { subnets: ['10.77.0.0/24'] });
    expect(network.result).toBe('accepted');
    await lab.client.delete('network', scope('staging'), 'meanwhile');

    await hold(['policy']);
    rmSync(data, { recursive: true });
    cpSync(`${data}.new`, data, { recursive: true });
    await release(['policy']);
    figure('database of policy put back to an older copy: refused', refusedMs, await mended(since));
    await works();
    for (const copy of ['.old', '.new']) rmSync(`${data}${copy}`, { recursive: true });
  }, 240_000);
});

describe('a bus that has lost everything', () => {
  it('is filled again from the databases: INTENTS, OUTCOMES and RECEIPTS begin above what they had', async () => {
    const known = await Promise.all(['INTENTS', 'OUTCOMES', 'RECEIPTS'].map(async (stream) => [stream, (await bus.stream(stream))?.lastSequence ?? 0] as const));
    // What the services remember of these is at most five seconds old.
    await sleep(6_000);
    await hold(['nats']);
    rmSync(lab.paths.data('nats'), { recursive: true });
    const since = Date.now();
    await release(['nats']);
    const noticedMs = await noticed(since);
    figure('the store of the bus wiped', noticedMs, await mended(since));
    await works();
    for (const [stream, last] of known) expect((await bus.stream(stream))?.lastSequence).toBeGreaterThan(last);
    const outcomes = new Map<string, number>();
    for await (const message of bus.read({ stream: 'OUTCOMES' })) outcomes.set(message.subject, (outcomes.get(message.subject) ?? 0) + 1);
    expect([...outcomes.values()].filter((count) => count !== 1)).toEqual([]);
  }, 240_000);
});
