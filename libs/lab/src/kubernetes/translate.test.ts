import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { applySchema } from '@osier/contracts/catalogue';
import { parse } from '@osier/contracts/problem';
import { repository } from '../paths.ts';
import { translate } from './translate.ts';

const deployment = (name: string, labels: string, ports = '[]'): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec: { template: { metadata: { labels: ${labels} }, spec: { containers: [{ name: main, ports: ${ports} }] } } }
`;
const networkPolicy = (spec: string): string => `---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: np }\nspec: ${spec}\n`;
const web = deployment('web', '{ app: web }', '[{ name: http, containerPort: 8080 }]');
const given = (text: string) => translate([{ name: 'a.yaml', text }]);
const policyFrom = (spec: string, more = web) => given(more + networkPolicy(spec)).policies[0]?.spec;

describe('deployments and services', () => {
  it('become workloads with the labels and container ports of their pods', () => {
    expect(given(web).workloads).toEqual([{ name: 'web', tags: { app: 'web' }, ports: [{ name: 'http', protocol: 'TCP', port: 8080 }] }]);
  });
  it('a service names its target by number or by name', () => {
    const service = '---\nkind: Service\nmetadata: { name: shop }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }, { name: b, port: 8080 }] }\n';
    expect(given(web + service).services).toEqual([{ name: 'shop', selector: { app: 'web' }, ports: [{ protocol: 'TCP', port: 80, targetPort: 8080 }, { name: 'b', protocol: 'TCP', port: 8080, targetPort: 8080 }] }]);
  });
  it('documents that hold only comments are none, a List is its items, other kinds are named as ignored', () => {
    const list = '# only a comment\n---\n# and another\n---\nkind: List\nitems: [{ kind: ServiceAccount, metadata: { name: sa } }]\n';
    expect(given(list)).toMatchObject({ workloads: [], ignored: [{ kind: 'ServiceAccount', name: 'sa' }] });
  });
});

describe('network policies', () => {
  it.each([
    ['no policyTypes and no egress: ingress only', '{ podSelector: {} }', ['ingress']],
    ['no policyTypes, egress rules: both', '{ podSelector: {}, egress: [{}] }', ['ingress', 'egress']],
    ['no policyTypes, an empty egress list: ingress only', '{ podSelector: {}, egress: [] }', ['ingress']],
    ['policyTypes as they are', '{ podSelector: {}, policyTypes: [Egress] }', ['egress']],
  ])('%s', (_what, spec, isolates) => {
    expect(policyFrom(spec)).toMatchObject({ appliesTo: {}, isolates });
  });
  it('rules of a direction that policyTypes leaves out say nothing', () => {
    expect(policyFrom('{ podSelector: {}, policyTypes: [Egress], ingress: [{}] }')).not.toHaveProperty('ingress');
  });
  it('an empty rule allows everyone on every port', () => {
    expect(policyFrom('{ podSelector: {}, ingress: [{}] }')).toMatchObject({ ingress: [{ action: 'Allow' }] });
    expect(policyFrom('{ podSelector: {}, ingress: [{}] }')?.ingress?.[0]).toEqual({ action: 'Allow' });
  });
  it('an empty list of peers or ports means any', () => {
    expect(policyFrom('{ podSelector: {}, ingress: [{ from: [], ports: [] }] }')?.ingress?.[0]).toEqual({ action: 'Allow' });
  });
  it('peers, expressions and ports are carried over', () => {
    const spec = '{ podSelector: { matchLabels: { app: web } }, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: tier, operator: In, values: [front] }] } }], ports: [{ port: 80 }, { protocol: UDP, port: 53 }, { protocol: UDP }] }] }';
    expect(policyFrom(spec)).toEqual({
      appliesTo: { matchTags: { app: 'web' } }, priority: 1000, isolates: ['ingress'],
      ingress: [{ action: 'Allow', from: [{ endpoints: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['front'] }] } }], ports: [{ protocol: 'TCP', port: 80 }, { protocol: 'UDP', port: 53 }, { protocol: 'UDP' }] }],
    });
  });
  it('a port by name, a range, and a block with exceptions are what they are', () => {
    expect(policyFrom('{ podSelector: { matchLabels: { app: web } }, ingress: [{ ports: [{ port: http }, { port: 80, endPort: 90 }] }] }')?.ingress?.[0]?.ports).toEqual([{ protocol: 'TCP', portName: 'http' }, { protocol: 'TCP', port: 80, endPort: 90 }]);
    expect(policyFrom('{ podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: 10.0.0.7/8, except: [10.1.0.0/16] } }, { ipBlock: { cidr: 0.0.0.0/0 } }] }] }')?.egress?.[0]?.to).toEqual([{ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }, { cidr: '0.0.0.0/0' }]);
  });
});

describe('what cannot be carried over is refused by file, line, object and field', () => {
  const ingress = (rule: string): string => web + networkPolicy(`{ podSelector: {}, ingress: [${rule}] }`);
  const table: [string, string, RegExp][] = [
    ['peers by address of IPv6', ingress('{ from: [{ ipBlock: { cidr: "2001:db8::/32" } }] }'), /^a\.yaml:\d+ NetworkPolicy np, spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr: IPv6/],
    ['a block that is none', ingress('{ from: [{ ipBlock: { cidr: ten } }] }'), /ipBlock\.cidr: "ten" is no CIDR/],
    ['peers of other namespaces', ingress('{ from: [{ namespaceSelector: {}, podSelector: {} }] }'), /from\[0\]\.namespaceSelector: /],
    ['a peer that says nothing', ingress('{ from: [{}] }'), /spec\.ingress\[0\]\.from\[0\]: /],
    ['SCTP', ingress('{ ports: [{ port: 80, protocol: SCTP }] }'), /ports\[0\]\.protocol: SCTP/],
    ['SCTP of a container', deployment('w', '{}', '[{ containerPort: 1, protocol: SCTP }]'), /Deployment w, spec\.template\.spec\.containers\[0\]\.ports\[0\]\.protocol/],
    ['an unknown policy type', web + networkPolicy('{ podSelector: {}, policyTypes: [Both] }'), /policyTypes\[0\]: "Both"/],
    ['other workloads', '---\nkind: StatefulSet\nmetadata: { name: db }\n', /a\.yaml:\d+ StatefulSet db, kind/],
    ['the same name twice', `${web}---${web}`, /Deployment web, metadata\.name: the same Deployment is in a\.yaml:2/],
    ['no YAML', 'a: [', /^a\.yaml:1/],
    ['no Kubernetes object', 'a: 1', /has no kind/],
    ['a name that Osier does not have', deployment('a.b', '{}'), /metadata\.name: is no name in Osier/],
  ];
  it.each(table)('%s', (_what, text, message) => {
    expect(() => given(text)).toThrow(message);
  });
});

describe('Online Boutique', () => {
  const folder = join(repository, 'test/data/online-boutique');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort().map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
  const application = translate(files);

  it('is twelve workloads with eleven ports, twelve services and thirteen policies', () => {
    expect(application.workloads).toHaveLength(12);
    expect(application.workloads.flatMap((w) => w.ports)).toHaveLength(11);
    expect(application.services).toHaveLength(12);
    expect(application.policies).toHaveLength(13);
  });
  it('gives policies that the contracts accept', () => {
    for (const policy of application.policies) expect(parse(applySchema('policy'), policy)).toMatchObject({ ok: true });
  });
});
