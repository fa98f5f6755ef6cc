import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

// Each command is a process of its own, and the machine may be busy.
jest.setTimeout(30_000);
const root = join(import.meta.dirname, '../../..');
let folder: string;
let server: Server;
let url: string;
let asked: string[] = [];
let openHere: { status: number; body: object } = { status: 200, body: { connections: [], nodes: [], missing: [], notTold: 0 } };
/** All that a verdict in an environment can depend on. */
const readFrom = [
  '/v1/domains/acme/domain-policies', ...['address-groups', 'endpoint-groups'].map((kind) => `/v1/domains/acme/projects/shop/${kind}`),
  ...['endpoints', 'policies'].map((kind) => `/v1/domains/acme/projects/shop/environments/staging/${kind}`),
  ...['project-policies', 'service-groups'].map((kind) => `/v1/domains/acme/projects/shop/${kind}`), '/v1/platform-policies',
];

const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
const document = (kind: string, name: string, spec: object, status: object = {}): object => ({ document: { id: name, kind, ...scope, name, spec, status, version: 1 }, revision: 7 });
const attachment = { containerId: 'c', interface: 'eth0' };
const live: Record<string, object[]> = {
  endpoints: ['web', 'api', 'db'].map((app, i) => document('endpoint', `${app}-1`, { network: 'main', node: 'n1', tags: { app }, attachment }, { address: `10.20.0.${i + 1}` })),
  policies: [document('policy', 'db', { appliesTo: { matchTags: { app: 'db' } }, priority: 100, ingress: [{ name: 'from-api', action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }] })],
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'osier-policy-'));
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.url?.startsWith('/v1/connections') === true) return void response.writeHead(openHere.status, { 'content-type': 'application/json' }).end(JSON.stringify(openHere.body));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ items: live[(request.url ?? '').split('?')[0]?.split('/').at(-1) ?? ''] ?? [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

interface Ended { code: number; out: string; err: string }
const policy = (args: string[], o: { stdin?: string; live?: boolean } = {}): Promise<Ended> => osier(['policy', ...args], o);
function osier(args: string[], { stdin = '', live: speaks = false } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'apps/cli/src/main.ts'), ...args], {
      // OSIER_HOME: a lab of this machine is none of theirs.
      env: { PATH: process.env['PATH'], HOME: folder, OSIER_HOME: folder, NODE_COMPILE_CACHE: join(folder, 'compiled'), ...(speaks ? { OSIER_SERVER: url, OSIER_TOKEN: 'secret' } : {}) }, timeout: 20_000, maxBuffer: 1 << 26,
    }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }));
    child.stdin?.on('error', () => undefined).end(stdin);
  });
}
function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}
const lines = (text: string): string[] => text.trimEnd().split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '));
const pod = (namespace: string, name: string, app: string): string => `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${app} } }\nspec: { containers: [{ name: c }] }\n`;
const pods = [pod('prod', 'api-0', 'api'), pod('prod', 'api-1', 'api'), pod('prod', 'db-0', 'db'), pod('staging', 'web', 'web')].join('---\n');
const closed = (from: string, ports = '[{ port: 5432 }]'): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: prod }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress:
    - from: [${from}]
      ports: ${ports}
`;
const api = '{ podSelector: { matchLabels: { app: api } } }';
const anybody = '{ namespaceSelector: {} }';
const assertions = `assertions:
  - name: production db only from api
    to: {namespace: prod, labels: {app: db}}
    ports: [TCP/5432]
    onlyFrom: {namespace: prod, labels: {app: api}}
  - name: staging never reaches production
    from: {namespace: staging}
    to: {namespace: prod, labels: {app: db}}
    expect: deny
`;

describe('osier policy test', () => {
  it('ends with 0 where all hold, and with 1 and a packet where one does not: which, by whose rule, and where that stands', async () => {
    const [asserted, good, bad] = [file('test.yaml', assertions), file('good.yaml', `${pods}---\n${closed(api)}`), file('bad.yaml', `${pods}---\n${closed(anybody)}`)];
    const [held, failed, json] = await Promise.all([policy(['test', asserted, '-f', good]), policy(['test', asserted, '-f', bad]), policy(['test', asserted, '-f', bad, '-o', 'json'])]);
    expect([held.code, lines(held.out)]).toEqual([0, ['ok production db only from api (5 pairs)', 'ok staging never reaches production (1 pair)', '', '2 of 2 hold']]);
    expect([failed.code, lines(failed.out).slice(-7)]).toEqual([1, [
      `FAIL staging never reaches production ${asserted}:6`, 'staging/web → prod/db-0 TCP 5432 (IPv4) gets through, and should not',
      'Rule ingress[0] of NetworkPolicy prod/db allows the ingress of prod/db-0 from staging/web on TCP 5432.',
      `to change: rule ingress[0] of NetworkPolicy prod/db (${bad}:21); or add a policy that isolates the egress of the source`, '1 of 1 pair wrong', '', '0 of 2 hold, 2 fail',
    ]]);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ held: 0, failed: 2, assertions: [{ result: 'fails' }, { name: 'staging never reaches production', line: 6, result: 'fails', wrongPairs: 1, counterexample: { from: 'staging/web', to: 'prod/db-0', protocol: 'TCP', port: 5432, family: 4, expected: 'Deny', verdict: 'Allow', tier: 'NetworkPolicy', policy: 'prod/db', rule: 'ingress[0]' } }] });
  });

  it.each([
    ['an unknown field', 'assertions:\n  - name: a\n    form: {}\n    to: {}\n    expect: deny\n', ':3: assertions[0].form: is not a field of an assertion', 'Fields: name, from'],
    ['a misspelt selector', 'assertions:\n  - name: a\n    from: {namepsace: x}\n    to: {}\n    expect: deny\n', ':3: assertions[0].from.namepsace: is not a field of a selector for Kubernetes manifests', 'Fields: namespace, labels'],
    ['a selector of the other source', 'assertions:\n  - name: a\n    from: {environment: x}\n    to: {}\n    expect: deny\n', ':3: assertions[0].from.environment', 'Fields: namespace'],
    ['no expectation', 'assertions:\n  - name: a\n    from: {}\n    to: {}\n', ':2: assertions[0]: says nothing that could hold', 'expect: deny'],
    ['two', 'assertions:\n  - name: a\n    onlyFrom: {}\n    to: {}\n    expect: deny\n', ':3: assertions[0].onlyFrom: stands beside expect', 'Write one of'],
    ['a number for a text', 'assertions:\n  - name: a\n    from: {labels: {v: 1}}\n    to: {}\n    expect: deny\n', ':3: assertions[0].from.labels.v: 1 is not a text', 'in quotes'],
    ['a wrong port', 'assertions:\n  - name: a\n    from: {}\n    to: {}\n    ports: [TCP/80, tcp/81]\n    expect: deny\n', ':5: assertions[0].ports[1]: "tcp/81" is not a port', 'TCP/5432'],
    ['allow without ports', 'assertions:\n  - name: a\n    from: {}\n    to: {}\n    expect: allow\n', 'assertions[0].ports: is required with expect: allow', 'ports: [TCP/5432]'],
    ['a name twice', 'assertions:\n  - {name: a, from: {}, to: {}, expect: deny}\n  - {name: a, to: {}, from: {}, expect: deny}\n', ':3: assertions[1].name: "a" is the name of assertions[0] too', 'its own name'],
    ['no list', 'name: a\n', ': assertions: is required', '- name:'],
    ['what is not YAML', 'assertions: [\n', 'is not YAML', 'syntax'],
  ])('refuses %s with 2, by file, line and field, and says the fix', async (what, text, reason, fix) => {
    const ended = await policy(['test', file(`${what.replaceAll(' ', '-')}.yaml`, text), '-f', '-'], { stdin: pods });
    expect([ended.code, ended.out]).toEqual([2, '']);
    expect(ended.err).toContain(reason);
    expect(ended.err).toContain(fix);
  });

  it('refuses with 2 what cannot be read, and manifests that a server would reject', async () => {
    const asserted = file('again.yaml', assertions);
    const ended = await Promise.all([policy(['test']), policy(['test', '/nowhere', '-f', '-']), policy(['test', asserted, '-f', '/nowhere']), policy(['test', asserted, '-f', '-'], { stdin: closed(api).replace('5432', '80000') })]);
    expect(ended.map(({ code, out }) => [code, out])).toEqual([[2, ''], [2, ''], [2, ''], [2, '']]);
    expect(ended[3]?.err).toContain('<stdin>:8: NetworkPolicy prod/db, spec.ingress[0].ports[0].port');
  });

  it('fails loudly where a selector matches nobody', async () => {
    const ended = await policy(['test', file('nobody.yaml', 'assertions:\n  - {name: a, from: {namespace: stagign}, to: {}, expect: deny}\n'), '-f', '-'], { stdin: pods });
    expect(ended.code).toBe(1);
    expect(ended.out).toContain('from: {namespace: stagign} selects nobody');
    expect(ended.out).toContain('mayBeEmpty: true');
  });

  it('asks the installation, where no files are named', async () => {
    const text = 'assertions:\n  - name: db only from api\n    to: {environment: staging, tags: {app: db}}\n    ports: [TCP/5432]\n    onlyFrom: {ip: 10.20.0.2}\n  - name: db never speaks\n    from: {endpoint: db-1}\n    to: {}\n    expect: deny\n';
    asked = [];
    const ended = await policy(['test', file('live.yaml', text), '-d', 'acme', '-p', 'shop', '-e', 'staging'], { live: true });
    expect(asked.sort()).toEqual(readFrom.map((path) => `GET ${path}`));
    expect([ended.code, lines(ended.out).slice(0, 3)]).toEqual([1, ['ok db only from api (2 pairs)', expect.stringContaining('FAIL db never speaks'), 'acme/shop/staging/db-1 → acme/shop/staging/api-1 TCP 443 (IPv4) gets through, and should not']]);
  });
});

describe('osier policy plan', () => {
  it('tells what opens and closes, by whose rule, as a table and as JSON', async () => {
    const [as, to] = [file('plan/before.yaml', `${pods}---\n${closed(api)}`), file('plan/after.yaml', closed(anybody, '[{ port: 5432, endPort: 5433 }]'))];
    const [human, json] = await Promise.all([policy(['plan', '-f', to, '--against', as]), policy(['plan', '-f', to, '--against', as, '-o', 'json'])]);
    expect([human.code, lines(human.out)]).toEqual([0, [
      'EFFECT FROM → TO PORTS WHY', 'opens prod/api-* (2) → prod/db-0 TCP/5433 by rule ingress[0] of NetworkPolicy prod/db', 'opens staging/web → prod/db-0 TCP/5432-5433 by rule ingress[0] of NetworkPolicy prod/db', '',
      '3 pairs open, 0 pairs close',
    ]]);
    expect(JSON.parse(json.out)).toMatchObject({
      changes: [{ effect: 'opens', from: ['prod/api-0', 'prod/api-1'], to: ['prod/db-0'], pairs: 2, ports: [{ protocol: 'TCP', first: 5433, last: 5433 }], families: [4], cause: { type: 'now', kind: 'NetworkPolicy', policy: 'prod/db', rule: 'ingress[0]' }, example: { from: 'prod/api-0', to: 'prod/db-0', protocol: 'TCP', port: 5433 } }, { from: ['staging/web'] }],
      findings: [], undecided: [], endpoints: { new: [], gone: [] }, live: null,
    });
  });

  it('takes away what --delete names, and ends with 1 where --fail-on says so', async () => {
    const [as, gone] = [file('delete/before.yaml', `${pods}---\n${closed(api)}`), file('delete/gone.yaml', closed(api))];
    const [opens, closes, none] = await Promise.all([
      policy(['plan', '--delete', gone, '--against', as, '--fail-on', 'open']), policy(['plan', '--delete', gone, '--against', as, '--fail-on', 'close']), policy(['plan', '-f', gone, '--against', as, '--fail-on', 'any']),
    ]);
    expect([opens.code, closes.code, none.code]).toEqual([1, 0, 0]);
    expect(opens.out).toContain('no longer by the isolation of NetworkPolicy prod/db');
    expect(lines(none.out)).toEqual(['nothing opens and nothing closes']);
  });

  it('finds rules that would decide nothing, those of before counted only', async () => {
    const [as, to] = [file('rules/before.yaml', `${pods}---\n${closed(api)}    - from: [{ podSelector: { matchLabels: { app: nobody } } }]\n`), file('rules/after.yaml', closed(api).replace('name: db,', 'name: other,'))];
    const ended = await policy(['plan', '-f', to, '--against', as]);
    expect(lines(ended.out)).toEqual([
      'nothing opens and nothing closes', '', 'FINDING RULE WHY',
      'unreachable rule ingress[0] of NetworkPolicy prod/other always behind rule ingress[0] of NetworkPolicy prod/db', '', '1 rule was dead, unreachable or redundant before as well: -o json lists them',
    ]);
  });

  it('compares with the installation, where nothing is given to compare with', async () => {
    const to = file('live-plan.yaml', 'kind: policy\nname: db\nspec:\n  appliesTo: { matchTags: { app: db } }\n  ingress: []\n');
    const place = ['-d', 'acme', '-p', 'shop', '-e', 'staging'];
    const [ended, mixed] = await Promise.all([policy(['plan', '-f', to, ...place], { live: true }), policy(['plan', '-f', '-', ...place], { live: true, stdin: closed(api) })]);
    expect(lines(ended.out)).toContain('closes staging/api-1 → staging/db-1 TCP/5432 by the isolation of policy acme/shop/staging/db');
    expect([mixed.code, mixed.err]).toEqual([2, expect.stringContaining('--against FILES')]);
  });

  describe('on the running installation', () => {
    const to = (): string => file('live-plan.yaml', 'kind: policy\nname: db\nspec:\n  appliesTo: { matchTags: { app: db } }\n  ingress: []\n');
    const place = ['-d', 'acme', '-p', 'shop', '-e', 'staging'];
    const plan = (...more: string[]): Promise<Ended> => policy(['plan', '-f', to(), ...place, ...more], { live: true });
    const at = (name: string, port: number) => ({ address: '10.20.0.9', port, endpoint: `acme/shop/staging/${name}` });
    const open = (from: string, source: number, name: string, port: number, more: object = {}) => ({ ...scope, protocol: 'TCP', source: at(from, source), destination: at(name, port), nodes: ['n1'], ...more });
    const answer = (connections: object[], more: object = {}): void => void (openHere = { status: 200, body: { connections, nodes: ['n1', 'n2'], missing: [], notTold: 0, ...more } });
    const cause = { type: 'now', verdict: 'Deny', tier: 'Project', policy: 'acme/shop/staging/db', kind: 'policy', rule: 'default-deny' };

    it('says how many live connections would end, between whom, on which ports and by whose rule', async () => {
      answer([open('api-1', 1, 'db-1', 5432), open('api-1', 2, 'db-1', 5432), open('db-1', 3, 'api-1', 80), open('web-1', 4, 'db-1', 5432), open('api-1', 5, 'gone-1', 80)]);
      asked = [];
      const [human, json] = await Promise.all([plan(), plan('-o', 'json')]);
      expect(asked).toContain('GET /v1/connections?domain=acme&project=shop&environment=staging');
      expect(lines(human.out).slice(-7)).toEqual([
        '0 pairs open, 1 pair close', '', 'LIVE FROM → TO PORT CONNECTIONS WHY', 'ends staging/api-1 → staging/db-1 TCP/5432 2 by the isolation of policy acme/shop/staging/db', '',
        '2 live connections would end; 1 would go on', 'not decided for 1 live connection: an end of it is not among the endpoints that were read',
      ]);
      expect((JSON.parse(json.out) as { live: object }).live).toEqual({
        ends: [{ from: 'acme/shop/staging/api-1', to: 'acme/shop/staging/db-1', protocol: 'TCP', port: 5432, cause, connections: 2 }], drains: [], kept: [], goOn: 1, deniedBefore: 1,
        undecided: [{ reason: 'an end of it is not among the endpoints that were read', connections: 1 }], missing: [], notTold: 0,
      });
    });

    it('names nodes that did not answer, and what was not told', async () => {
      answer([], { missing: ['n2'], notTold: 3 });
      expect(lines((await plan()).out).slice(-3)).toEqual(['0 live connections would end; 0 would go on', 'n2 did not answer: what only it holds is not here', 'up to 3 more not told: ask about a smaller place']);
    });

    it('ends with 1 by --fail-on live where one would end, or that is not known', async () => {
      const code = async (): Promise<number> => (await plan('--fail-on', 'live')).code;
      answer([open('db-1', 3, 'api-1', 80)]);
      expect(await code()).toBe(0);
      answer([open('api-1', 1, 'db-1', 5432)]);
      expect(await code()).toBe(1);
      answer([], { missing: ['n2'] });
      expect(await code()).toBe(1);
      openHere = { status: 404, body: { problem: { code: 'unknown-route', path: '', reason: 'There is no GET /v1/connections here.', fix: 'Compare.' } } };
      expect(await code()).toBe(1);
    });

    it('says that they were not asked for, and never 0, where a server does not tell them', async () => {
      openHere = { status: 404, body: { problem: { code: 'unknown-route', path: '', reason: 'There is no GET /v1/connections here.', fix: 'Compare.' } } };
      const [human, json] = await Promise.all([plan(), plan('-o', 'json')]);
      expect([human.code, human.err]).toEqual([0, expect.stringContaining('live connections could not be asked for: this server is of a release that does not tell them')]);
      expect(human.out).not.toContain('live connection');
      expect((JSON.parse(json.out) as { live: unknown }).live).toBeNull();
      expect((await policy(['plan', '-f', to(), '--against', to(), '--fail-on', 'live'])).err).toContain('files have none');
    });

    it('shows the connections themselves', async () => {
      const told = { network: 'main', state: 'established', since: '2026-01-01T10:00:00.000Z', lastPacketAt: '2026-01-01T10:00:05.000Z', packets: { forward: 5, reply: 4 }, bytes: { forward: 500, reply: 400 }, decisions: [{ direction: 'ingress', policy: 'acme/shop/staging/db', policyId: 'p', rule: 'from-api' }], revision: 7 };
      answer([open('api-1', 1, 'db-1', 5432, told), open('api-1', 77, 'db-1', 0x0800, { ...told, protocol: 'ICMP' }), open('api-1', 78, 'db-1', 5432, { ...told, spared: { until: '2026-01-01T10:01:05.000Z' }, notAt: ['n3'] })], { missing: ['n2'] });
      const [human, json] = await Promise.all([osier(['connections', ...place], { live: true }), osier(['connections', '-A', '-o', 'json'], { live: true })]);
      expect([human.code, human.err.trim()]).toEqual([0, 'warning: n2 did not answer: what only it holds is not here']);
      expect(lines(human.out)).toEqual([
        'ENVIRONMENT CONNECTION STATE SINCE LAST PACKET PACKETS BYTES NODES RULES',
        'acme/shop/staging api-1:1 → db-1:5432 TCP established 2026-01-01T10:00:00 10:00:05 5/4 500/400 n1 rule from-api of acme/shop/staging/db (ingress)',
        'acme/shop/staging api-1 → db-1 ICMP established 2026-01-01T10:00:00 10:00:05 5/4 500/400 n1 rule from-api of acme/shop/staging/db (ingress)',
        'acme/shop/staging api-1:78 → db-1:5432 TCP established (drains until 10:01:05) 2026-01-01T10:00:00 10:00:05 5/4 500/400 n1,not n3 rule from-api of acme/shop/staging/db (ingress)',
      ]);
      expect(JSON.parse(json.out)).toMatchObject({ connections: [{ bytes: { forward: 500 } }, {}, { spared: {} }], missing: ['n2'] });
    });
  });

  it('refuses wrong usage with 2', async () => {
    const ended = await Promise.all([policy(['plan']), policy(['plan', '-f', '-', '--against', '-']), policy(['plan', '-f', '/nowhere', '--against', '/nowhere']), policy(['plan', '-f', '-', '--against', '-', '--fail-on', 'all']), policy(['plan', '-f', file('usage.yaml', closed(api)), '--against', '-'], { stdin: closed(api) })]);
    expect(ended.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2]);
    expect(ended[4]?.err).toContain('there is no pod, workload or endpoint');
  });
});

describe('osier reach without files', () => {
  const place = ['-d', 'acme', '-p', 'shop', '-e', 'staging'];
  const ask = (...args: string[]): Promise<Ended> => osier(['reach', ...place, ...args], { live: true });

  it("answers for the installation, by its documents' own names, addresses included", async () => {
    const said = await Promise.all([ask('--from', 'api-1', '--to', 'db-1', '--port', '5432', '-o', 'json'), ask('--from', 'web-1', '--to', 'ip:10.20.0.3', '--port', '5432', '-o', 'json')]);
    expect(said.map(({ code, err }) => [code, err])).toEqual([[0, ''], [0, '']]);
    expect(said.map(({ out }) => (JSON.parse(out) as { verdicts: object[] }).verdicts)).toMatchObject([
      [{ verdict: 'Allow', tier: 'Project', policy: 'acme/shop/staging/db', rule: 'from-api' }], [{ verdict: 'Deny', policy: 'acme/shop/staging/db', rule: 'default-deny' }],
    ]);
  });

  it('asks for what was then with --at, which files do not have', async () => {
    asked = [];
    const [then, files] = await Promise.all([ask('--at', '2h', '--from', 'api-1', '--to', 'db-1', '--port', '5432'), osier(['reach', '-f', '-', '--at', '5'])]);
    expect([then.code, asked.toSorted()]).toEqual([0, readFrom.map((path) => `GET ${path}?at=2h`)]);
    expect([files.code, files.err]).toEqual([2, expect.stringContaining('--at is about the installation')]);
  });

  it('asks about everybody where nobody is named', async () => {
    const { out } = await ask('-o', 'json');
    expect((JSON.parse(out) as { verdicts: object[] }).verdicts).toHaveLength(9);
  });

  it('says who is not there, that files are validated and no installation, and that files may be named where nothing runs', async () => {
    const [unknown, validating, nothing] = await Promise.all([ask('--from', 'nobody', '--to', 'db-1', '--port', '1'), ask('--validate'), osier(['reach', ...place])]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('there is no pod or endpoint "nobody" here')]);
    expect([validating.code, validating.err]).toEqual([2, expect.stringContaining('--validate is about files')]);
    expect([nothing.code, nothing.err]).toEqual([3, expect.stringContaining('or name files, with no service running: -f FILES')]);
  });
});
