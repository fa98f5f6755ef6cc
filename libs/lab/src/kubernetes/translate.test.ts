import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { applySchema } from '@osier/contracts/catalogue';
import { parse } from '@osier/contracts/problem';
import { namespaceTag } from '@osier/domain/kubernetes/documents';
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
const given = (text: string) => translate([{ name: 'a.yaml', text }], 'lab');

describe('workloads and services', () => {
  it('become workloads with the labels of their pods and namespace, and the ports of their containers', () => {
    expect(given(web).workloads).toEqual([{ name: 'web', path: 'default/web', tags: { app: 'web', [namespaceTag]: 'default' }, ports: [{ name: 'http', protocol: 'TCP', port: 8080 }] }]);
  });
  it('a pod keeps its address', () => {
    expect(given('apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: {}\nstatus: { podIP: 10.1.2.3 }').workloads).toMatchObject([{ name: 'p', address: '10.1.2.3' }]);
  });
  it('a service names its target by number or by name, among the pods of its namespace', () => {
    const service = (namespace: string) => `---\napiVersion: v1\nkind: Service\nmetadata: { name: shop, namespace: ${namespace} }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }, { name: b, port: 8080 }] }\n`;
    expect(given(web + service('default')).services).toEqual([{ name: 'shop', path: 'default/shop', selector: { app: 'web', [namespaceTag]: 'default' }, ports: [{ protocol: 'TCP', port: 80, targetPort: 8080 }, { name: 'b', protocol: 'TCP', port: 8080, targetPort: 8080 }] }]);
    expect(() => given(web + service('other'))).toThrow(/^a\.yaml:\d+ Service shop, spec\.ports\[0\]\.targetPort: "http" names no port of the pods that it selects/);
  });
  it('documents that hold only comments are none, a List is its items, other kinds are named as ignored', () => {
    const list = '# only a comment\n---\n# and another\n---\napiVersion: v1\nkind: List\nitems: [{ apiVersion: v1, kind: ServiceAccount, metadata: { name: sa } }]\n';
    expect(given(list)).toMatchObject({ workloads: [], ignored: [{ kind: 'ServiceAccount', name: 'sa' }] });
  });
  it('the same name in two namespaces is two workloads', () => {
    expect(given(`${web}---${web.replace('name: web', 'name: web, namespace: shop')}`).workloads.map(({ name, path }) => [name, path])).toEqual([['web', 'default/web'], ['shop--web', 'shop/web']]);
  });
});

describe('policies', () => {
  it('of a namespace are policies of the environment, those of the cluster of its project', () => {
    const admin = '---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: { name: a }\nspec: { priority: 5, subject: { namespaces: {} }, ingress: [{ action: Deny, from: [{ namespaces: {} }] }] }\n';
    const { policies, projectPolicies } = given(web + networkPolicy('{ podSelector: {} }') + admin);
    expect(policies).toMatchObject([{ name: 'np', spec: { appliesTo: { matchTags: { [namespaceTag]: 'default' } }, isolates: ['ingress'] } }]);
    expect(projectPolicies).toMatchObject([{ name: 'lab--a--anp', spec: { tier: 'Admin', priority: 5, scope: { environments: ['lab'] } } }]);
  });
});

describe('what cannot be carried over is refused by file, line, object and field', () => {
  const ingress = (rule: string): string => web + networkPolicy(`{ podSelector: {}, ingress: [${rule}] }`);
  const table: [string, string, RegExp][] = [
    ['a block that is none', ingress('{ from: [{ ipBlock: { cidr: ten } }] }'), /^a\.yaml:\d+ NetworkPolicy np, spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr: "ten"/],
    ['a peer that says nothing', ingress('{ from: [{}] }'), /spec\.ingress\[0\]\.from\[0\]: must specify a peer/],
    ['an unknown policy type', web + networkPolicy('{ podSelector: {}, policyTypes: [Both] }'), /policyTypes\[0\]: "Both"/],
    ['a protocol that is none', deployment('w', '{}', '[{ containerPort: 1, protocol: IP }]'), /Deployment w, spec\.template\.spec\.containers\[0\]\.ports\[0\]\.protocol/],
    ['a policy of a kind that nobody reads here', `${web}---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: c }\n`, /CiliumNetworkPolicy c, kind: .*is not understood/],
    ['a label that would pass for one of the namespace', deployment('w', '{ namespace/team: a }'), /^a\.yaml:2 Deployment w, metadata\.labels\.namespace\/team: /],
    ['the same name twice', `${web}---${web}`, /Deployment web, metadata\.name: the same Deployment is in a\.yaml:2/],
    ['no YAML', 'a: [', /^a\.yaml:1/],
    ['no Kubernetes object', 'a: 1', /^a\.yaml:1, kind: is required/],
    ['an object without a name', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {}', /ConfigMap , metadata\.name/],
  ];
  it.each(table)('%s', (_what, text, message) => {
    expect(() => given(text)).toThrow(message);
  });
});

describe('Online Boutique', () => {
  const folder = join(repository, 'test/data/online-boutique');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort().map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
  const application = translate(files, 'lab');

  it('is twelve workloads with eleven ports, twelve services and thirteen policies', () => {
    expect(application.workloads).toHaveLength(12);
    expect(application.workloads.flatMap((w) => w.ports)).toHaveLength(11);
    expect(application.services).toHaveLength(12);
    expect(application.policies).toHaveLength(13);
    expect(application.leftOut).toEqual([]);
  });
  it('gives policies that the contracts accept', () => {
    for (const policy of application.policies) expect(parse(applySchema('policy'), policy)).toMatchObject({ ok: true });
  });
});
