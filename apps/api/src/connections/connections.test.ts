import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeBearer } from '@osier/bus/bearer';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker, type MemoryBroker } from '@osier/bus/memory';
import { limits } from '@osier/contracts/limits';
import { connectionsSubject, askConnectionsSubject, querySubject } from '@osier/contracts/subjects';
import { type Connection, type Connections, type ConnectionsQuestion, connectionsSchema } from '@osier/contracts/telemetry';
import { silent } from '@osier/telemetry/log';
import { credential, key, publish } from '../../test/credential.ts';
import { type RunningApi, startApi } from '../app.ts';
import { authenticator } from '../tokens.ts';
import { askConnections, type ConnectionQuestions } from './questions.ts';

const root = 'a-token-of-enough-length';
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = (data: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(data));
const [ofAcme, ofBlog, ofNode] = [key(), key(), key()];
const endpoint = (path: string, node: string) => {
  const [domain = '', project = '', environment = '', name = ''] = path.split('/');
  return { document: { kind: 'endpoint', domain, project, environment, name, spec: { node } }, revision: 1 };
};
const held = [endpoint('acme/shop/staging/web', 'node-1'), endpoint('acme/shop/staging/db', 'node-2'), endpoint('acme/shop/production/web', 'node-2'), endpoint('acme/blog/staging/web', 'node-1'), endpoint('rival/vault/hidden/mole', 'node-3')];
const connection = (from: string, to: string, port: number): Connection => {
  const [domain = '', project = '', environment = ''] = from.split('/');
  const side = (path: string, at: number): Connection['source'] => ({ address: '10.0.0.1', port: at, endpoint: path });
  return { domain, project, environment, network: 'main', protocol: 'TCP', state: 'established', source: side(from, port), destination: side(to, 80), since: '2026-01-01T00:00:00Z', lastPacketAt: '2026-01-01T00:00:00Z', packets: { forward: 1, reply: 1 }, bytes: { forward: 60, reply: 60 }, decisions: [], revision: 1 };
};

let broker: MemoryBroker;
let bus: Bus;
let api: RunningApi;
let questions: [string, ConnectionsQuestion][];
/** A node that says all of this to whoever asks. */
const node = (name: string, connections: Connection[], over: object = {}) =>
  bus.listen(askConnectionsSubject(name), ({ data }) => {
    const question = decode(data) as ConnectionsQuestion;
    questions.push([name, question]);
    void bus.tell(connectionsSubject(name), encode({ id: question.id, node: name, part: 0, last: true, connections, notTold: 0, ...over }));
  });
const asked = (): string[] => questions.map(([name]) => name).sort();

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  questions = [];
  await bus.ensureStreams();
  for (const one of [credential('ci', [ofAcme], { id: 1 }), credential('blog', [ofBlog], { id: 2, project: 'blog' }), credential('node-1', [ofNode], { id: 3, domain: '_', node: 'node-1' })]) await publish(bus, one);
  await bus.respond(querySubject('topology', '*', '*', 'list'), 'topology', async ({ subject }) => {
    const [, , , domain, project] = subject.split('.');
    return { data: encode({ ok: true, data: { items: held.filter(({ document: d }) => (domain === '_' || d.domain === domain) && (project === '_' || d.project === project)) } }) };
  });
  api = await startApi({ bus: broker.connect('api'), authenticate: authenticator([{ token: root, credential: 'platform-anna' }]), log: silent, host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await api.stop();
  await bus.close();
});
const bearer = (path: string, { seed }: { seed: string }): string => makeBearer({ path, seed, issuedAt: Date.now(), expiresAt: Date.now() + 60_000 });
async function ask(query: string, token = root): Promise<{ status: number; body: Connections & { problem?: { code: string } } }> {
  for (;;) {
    const response = await fetch(`${api.url}/v1/connections${query}`, { headers: { authorization: `Bearer ${token}` } });
    // Its document may not have come to the door yet.
    if (response.status !== 401) return { status: response.status, body: (await response.json()) as Connections };
    await sleep(10);
  }
}
const web = connection('acme/shop/staging/web', 'acme/shop/staging/db', 1);
const mole = connection('rival/vault/hidden/mole', 'rival/vault/hidden/mole', 2);
const post = connection('acme/blog/staging/web', 'acme/blog/staging/web', 3);

describe('the connections that there are', () => {
  it('are asked of the nodes that hold something of the scope, and of no other', async () => {
    await node('node-1', [web, post]);
    await node('node-2', [web]);
    await node('node-3', [mole]);
    const { status, body } = await ask('?domain=acme&project=shop&environment=staging');
    expect([status, connectionsSchema.parse(body)]).toEqual([200, body]);
    expect(body).toEqual({ connections: [{ ...web, nodes: ['node-1', 'node-2'] }], nodes: ['node-1', 'node-2'], missing: [], notTold: 0 });
    expect(asked()).toEqual(['node-1', 'node-2']);
    expect(questions[0]?.[1]).toEqual({ id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/), domain: 'acme', project: 'shop', environment: 'staging', most: limits.connectionsPerAnswer / 2 });
    questions.length = 0;
    expect((await ask('')).body.connections).toEqual([{ ...post, nodes: ['node-1'] }, { ...web, nodes: ['node-1', 'node-2'] }, { ...mole, nodes: ['node-3'] }]);
    expect(asked()).toEqual(['node-1', 'node-2', 'node-3']);
    questions.length = 0;
    expect((await ask('?domain=none-such')).body).toEqual({ connections: [], nodes: [], missing: [], notTold: 0 });
    expect(asked()).toEqual([]);
  });

  it('are those of the scope of whoever asks, whatever a node says', async () => {
    for (const name of ['node-1', 'node-2']) await node(name, [web, post, mole]);
    await node('node-3', [mole]);
    expect((await ask('', bearer('acme/ci', ofAcme))).body.connections).toEqual([{ ...post, nodes: ['node-1'] }, { ...web, nodes: ['node-1', 'node-2'] }]);
    expect((await ask('?domain=acme', bearer('acme/blog', ofBlog))).body).toMatchObject({ connections: [{ ...post, nodes: ['node-1'] }], nodes: ['node-1'] });
    expect(asked()).not.toContain('node-3');
    for (const query of ['?domain=rival', '?domain=acme&project=shop', '?project=shop']) expect([query, (await ask(query, bearer('acme/blog', ofBlog))).status]).toEqual([query, 403]);
    expect((await ask('', bearer('platform-node-1', ofNode))).status).toBe(403);
    expect((await ask('?domain=a.b')).status).toBe(400);
  });

  it('are told with the name of a node that says nothing, or nonsense', async () => {
    await node('node-1', [web]);
    await node('node-2', [web], { connections: 3 });
    const [from, { body }] = [performance.now(), await ask('?domain=acme&project=shop&environment=staging')];
    expect(body).toMatchObject({ connections: [{ ...web, nodes: ['node-1'] }], missing: ['node-2'] });
    // Not waited for.
    expect(performance.now() - from).toBeLessThan(limits.connectionsAnswerMs);
    expect((await ask('?domain=rival')).body).toEqual({ connections: [], nodes: ['node-3'], missing: ['node-3'], notTold: 0 });
  }, 15_000);

  it('are asked by one credential only so often at a time', async () => {
    const late = Array.from({ length: limits.connectionsAsked + 1 }, () => ask('?domain=rival'));
    const statuses = (await Promise.all(late)).map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<number>(limits.connectionsAsked).fill(200), 429]);
    expect((await ask('?domain=none-such')).status).toBe(200);
  }, 15_000);
});

describe('a question to nodes', () => {
  let door: ConnectionQuestions;
  const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
  const holdings = new Map([['node-1', new Set(['acme/shop/staging/web'])], ['node-2', new Set(['acme/shop/staging/db'])]]);
  const go = (waitMs: number, signal = new AbortController().signal) => (door = askConnections(broker.connect('door'), () => undefined, waitMs)).ask(scope, holdings, signal);
  afterEach(() => door.stop());
  const answer = (id: string, name: string, connections: Connection[], subject = name) => bus.tell(connectionsSubject(subject), encode({ id, node: name, part: 0, last: true, connections, notTold: 0 }));

  it('drops what comes late, from others, in the name of others, or to another question', async () => {
    const heard: string[] = [];
    for (const name of holdings.keys()) await bus.listen(askConnectionsSubject(name), ({ data }) => void heard.push((decode(data) as ConnectionsQuestion).id));
    const first = go(300);
    await sleep(50);
    const [id = ''] = heard;
    await answer(id, 'node-3', [web]);
    await answer(id, 'node-2', [web], 'node-3');
    await answer('01997f5e-5b3c-4cc0-8000-000000000001', 'node-1', [web]);
    await bus.tell(connectionsSubject('node-1'), new TextEncoder().encode('not JSON'));
    expect(await first).toEqual({ connections: [], nodes: ['node-1', 'node-2'], missing: ['node-1', 'node-2'], notTold: 0 });
    await answer(id, 'node-1', [web]);
    const second = door.ask(scope, holdings, new AbortController().signal);
    await sleep(20);
    await answer(id, 'node-1', [web]);
    await answer(heard.at(-1) ?? '', 'node-2', [web]);
    expect(await second).toMatchObject({ connections: [{ ...web, nodes: ['node-2'] }], missing: ['node-1'] });
    expect(new Set(heard).size).toBe(2);
  });

  it('asks a node that has more once again, for what the others have left', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => connection('acme/shop/staging/web', 'acme/shop/staging/db', 1_000 + i));
    const half = limits.connectionsPerAnswer / 2;
    await bus.listen(askConnectionsSubject('node-1'), async ({ data }) => {
      const { id, most } = decode(data) as ConnectionsQuestion;
      questions.push(['node-1', { id, most } as ConnectionsQuestion]);
      const told = many(Math.min(most, half + 500));
      for (let part = 0; part * 1_000 < told.length; part++) {
        const last = (part + 1) * 1_000 >= told.length;
        await bus.tell(connectionsSubject('node-1'), encode({ id, node: 'node-1', part, last, connections: told.slice(part * 1_000, (part + 1) * 1_000), notTold: last ? half + 500 - told.length : 0 }));
      }
    });
    await node('node-2', []);
    const { connections, notTold, missing } = await go(8_000);
    expect([connections.length, notTold, missing]).toEqual([half + 500, 0, []]);
    expect(questions.filter(([name]) => name === 'node-1').map(([, { most }]) => most)).toEqual([half, limits.connectionsPerAnswer]);
  }, 20_000);

  it('asks for less while others ask, so that all answers together can be read', async () => {
    const asked: number[] = [];
    await bus.listen(askConnectionsSubject('node-1'), ({ data }) => void asked.push((decode(data) as ConnectionsQuestion).most));
    const first = go(200);
    await sleep(20);
    await Promise.all([first, door.ask(scope, holdings, new AbortController().signal)]);
    expect(asked).toEqual([limits.connectionsPerAnswer / 2, limits.connectionsPerAnswer / 4]);
  });

  it('ends when whoever asked goes away', async () => {
    const gone = new AbortController();
    const asking = go(10_000, gone.signal);
    await sleep(20);
    gone.abort();
    expect((await asking).missing).toEqual(['node-1', 'node-2']);
  });
});
