import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

// Each command is a process of its own, and the machine may be busy.
jest.setTimeout(30_000);
const root = join(import.meta.dirname, '../../..');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'osier-reach-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended { code: number; out: string; err: string }
/** Nothing of a running Osier is to be found from here. */
function reach(args: string[], stdin = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'apps/cli/src/main.ts'), 'reach', ...args], {
      env: { PATH: process.env['PATH'], HOME: folder, NODE_COMPILE_CACHE: join(folder, 'compiled') }, timeout: 20_000, maxBuffer: 1 << 26,
    }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }));
    child.stdin?.on('error', () => undefined).end(stdin);
  });
}
function file(name: string, text: unknown): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text));
  return path;
}
type Verdict = Record<'from' | 'to' | 'verdict' | 'tier' | 'policy' | 'rule' | 'reason', string> & { port: number };
const verdicts = ({ out }: Ended): Verdict[] => (JSON.parse(out) as { verdicts: Verdict[] }).verdicts;

const pods = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop, labels: { app: web } }
spec: { containers: [{ name: c, ports: [{ name: http, containerPort: 8080 }] }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: db, namespace: shop }
spec: { template: { metadata: { labels: { app: db } }, spec: { containers: [{ name: c, ports: [{ name: db, containerPort: 5432 }] }] } } }
---
# What no verdict depends on.
apiVersion: v1
kind: Service
metadata: { name: db }
`;
const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: web } } }]
      ports: [{ port: db }]
`;

describe('osier reach', () => {
  it('answers from files and folders with no service running: a table, a sentence, JSON', async () => {
    file('all/a/pods.yaml', pods);
    file('all/policy.yml', policy);
    const [matrix, one, json] = await Promise.all([
      reach(['-f', join(folder, 'all')]), reach(['-f', join(folder, 'all'), '--from', 'shop/web', '--to', 'shop/db', '--port', '80']),
      reach(['-f', join(folder, 'all/a'), '-f', join(folder, 'all/policy.yml'), '--from', 'shop/web', '--to', 'shop/db', '-o', 'json']),
    ]);
    expect(matrix.code).toBe(0);
    expect(matrix.out.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
      'FROM TO PORT VERDICT DECIDED BY', 'shop/web shop/web TCP 8080 Allow itself', 'shop/web shop/db TCP 5432 Allow NetworkPolicy shop/db, ingress[0]',
      'shop/db shop/web TCP 8080 Allow no policy', 'shop/db shop/db TCP 5432 Allow itself', '', '4 asked: 4 allowed, 0 denied', '',
    ]);
    expect(one.out).toContain('Deny  shop/web → shop/db  TCP 80\n  The ingress of shop/db is isolated by NetworkPolicy shop/db, and no rule lets in TCP 80 from shop/web; rule ingress[0] of NetworkPolicy shop/db lets in TCP db.');
    expect(verdicts(json)).toMatchObject([{ from: 'shop/web', to: 'shop/db', protocol: 'TCP', port: 5432, verdict: 'Allow', tier: 'NetworkPolicy', policy: 'shop/db', rule: 'ingress[0]', ingress: { verdict: 'Allow' }, egress: { tier: 'Default' } }]);
  });

  it('answers a list of probes in its order, with the fields of each', async () => {
    const probes = [{ from: 'shop/db', to: 'shop/web', protocol: 'TCP', port: 8080, family: 4 }, { from: 'ip:2001:db8::1', to: 'shop/db', protocol: 'TCP', port: 5432 }, { from: 'shop/web', to: 'shop/db', port: 5432, id: 'third' }];
    const ended = await reach(['-f', '-', '--probes', file('probes.json', probes), '--output', 'json'], `${pods}---\n${policy}`);
    expect(ended.code).toBe(0);
    expect(verdicts(ended)).toMatchObject(probes.map((probe, i) => ({ ...probe, verdict: ['Allow', 'Deny', 'Allow'][i] })));
  });

  it('reads lists as kubectl prints them, and takes the last of what stands twice', async () => {
    const pod = (name: string, labels: object): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'x', labels } });
    const closed = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'closed', namespace: 'x' }, spec: { podSelector: { matchLabels: { app: 'b' } } } };
    const items = [pod('a', {}), pod('b', { app: 'b' }), closed];
    const of = async (text: unknown[]): Promise<string> => verdicts(await reach(['-f', '-', '--from', 'x/a', '--to', 'x/b', '--port', '1', '-o', 'json'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: text })))[0]?.verdict ?? '';
    expect(await Promise.all([of(items), of([...items, pod('b', { app: 'c' })]), of(items.slice(0, 2))])).toEqual(['Deny', 'Allow', 'Allow']);
    expect(verdicts(await reach(['-f', '-', '--from', 'x/a', '--to', 'x/b', '--port', '1', '-o', 'json'], JSON.stringify(items)))).toMatchObject([{ verdict: 'Deny' }]);
  });

  it.each([
    ['a pod that is not there', [{ from: 'shop/web', to: 'shop/web' , port: 1 }, { from: 'other/web', to: 'shop/db', port: 1 }], 'probes[1].from: there is no pod or endpoint "other/web"', 'Did you mean shop/web?'],
    ['no port', [{ from: 'shop/web', to: 'shop/db' }], 'probes[0].port: is required for TCP', 'Give a number'],
    ['a port in quotes', [{ from: 'shop/web', to: 'shop/db', port: '80' }], 'probes[0].port: "80" is not a port', 'without quotes'],
    ['an unknown protocol', [{ from: 'shop/web', to: 'shop/db', port: 80, protocol: 'tcp' }], 'probes[0].protocol: "tcp"', 'TCP, UDP, SCTP, ICMP'],
    ['an unknown field', [{ from: 'shop/web', to: 'shop/db', ports: 80 }], 'probes[0].ports: is not a field', 'Fields: from'],
    ['what is no address', [{ from: 'ip:10.0.0.256', to: 'shop/db', port: 80 }], 'probes[0].from: "ip:10.0.0.256" is not an address', 'ip:203.0.113.7'],
    ['a family that an address is not of', [{ from: 'ip:10.0.0.2', to: 'shop/db', port: 80, family: 6 }], 'probes[0].family: is 6', 'Correct'],
    ['no list', { from: 'shop/web' }, '--probes: ', 'Write a list'],
  ])('refuses a probe with %s, by its place and field', async (_what, probes, reason, fix) => {
    const ended = await reach(['-f', '-', '--probes', file(`bad-${reason.length}-${fix.length}.json`, probes)], pods);
    expect([ended.code, ended.out]).toEqual([1, '']);
    expect(ended.err).toContain(reason);
    expect(ended.err).toContain(fix);
  });

  it('refuses to guess about what cannot be evaluated, and says of which field', async () => {
    const names = { apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: 'AdminNetworkPolicy', metadata: { name: 'names' }, spec: { priority: 1, subject: { namespaces: {} }, egress: [{ action: 'Allow', to: [{ domainNames: ['example.com'] }] }] } };
    const path = file('names.json', names);
    const ask = (to: string): Promise<Ended> => reach(['-f', '-', '-f', path, '--from', 'shop/web', '--to', to, '--port', '443', '-o', 'json'], pods);
    const [outside, inside, valid] = await Promise.all([ask('ip:203.0.113.7'), ask('shop/db'), reach(['--validate', '-f', path])]);
    expect([outside.code, inside.code, valid.code]).toEqual([1, 0, 0]);
    expect(outside.err).toContain('not decided is shop/web → ip:203.0.113.7, which depends on what cannot be evaluated: AdminNetworkPolicy names, spec.egress[0].to[0].domainNames');
    const probes = file('names-probes.json', ['shop/db', 'ip:203.0.113.7', 'shop/db'].map((to) => ({ from: 'shop/web', to, port: 443 })));
    const [many, table] = await Promise.all([['-o', 'json'], []].map((more) => reach(['-f', '-', '-f', path, '--probes', probes, ...more], pods)));
    expect(many?.code).toBe(1);
    expect(verdicts(many as Ended)).toMatchObject([{ verdict: 'Allow' }, { verdict: 'Undecided', tier: null, policy: 'names', rule: null, reason: expect.stringContaining('domainNames'), egress: null }, { verdict: 'Allow' }]);
    expect(table?.out).toContain('3 asked: 2 allowed, 0 denied, 1 not decided');
  });

  it('takes objects whose names a server makes for as many as there are', async () => {
    const pod = (name: string): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'x', labels: { app: name } } });
    const from = (app: string): object => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { generateName: 'p-', namespace: 'x' }, spec: { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }] } });
    const made = { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'w-', namespace: 'x', labels: { app: 'a' } } };
    const ended = await reach(['-f', '-', '--to', 'x/db', '--port', '1', '-o', 'json'], JSON.stringify([...['a', 'b', 'c', 'db'].map(pod), made, made, from('a'), from('b')]));
    expect(verdicts(ended).map(({ from: who, verdict, policy }) => `${who} ${verdict} ${policy}`)).toEqual(['x/a Allow x/p-', 'x/b Allow x/p-(2)', 'x/c Deny x/p-', 'x/db Allow null', 'x/w- Allow x/p-', 'x/w-(2) Allow x/p-']);
  });

  it('reads JSON documents one after another', async () => {
    const pod = (name: string): string => JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'x', annotations: { 'a': '}{' } } });
    for (const between of ['', '\n', '\n\n  ']) expect((await reach(['-f', '-', '-o', 'json'], [pod('a'), pod('b')].join(between))).out).toContain('"to":"x/b"');
    const broken = await reach(['--validate', '-f', '-'], [pod('a'), JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'B' } }, undefined, 1)].join('\n'));
    expect(broken.out).toContain('<stdin>:6: Pod default/B, metadata.name');
    expect((await reach(['--validate', '-f', '-'], `${pod('a')}\n{"kind":`)).out).toContain('is not YAML');
  });

  it('reads numbers as Kubernetes does: an octal port, a label that no number can be', async () => {
    const text = policy.replace('port: db', 'port: 0120').replace('app: web', 'app: 123e4567');
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: { name: x, namespace: shop, labels: { app: 123e4567 } }\n';
    const ended = await Promise.all([80, 120].map((port) => reach(['-f', '-', '--from', 'shop/x', '--to', 'shop/db', '--port', String(port), '-o', 'json'], `${pods}---\n${pod}---\n${text}`)));
    expect(ended.map((one) => verdicts(one)[0]?.verdict)).toEqual(['Allow', 'Deny']);
  });

  it('refuses wrong usage', async () => {
    const ended = await Promise.all([reach(['-f', '/nowhere']), reach(['-f', '-', '--probes', 'x', '--from', 'a/b']), reach(['-f', '-', '--port', 'http'], pods), reach(['-f', '-', '--protocol', 'tcp'], pods)]);
    expect(ended.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  });
});

describe('osier reach --validate', () => {
  const bad = policy.replace('port: db', 'port: 80000').replace('podSelector: { matchLabels: { app: db } }', 'podSelector: { matchLabel: { app: db } }');

  it('says of each object what an API server would reject, with file, line and field', async () => {
    const path = file('bad.yaml', `${pods}---\n${bad}`);
    const [human, machine, evaluated] = await Promise.all([reach(['--validate', '-f', path]), reach(['--validate', '-f', path, '-o', 'json']), reach(['-f', path])]);
    expect([human.code, machine.code, evaluated.code]).toEqual([1, 1, 1]);
    expect(human.out).toContain(`${path}:24: NetworkPolicy shop/db, spec.ingress[0].ports[0].port: must be between 1 and 65535, inclusive, and is 80000`);
    expect(human.out).toContain('4 objects; 1 of them of kinds that no verdict depends on, and not looked into: 1 would be rejected');
    const { valid, problems } = JSON.parse(machine.out) as { valid: boolean; problems: Record<string, unknown>[] };
    expect(valid).toBe(false);
    expect(problems.map(({ file: at, document, kind, namespace, name, field, line }) => [at === path, document, kind, namespace, name, field, line])).toEqual([
      [true, 3, 'NetworkPolicy', 'shop', 'db', 'spec.podSelector.matchLabel', 21], [true, 3, 'NetworkPolicy', 'shop', 'db', 'spec.ingress[0].ports[0].port', 24],
    ]);
    expect(evaluated.err).toContain('nothing was computed');
  });

  it('is content with what is in order, and warns of CIDRs that newer servers refuse', async () => {
    const odd = policy.replace('{ podSelector: { matchLabels: { app: web } } }', '{ ipBlock: { cidr: 10.0.0.5/24 } }');
    const [good, warned, strict] = await Promise.all([reach(['--validate', '-f', '-'], policy), reach(['--validate', '-f', '-'], odd), reach(['--validate', '--strict-cidr', '-f', '-'], odd)]);
    expect([good.code, warned.code, strict.code]).toEqual([0, 0, 1]);
    expect(good.out).toBe('1 objects: all would be accepted\n');
    expect(warned.out).toContain('spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.5/24" must not have bits set beyond the prefix length (a warning');
  });

  it('reads anchors and merge keys, as Kubernetes does', async () => {
    const text = policy.replace('{ matchLabels: { app: db } }', '{ matchLabels: &labels { app: db } }').replace('{ app: web }', '{ <<: *labels, role: front }');
    expect(await reach(['--validate', '-f', '-'], text)).toMatchObject({ code: 0 });
    const pod = (name: string, app: string): string => `---\napiVersion: v1\nkind: Pod\nmetadata: { name: ${name}, namespace: shop, labels: { app: ${app}, role: front } }\nspec: { containers: [{ ports: [{ name: db, containerPort: 1 }] }] }\n`;
    const ask = async (from: string): Promise<string | undefined> => verdicts(await reach(['-f', '-', '--from', from, '--to', 'shop/a', '-o', 'json'], `${text}${pod('a', 'db')}${pod('b', 'db')}${pod('c', 'web')}`))[0]?.verdict;
    expect(await Promise.all([ask('shop/b'), ask('shop/c')])).toEqual(['Allow', 'Deny']);
  });

  it.each([
    ['what is not YAML', 'kind: "x', 'is not YAML'],
    ['an alias inside of what it means', 'apiVersion: v1\nkind: Pod\nmetadata: &a\n  name: x\n  labels: *a', 'is not YAML: an alias stands inside of what it means'],
    ['what is no object', '- a', '<stdin>:1: The document is not an object'],
    ['a key twice, in YAML', policy.replace('spec:', 'spec: {}\nspec:'), 'is not YAML: Map keys must be unique'],
    ['a key twice, in JSON', '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a","name":"b"}}', 'is not YAML: Map keys must be unique'],
    ['yes without quotes, which is a boolean to Kubernetes', policy.replace('app: db', 'app: yes'), 'spec.podSelector.matchLabels.app: must be a string, not true'],
    ['a policy of a kind that is not understood', 'apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\nmetadata: { name: x }', 'kind: GlobalNetworkPolicy of crd.projectcalico.org/v1 decides about traffic'],
  ])('rejects %s', async (_what, text, reason) => {
    const ended = await reach(['--validate', '-f', '-'], text);
    expect(ended.code).toBe(1);
    expect(ended.out).toContain(reason);
  });
});

describe("osier reach with Osier's own documents", () => {
  const documents = (environment: string): string => `
kind: endpoint
environment: ${environment}
name: web
spec: { network: main, node: n1, tags: { app: web }, attachment: { containerId: web } }
---
kind: endpoint
environment: ${environment}
name: db
spec: { network: main, node: n1, tags: { app: db }, attachment: { containerId: db }, ports: [{ protocol: TCP, port: 5432 }] }
---
kind: policy
environment: ${environment}
name: db
spec:
  appliesTo: { matchTags: { app: db } }
  ingress: [{ name: from-web, from: [{ endpoints: { matchTags: { app: web } } }], ports: [{ protocol: TCP, port: 5432 }] }]
`;
  const place = ['-d', 'acme', '-p', 'shop', '-o', 'json'];

  it('knows endpoints by environment and name, and keeps environments apart', async () => {
    const both = `${documents('staging')}---${documents('production')}`;
    const ask = (from: string, to: string, port: string): Promise<Ended> => reach(['-f', '-', '--from', from, '--to', to, '--port', port, ...place], both);
    const ended = await Promise.all([ask('staging/web', 'staging/db', '5432'), ask('staging/web', 'staging/db', '80'), ask('staging/web', 'production/db', '5432'), ask('web', 'staging/db', '1')]);
    expect(verdicts(ended[0] as Ended)).toMatchObject([{ verdict: 'Allow', tier: 'Project', policy: 'acme/shop/staging/db', rule: 'from-web' }]);
    expect(verdicts(ended[1] as Ended)).toMatchObject([{ verdict: 'Deny', rule: 'default-deny' }]);
    expect(verdicts(ended[2] as Ended)).toMatchObject([{ verdict: 'Deny', tier: 'Network', rule: 'unreachable' }]);
    expect((ended[3] as Ended).out).toContain('\\"web\\" is ambiguous');
  });

  const wide = `---
kind: domain-policy
name: stages
spec: { tier: Admin, scope: { environments: [staging] }, appliesTo: { matchTags: { app: db } }, ingress: [{ name: no-offices, action: Deny, from: [{ cidr: 10.0.0.0/30 }], ports: [{ protocol: TCP, port: 5000, endPort: 6000 }] }] }
---
kind: address-group
name: offices
spec: { cidrs: [10.0.0.0/24] }
`;
  const ofGroup = (mode: string): string => `---
kind: project-policy
name: closed
spec: { mode: ${mode}, tier: Admin, appliesTo: { matchTags: { app: db } }, ingress: [{ name: not-offices, action: Deny, from: [{ addressGroup: offices }] }] }
`;
  const at = (text: string): string => text.replaceAll('tags: { app: web }', 'tags: { app: web }, address: 10.0.0.1').replaceAll('tags: { app: db }', 'tags: { app: db }, address: 10.0.0.9');
  const asked = ['-f', '-', '--from', 'web', '--to', 'db', '--port', '5432', ...place];

  it('reads policies of every scope, which name groups of their project', async () => {
    const [staging, production, grouped] = await Promise.all([reach(asked, at(documents('staging')) + wide), reach(asked, at(documents('production')) + wide), reach(asked, at(documents('production')) + wide + ofGroup('enforced'))]);
    expect(verdicts(staging)).toMatchObject([{ verdict: 'Deny', tier: 'DomainAdmin', kind: 'domain-policy', policy: 'acme/stages', rule: 'no-offices', reason: 'Rule no-offices of domain-policy acme/stages denies the ingress of acme/shop/staging/db from acme/shop/staging/web on TCP 5432.' }]);
    expect(verdicts(production)).toMatchObject([{ verdict: 'Allow', tier: 'Project' }]);
    expect(verdicts(grouped)).toMatchObject([{ verdict: 'Deny', tier: 'ProjectAdmin', policy: 'acme/shop/closed', rule: 'not-offices' }]);
  });

  it('leaves shadow policies out, unless they are asked for', async () => {
    const text = at(documents('production')) + wide + ofGroup('shadow');
    const [now, promoted] = await Promise.all([reach(asked, text), reach([...asked, '--shadows'], text)]);
    expect([verdicts(now), verdicts(promoted)]).toMatchObject([[{ verdict: 'Allow' }], [{ verdict: 'Deny', rule: 'not-offices' }]]);
  });

  it('says of a group that nobody gave who is let through by it: nobody', async () => {
    const ended = await reach(asked, at(documents('production')) + ofGroup('enforced'));
    expect(verdicts(ended)).toMatchObject([{ verdict: 'Deny', rule: 'not-offices' }]);
    expect(ended.err).toContain('project-policy acme/shop/closed, spec.ingress[0].from[0].addressGroup: the address-group "offices" is not among what was read');
  });

  it('refuses what does not go together in a rule, as the service does', async () => {
    const ended = await reach(asked, at(documents('production')) + wide.replace('cidr: 10.0.0.0/30', 'cidr: 10.0.0.0/30, endpoints: {}'));
    expect([ended.code, ended.out]).toEqual([1, expect.stringContaining('"field": "spec.ingress[0].from[0]"')]);
  });

  it('checks them by the contracts, and does not mix them with manifests', async () => {
    const ended = await Promise.all([reach(['-f', '-', ...place], documents('staging').replace('appliesTo', 'applies')), reach(['-f', '-', ...place], `${documents('staging')}---\n${policy}`)]);
    expect(ended.map(({ code }) => code)).toEqual([1, 2]);
    expect(ended[0]?.out).toContain('"field": "spec.');
    expect(ended[1]?.out).toContain('one at a time');
  });
});
