import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';

// Each command is a process of its own, and the machine may be busy.
jest.setTimeout(30_000);

const root = join(import.meta.dirname, '../../..');
const id = '01997f5e-5b3c-7cc0-8000-000000000001';

/** An Osier that says what the test tells it to. */
type Said = { status: number; body: unknown; ndjson?: boolean };
let answer: (method: string, path: string, body: unknown, headers: IncomingMessage['headers']) => Said;
let asked: string[];
let server: Server;
let url: string;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'osier-cli-'));
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const path = decodeURIComponent((request.url ?? '').replace(/[?&]timeout=[^&]*/, ''));
    asked.push(`${request.method} ${path}${text === '' ? '' : ` ${text}`}`);
    const said = answer(request.method ?? '', path, text === '' ? undefined : JSON.parse(text), request.headers);
    response.writeHead(said.status, { 'content-type': said.ndjson === true ? 'application/x-ndjson' : 'application/json' });
    response.end(said.ndjson === true ? (said.body as unknown[]).map((line) => `${JSON.stringify(line)}\n`).join('') : JSON.stringify(said.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked = [];
  answer = () => accepted(7);
});

interface Ended { code: number; out: string; err: string }
function osier(args: string[], o: { stdin?: string; env?: Record<string, string> } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'apps/cli/src/main.ts'), ...args], {
      env: { PATH: process.env['PATH'], HOME: folder, OSIER_SERVER: url, OSIER_TOKEN: 'secret', NODE_COMPILE_CACHE: join(folder, 'compiled'), ...o.env }, timeout: 20_000,
    }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }));
    // What ends at once reads nothing.
    child.stdin?.on('error', () => undefined).end(o.stdin ?? '');
  });
}

const change = (revision: number) => ({ kind: 'network', id, path: 'acme/shop/staging/main', version: 1, subject: `osier.state.acme.shop.staging.network._.${id}`, revision });
const accepted = (revision: number, changes = [change(revision)]): Said => ({ status: 200, body: { result: 'accepted', intentId: 'i', intent: 'x', credential: 'c', at: '', service: 's', revision, changes } });
const refused = (status: number, code: string, path: string): Said => ({ status, body: { result: 'refused', intentId: 'i', problem: { code, path, reason: 'It will not do.', fix: 'Mend it.' } } });
const enforcement = (state: string, nodes: unknown[]): Said => ({ status: 200, body: { state, revision: 9, nodes } });

function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}
const shop = `# the web shop
kind: endpoint
domain: acme
project: shop
environment: staging
name: web
spec: {network: main, node: node-1, attachment: {containerId: web}}
---
kind: Network
domain: acme
project: shop
environment: staging
name: main
spec:
  subnets:
    - 10.0.0.0/24
---
# nothing but a comment
---
kind: domain
name: acme
`;

describe('osier apply', () => {
  it('sends kinds in the order in which one needs the other, and says what became of each', async () => {
    const { code, out } = await osier(['apply', '-f', file('shop/all.yaml', shop)]);
    expect(asked).toEqual([
      'PUT /v1/domains/acme {}',
      'PUT /v1/domains/acme/projects/shop/environments/staging/networks/main {"subnets":["10.0.0.0/24"]}',
      'PUT /v1/domains/acme/projects/shop/environments/staging/endpoints/web {"network":"main","node":"node-1","attachment":{"containerId":"web"}}',
    ]);
    expect(out.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual(['domain acme accepted @7', 'network acme/shop/staging/main accepted @7', 'endpoint acme/shop/staging/web accepted @7', '']);
    expect(code).toBe(0);
  });

  it('reads folders and standard input, and takes a scope that documents leave out from the options', async () => {
    file('many/b.yml', 'kind: policy\nname: web\nspec: {appliesTo: {}}');
    file('many/deep/a.json', '{"kind": "network", "name": "main", "spec": {"subnets": ["10.0.0.0/24"]}}');
    file('many/notes.md', 'not a document');
    expect((await osier(['apply', '-f', join(folder, 'many'), '-d', 'acme', '-p', 'shop', '-e', 'staging'])).code).toBe(0);
    expect(asked.map((line) => line.split(' ')[1]?.split('/').slice(-2).join('/'))).toEqual(['networks/main', 'policies/web']);
    asked = [];
    expect((await osier(['apply', '-f', '-'], { stdin: 'kind: project\nname: shop', env: { OSIER_DOMAIN: 'acme' } })).code).toBe(0);
    expect(asked).toEqual(['PUT /v1/domains/acme/projects/shop {}']);
  });

  it.each([
    ['an unknown field', 'kind: network\nname: main\nspec:\n  subnets: [10.0.0.0/24]\n  gateway: x', 5, 'spec.gateway'],
    ['a wrong type', 'kind: network\nname: main\nspec:\n  subnets: 10.0.0.0/24', 4, 'spec.subnets'],
    ['a wrong value in a list', 'kind: network\nname: main\nspec:\n  subnets:\n    - 10.0.0.0/24\n    - nonsense', 6, 'spec.subnets[1]'],
    ['a missing field', 'kind: network\nname: main\nspec: {}', 3, 'spec.subnets'],
    ['a name of 10,000 characters', `kind: domain\nname: ${'a'.repeat(10_000)}`, 2, 'name'],
    ['an unknown kind', 'kind: gadget\nname: x', 1, 'kind'],
    ['a field beside the spec', 'kind: domain\nname: x\nsubnets: []', 3, 'subnets'],
    ['what is not YAML', 'kind: domain\nname: "x', 2, ''],
    ['a manifest of Kubernetes', 'apiVersion: v1\nkind: Pod', 1, 'apiVersion'],
    ['the same object twice', 'kind: domain\nname: x\n---\nkind: domain\nname: x', 5, 'name'],
  ])('refuses %s with file, line, field and fix, and sends nothing', async (_what, text, line, field) => {
    const path = file('bad.yaml', text);
    const args = ['apply', '-f', path, '-d', 'acme', '-p', 'shop', '-e', 'staging'];
    const [human, machine] = await Promise.all([osier(args), osier([...args, '-o', 'json'])]);
    expect(human.code).toBe(1);
    expect(human.err).toContain(`${path}:${line}: ${field}`);
    expect(human.err).toMatch(/fix: ./);
    const { results } = JSON.parse(machine.out) as { results: { result: string; line: number; problem: { path: string } }[] };
    expect(results.map((r) => [r.result, r.line, r.problem.path])).toEqual([['refused', line, field]]);
    expect(asked).toEqual([]);
  });

  it('refuses a document of another scope than the command names', async () => {
    const { code, err } = await osier(['apply', '-f', file('shop/all.yaml', shop), '-e', 'production']);
    expect([code, asked]).toEqual([1, []]);
    expect(err).toContain('The document says environment "staging", and the command says "production"');
  });

  it('tells what Osier refused, with the line it is about, and goes on with the rest', async () => {
    answer = (_method, path) => (path.endsWith('/main') ? refused(409, 'overlapping-subnet', 'spec.subnets[0]') : accepted(7, []));
    const path = file('shop/all.yaml', shop);
    const { code, out } = await osier(['apply', '-f', path]);
    expect(code).toBe(1);
    expect(out).toContain('refused overlapping-subnet');
    expect(out).toContain(`${path}:16: spec.subnets[0]: It will not do.\n    fix: Mend it.`);
    expect(out).toContain('unchanged @7');
  });

  it('repeats under the same id until it is decided', async () => {
    const keys = new Set<unknown>();
    let times = 0;
    answer = (_method, _path, _body, headers) => {
      keys.add(headers['idempotency-key']);
      times += 1;
      if (times === 1) return { status: 202, body: { intentId: 'i', result: 'pending' } };
      return times === 2 ? { status: 503, body: { problem: { code: 'bus-unavailable', reason: 'Away.', path: '', fix: 'Wait.' } } } : accepted(7);
    };
    expect((await osier(['apply', '-f', '-'], { stdin: 'kind: domain\nname: acme' })).code).toBe(0);
    expect([times, keys.size]).toEqual([3, 1]);
  });

  it('ends with 4 when it is not decided in time', async () => {
    answer = () => ({ status: 202, body: { intentId: 'i', result: 'pending' } });
    expect((await osier(['apply', '-f', '-', '--timeout', '100ms'], { stdin: 'kind: domain\nname: acme' })).code).toBe(4);
  });
});

describe('osier apply --wait', () => {
  const args = ['apply', '-f', '-', '--wait', '--timeout', '300ms'];
  const stdin = 'kind: domain\nname: acme';
  it.each([
    ['enforced', [{ node: 'node-1', enforced: true, revision: 9 }, { node: 'node-2', enforced: true, revision: 9 }], 0, 'enforced: revision 9 is confirmed by 2 of 2 nodes (node-1, node-2)'],
    ['none', [], 0, 'no node is concerned by revision 9'],
    ['waiting', [{ node: 'node-1', enforced: true, revision: 9 }, { node: 'node-2', enforced: false, revision: 4, why: 'silent since 12:00:00' }], 4, '1 of 2 nodes (node-1)\n  node-2: silent since 12:00:00'],
  ])('%s', async (state, nodes, code, text) => {
    answer = (method, path) => (path.startsWith('/v1/enforcement') ? enforcement(state, nodes) : method === 'PUT' ? accepted(9) : { status: 404, body: {} });
    const ended = await osier(args, { stdin });
    expect([ended.code, ended.out + ended.err]).toEqual([code, expect.stringContaining(text)]);
    const machine = JSON.parse((await osier([...args, '-o', 'json'], { stdin })).out) as { enforcement: { state: string } };
    expect(machine.enforcement.state).toBe(state);
    expect(asked).toContain(`POST /v1/enforcement ${JSON.stringify({ changes: [{ kind: 'network', id, subject: `osier.state.acme.shop.staging.network._.${id}`, revision: 9 }] })}`);
  });

  it('waits for what is unchanged as well', async () => {
    const document = { kind: 'domain', id, domain: 'acme', project: '_', environment: '_', parent: '_', name: 'acme' };
    answer = (method, path) => (path.startsWith('/v1/enforcement') ? enforcement('none', []) : method === 'PUT' ? accepted(5, []) : { status: 200, body: { document, revision: 5 } });
    expect((await osier(args, { stdin })).code).toBe(0);
    expect(asked.at(-1)).toContain(`"subject":"osier.state.acme._._.domain._.${id}","revision":5`);
  });
});

describe('osier get', () => {
  const document = {
    kind: 'network', id, domain: 'acme', project: 'shop', environment: 'staging', name: 'main', parent: '_', version: 2, phase: 'active',
    createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z', intent: 'i', spec: { subnets: ['10.0.0.0/24'] }, status: { routingDomain: id, vni: 5, number: 1 },
  };
  it('shows a table, JSON, or YAML that can be applied again', async () => {
    answer = (method) => (method === 'PUT' ? accepted(7, []) : { status: 200, body: { items: [{ document, revision: 7 }] } });
    const place = ['-d', 'acme', '-p', 'shop'];
    const { out } = await osier(['get', 'networks', ...place]);
    expect(out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual(['NAME SUBNETS VNI VERSION REVISION', 'acme/shop/staging/main 10.0.0.0/24 5 2 7', '']);
    expect(asked).toEqual(['GET /v1/domains/acme/projects/shop/environments/_/networks']);
    expect(JSON.parse((await osier(['get', 'network', ...place, '-o', 'json'])).out)).toEqual({ items: [{ ...document, revision: 7 }] });
    const yaml = (await osier(['get', 'network', 'main', ...place, '-o', 'yaml'])).out;
    expect((await osier(['apply', '-f', '-'], { stdin: yaml })).out).toContain('unchanged @7');
  });
  it('says that there is none, with 1', async () => {
    answer = () => ({ status: 404, body: { problem: { code: 'not-found', reason: 'There is no network "x" here.', path: 'name', fix: 'List.' } } });
    const { code, err } = await osier(['get', 'network', 'x', '-d', 'acme', '-p', 'shop', '-e', 'staging']);
    expect([code, err]).toEqual([1, 'osier: name: There is no network "x" here.\n  fix: List.\n']);
  });
});

describe('osier delete, wait, nodes, flows', () => {
  it('deletes in the reverse order of apply', async () => {
    expect((await osier(['delete', '-f', file('shop/all.yaml', shop)])).code).toBe(0);
    expect(asked.map((line) => line.split('/').at(-1))).toEqual(['web', 'main', 'acme']);
  });
  it('deletes one by name', async () => {
    const { code, out } = await osier(['delete', 'policy', 'web', '-d', 'acme', '-p', 'shop', '-e', 'staging']);
    expect([code, out.trim().replaceAll(/ +/g, ' ')]).toEqual([0, 'policy acme/shop/staging/web deleted @7']);
  });
  it('waits until it is gone, or not in time', async () => {
    answer = () => ({ status: 404, body: {} });
    expect((await osier(['wait', 'node', 'node-1', '--for', 'deleted'])).code).toBe(0);
    answer = () => ({ status: 200, body: {} });
    expect((await osier(['wait', 'node', 'node-1', '--for', 'deleted', '--timeout', '100ms'])).code).toBe(4);
  });
  it('shows nodes', async () => {
    answer = () => ({ status: 200, body: { nodes: [{ id, name: 'node-1', tunnelEndpoint: '192.0.2.1', revision: 7, behind: 0, endpoints: 3, state: 'ready' }] } });
    expect((await osier(['nodes'])).out.split('\n')[1]).toMatch(/^node-1 +ready +192\.0\.2\.1 +3 +7 +0 /);
  });
  it('shows how many are pending on a node and the first few, and all of them as JSON', async () => {
    const pending = Array.from({ length: 300 }, (_, n) => ({ kind: 'endpoint', id, path: `acme/shop/staging/e${n}`, code: 'namespace-missing', reason: 'there is no such network namespace.' }));
    const of = (name: string, count: number) => ({ id, name, tunnelEndpoint: '192.0.2.1', revision: 7, behind: 0, endpoints: 3, state: 'ready', receipt: { pending: pending.slice(0, count) } });
    answer = () => ({ status: 200, body: { nodes: [of('node-1', 300), of('node-2', 2), of('node-3', 0)] } });
    const lines = (await osier(['nodes'])).out.split('\n');
    expect(lines[1]).toMatch(/ 300: acme\/shop\/staging\/e0: there is no such network namespace\.; acme\/shop\/staging\/e1: [^;]*; and 298 more \(-o json tells all\)$/);
    expect(lines[2]).toMatch(/ 2: acme\/shop\/staging\/e0: [^;]*; acme\/shop\/staging\/e1: there is no such network namespace\.$/);
    expect(lines[3]).toMatch(/ -$/);
    const { out } = await osier(['nodes', '-o', 'json']);
    expect((JSON.parse(out) as { nodes: { receipt: { pending: unknown[] } }[] }).nodes[0]?.receipt.pending).toHaveLength(300);
  });
  it('shows further denials, which are counted over all source ports, with no port and their own number', async () => {
    const repeats = {
      domain: 'acme', project: 'shop', node: 'node-1', event: 'denied', at: '2026-01-01T10:11:12.000Z', environment: 'staging', network: 'main', protocol: 'TCP', verdict: 'denied', reason: 'policy_denied',
      source: { address: '10.0.0.2', port: 0, endpoint: 'acme/shop/staging/web' }, destination: { address: '10.0.0.3', port: 5432 }, revision: 9, repeats: 2, packets: { forward: 0, reply: 0 }, bytes: { forward: 0, reply: 0 }, decisions: [],
    };
    answer = () => ({ status: 200, ndjson: true, body: [repeats, { ...repeats, protocol: 'ICMP' }, { ...repeats, protocol: 'SCTP' }] });
    const [tcp, icmp, sctp] = (await osier(['flows', '--denied'])).out.split('\n');
    expect(tcp).toContain('web:* → 10.0.0.3:5432 TCP  denied  policy_denied ×2 ');
    expect(icmp).toContain('web → 10.0.0.3:5432 ICMP');
    expect(sctp).toContain('web:* → 10.0.0.3:5432 SCTP');
  });
  it('shows connections that go on although their rules deny them since', async () => {
    const flow = {
      domain: 'acme', project: 'shop', node: 'node-1', event: 'denied', at: '2026-01-01T10:11:12.000Z', environment: 'staging', network: 'main', protocol: 'TCP', verdict: 'allowed', reason: 'policy_denied',
      source: { address: '10.0.0.2', port: 40000 }, destination: { address: '10.0.0.3', port: 5432 }, revision: 9, repeats: 0, packets: { forward: 1, reply: 0 }, bytes: { forward: 1, reply: 0 }, decisions: [],
    };
    const until = { until: '2026-01-01T10:12:12.000Z' };
    const end = { ...flow, event: 'end', endedBy: 'policy', reason: 'none' };
    answer = () => ({ status: 200, ndjson: true, body: [{ ...flow, spared: {} }, { ...flow, spared: until }, { ...end, spared: until }, { ...end, endedBy: 'fin', spared: {} }] });
    const said = (await osier(['flows'])).out.split('\n').map((line) => /TCP  (.*?) +@9/.exec(line)?.[1] ?? line);
    expect(said).toEqual(['spared  policy_denied (kept)', 'spared  policy_denied (drains until 10:12:12)', 'allowed end policy (drains until 10:12:12)', 'allowed end fin (kept)', '']);
  });
  it('shows flows with the rule that decided', async () => {
    const flow = {
      domain: 'acme', project: 'shop', node: 'node-1', event: 'denied', at: '2026-01-01T10:11:12.000Z', environment: 'staging', network: 'main', protocol: 'TCP', verdict: 'denied', reason: 'policy_denied',
      source: { address: '10.0.0.2', port: 40000, endpoint: 'acme/shop/staging/web' }, destination: { address: '10.0.0.3', port: 5432 }, revision: 9, repeats: 2, packets: { forward: 1, reply: 0 }, bytes: { forward: 1, reply: 0 },
      decisions: [{ direction: 'ingress', policy: 'acme/shop/staging/database', policyId: id, rule: 'default-deny' }],
    };
    answer = () => ({ status: 200, ndjson: true, body: [flow, { domain: 'acme', project: 'shop', node: 'node-1', lost: 4 }] });
    const { out } = await osier(['flows', '--denied', '-e', 'staging']);
    expect(asked).toEqual(['GET /v1/flows?environment=staging&denied=true']);
    expect(out).toBe('10:11:12  node-1  acme/shop/staging  web:40000 → 10.0.0.3:5432 TCP  denied  policy_denied ×3  acme/shop/staging/database rule default-deny (ingress) @9\nnode-1 could not report 4 flow records\n');
  });
});

describe('osier flows, where an endpoint has a shadow', () => {
  const rule = (direction: string, name: string, policy = 'acme/shop/staging/next') => ({ direction, policy, policyId: id, rule: name });
  const flow = (verdict: string, shadow: unknown) => ({
    domain: 'acme', project: 'shop', node: 'node-1', event: verdict === 'denied' ? 'denied' : 'start', at: '2026-01-01T10:11:12.000Z', environment: 'staging', network: 'main', protocol: 'TCP', verdict, reason: verdict === 'denied' ? 'policy_denied' : 'none',
    source: { address: '10.0.0.2', port: 40000 }, destination: { address: '10.0.0.3', port: 5432 }, revision: 9, repeats: 0, packets: { forward: 1, reply: 0 }, bytes: { forward: 1, reply: 0 }, decisions: [rule('ingress', 'a', 'acme/shop/staging/db')], shadow,
  });
  it.each([
    ['denies what is allowed: by the rule of the side that was asked last', 'allowed', { verdict: 'denied', egress: rule('egress', 'out'), ingress: rule('ingress', 'none') }, 'allowed start (a shadow denies: rule none of acme/shop/staging/next)'],
    ['allows what is denied: by the rules of both sides', 'denied', { verdict: 'allowed', egress: rule('egress', 'default-allow', 'default'), ingress: rule('ingress', 'in') }, 'denied  policy_denied (a shadow allows: rule default-allow, rule in of acme/shop/staging/next)'],
    ['has no rule of its own to name', 'allowed', { verdict: 'denied' }, 'allowed start (a shadow denies)'],
    ['says the same', 'allowed', { verdict: 'allowed', ingress: rule('ingress', 'in') }, 'allowed start (a shadow agrees)'],
    ['is not there', 'allowed', undefined, 'allowed start  acme/shop/staging/db rule a (ingress) @9'],
  ])('tells it when it %s', async (_what, verdict, shadow, text) => {
    answer = () => ({ status: 200, ndjson: true, body: [flow(verdict, shadow)] });
    expect((await osier(['flows'])).out).toContain(text);
    expect((await osier(['flows', '--shadow'])).out.includes(text)).toBe(text.includes('(a shadow') && !text.includes('agrees'));
  });
});

describe('osier audit', () => {
  const entry = { at: '2026-01-01T10:11:12.345Z', from: 'intents', sequence: 7, credential: 'ci', intent: 'network.apply', domain: 'acme', project: 'shop', environment: 'staging', name: 'main', intentId: 'x-1', trace: '4bf92f3577b34da6a3ce929d0e0e4736', result: 'accepted', revision: 9 };
  const knocked = { at: '2026-01-01T10:11:13.000Z', from: 'door', sequence: 1, credential: '_', intent: 'domain.apply', domain: 'acme', project: '_', environment: '_', result: 'refused', status: 401, request: 'PUT /v1/domains/acme', problem: { code: 'unauthorized', path: '', reason: 'x', fix: 'y' } };
  it('shows who, what, when, what became of it, and the trace', async () => {
    answer = () => ({ status: 200, body: { items: [knocked, entry] } });
    const { code, out } = await osier(['audit', '--since', '1h', '--credential', 'ci', '--noun', 'network', '--result', 'refused'], { env: { OSIER_DOMAIN: 'acme' } });
    expect(asked).toEqual(['GET /v1/audit?since=1h&credential=ci&result=refused&noun=network&limit=100']);
    expect([code, out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))]).toEqual([0, [
      'TIME CREDENTIAL WISH OBJECT RESULT WHY INTENT TRACE',
      '2026-01-01 10:11:13 _ domain.apply acme refused unauthorized PUT /v1/domains/acme -',
      '2026-01-01 10:11:12 ci network.apply acme/shop/staging/main accepted @9 x-1 4bf92f3577b34da6a3ce929d0e0e4736', '',
    ]]);
  });
  it('asks for page after page until it has enough, also past an empty one', async () => {
    const pages = [{ items: [entry], next: '5.2' }, { items: [], next: '3.2' }, { items: [entry], next: '1.1' }];
    answer = () => ({ status: 200, body: pages.shift() ?? { items: [] } });
    const { out } = await osier(['audit', '--limit', '2', '-d', 'acme', '-o', 'json']);
    expect((JSON.parse(out) as { items: unknown[] }).items).toEqual([entry, entry]);
    expect(asked).toEqual(['GET /v1/audit?domain=acme&limit=2', 'GET /v1/audit?domain=acme&limit=1&before=5.2', 'GET /v1/audit?domain=acme&limit=1&before=3.2']);
  });
});

describe('osier dead', () => {
  const letter = {
    intentId: 'x-1', intent: 'domain.apply', domain: '_', project: '_', environment: '_', credential: 'ci', subject: 'osier.intent._._._.domain.apply.ci', sequence: 3, deadSequence: 1,
    problem: { code: 'internal-error', reason: 'It failed.', path: '', fix: 'Report it.' }, cause: 'Error: a bug', service: 'tenant', tries: 5, at: '2026-01-01T10:11:12.345Z', bytes: 15,
  };
  const path = '/v1/dead-letters/_/_/x-1';
  it('lists, and shows one whole', async () => {
    answer = (_method, asking) => (asking === path ? { status: 200, body: { ...letter, headers: { 'ce-id': 'x-1' }, headersLeftOut: 0, body: { encoding: 'json', text: '{"name":"acme"}' } } } : { status: 200, body: { items: [letter] } });
    expect((await osier(['dead', 'list'])).out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'ID TIME WISH CREDENTIAL SERVICE TRIES TOLD CAUSE', '_/_/x-1 2026-01-01 10:11:12 domain.apply ci tenant 5 internal-error Error: a bug', '',
    ]);
    const shown = (await osier(['dead', 'show', '_/_/x-1'])).out;
    for (const text of ['tenant, after 5 tries', 'internal-error: It failed.', 'Error: a bug', 'INTENTS 3', 'ce-id: x-1', '{"name":"acme"}']) expect(shown).toContain(text);
  });
  it.each([
    ['retry', [200, { result: 'accepted', intentId: 'retry-1-x-1', revision: 9, changes: [] }], 0, 'accepted @9 as retry-1-x-1'],
    ['retry', [409, { result: 'refused', intentId: 'retry-1-x-1', problem: letter.problem }], 1, 'refused as retry-1-x-1: internal-error: It failed.\n  fix: Report it.'],
    ['retry', [202, { result: 'pending', intentId: 'retry-1-x-1' }], 4, 'stored as retry-1-x-1; not decided within 10 s'],
    ['retry', [404, { problem: { code: 'not-found', path: 'intentId', reason: 'There is none.', fix: 'List.' } }], 1, 'osier: intentId: There is none.'],
    ['drop', [200, letter], 0, 'dropped _/_/x-1'],
    ['drop', [503, { problem: { code: 'not-recorded', path: '', reason: 'It could not be written down.', fix: 'Repeat.' } }], 3, 'It could not be written down.'],
  ] as const)('%s: answered %j ends with %i', async (command, [status, body], code, text) => {
    answer = () => ({ status, body });
    const ended = await osier(['dead', command, '_/_/x-1']);
    expect([ended.code, ended.out + ended.err]).toEqual([code, expect.stringContaining(text)]);
    expect(asked).toEqual([command === 'retry' ? `POST ${path}/retry` : `DELETE ${path}`]);
  });
});

describe('a tired operator', () => {
  it.each([
    [[], 2, /Usage: osier/],
    [['frob'], 2, /unknown command 'frob'/],
    [['get'], 2, /missing required argument 'kind'/],
    [['get', 'gadgets'], 2, /"gadgets" is not a kind/],
    [['apply'], 2, /required option '-f/],
    [['apply', '-f', '/nowhere'], 2, /no file or folder \/nowhere/],
    [['delete', 'network', 'main', '-d', 'acme', '-p', 'shop'], 2, /which environment\?[\s\S]*--environment NAME/],
    [['wait', 'network', 'main', '--for', 'rain'], 2, /Allowed choices are enforced, deleted/],
    [['nodes', '--server', 'http://127.0.0.1:1'], 3, /cannot reach Osier at http:\/\/127\.0\.0\.1:1: [\s\S]*Is it running\?\n {2}try: osier lab up/],
    [['nodes', '--lab', 'none-of-this-name'], 3, /no lab named "none-of-this-name" is up[\s\S]*osier lab up --name none-of-this-name/],
    [['audit', '--limit', 'all'], 2, /"all" is not a number of entries/],
    [['audit', '--result', 'good'], 2, /Allowed choices are accepted, refused, pending, ignored/],
    [['dead', 'show'], 2, /missing required argument 'id'/],
    [['lab', 'up', '--frob'], 2, /unknown option '--frob'/],
    [['dead', 'drop', 'x-1'], 2, /"x-1" is not the id of a dead letter[\s\S]*DOMAIN\/PROJECT\/INTENT/],
    [['nodes', '--server', 'nonsense'], 2, /"nonsense" is not the address of a server/],
  ])('is told what to do: osier %j', async (args, code, text) => {
    const ended = await osier(args);
    expect([ended.code, ended.err]).toEqual([code, expect.stringMatching(text)]);
    expect(ended.err).not.toContain('    at ');
  });
  it('gets the problem as JSON where JSON was asked for', async () => {
    const { code, out } = await osier(['nodes', '--server', 'http://127.0.0.1:1', '--output', 'json']);
    expect([code, (JSON.parse(out) as { problem: { code: string } }).problem.code]).toEqual([3, 'unreachable']);
  });
  it('is told of a token that is not known, and of a server that is not Osier', async () => {
    answer = () => ({ status: 401, body: { problem: { code: 'unauthorized', reason: 'x', path: '', fix: '' } } });
    expect((await osier(['nodes'])).err).toContain('Set OSIER_CREDS, OSIER_TOKEN');
    answer = () => ({ status: 200, ndjson: true, body: ['hello'] });
    expect((await osier(['nodes'])).err).not.toContain('    at ');
  });
  it('gets help quickly, and the lab is in it', async () => {
    const started = performance.now();
    const { code, out } = await osier(['--help']);
    expect([code, out]).toEqual([0, expect.stringMatching(/apply[\s\S]*lab/)]);
    expect(performance.now() - started).toBeLessThan(3000);
    expect((await osier(['lab', '--help'])).out).toContain('matrix');
  });
});
