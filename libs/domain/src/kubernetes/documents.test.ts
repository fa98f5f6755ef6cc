import { describe, expect, it } from '@jest/globals';
import { kinds } from '@osier/contracts/kinds';
import { digest } from '../../test/policies.ts';
import { Oracle } from '../../test/reach/oracle.ts';
import { randomOf } from '../../test/reach/random.ts';
import { cluster } from '../../test/reach/worlds.ts';
import { policyProblem } from '../policy/validate.ts';
import { decide } from '../rules/decide.ts';
import { hasOpaque, indexWorld } from '../rules/index-world.ts';
import type { World } from '../rules/model.ts';
import { type OsierPolicy, osierParty, osierPolicy, scopeTagsOf } from '../rules/osier.ts';
import { checkObject, worldOf } from './cluster.ts';
import { type Documents, documentsOf } from './documents.ts';

const scope = { domain: 'acme', project: 'shop', environment: 'lab' };
const environment = 'acme/shop/lab';
const read = (objects: readonly unknown[]): World => worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest));
const made = (...objects: unknown[]): Documents => documentsOf(read(objects), { environment: scope.environment, digest });

/** The documents as services would take them. */
function worldOfDocuments({ endpoints, policies, projectPolicies }: Documents): World {
  const all = [
    ...policies.map(({ name, spec }) => ({ ...scope, kind: 'policy' as const, path: `${environment}/${name}`, spec: kinds.policy.spec.parse(spec) })),
    ...projectPolicies.map(({ name, spec }) => ({ ...scope, environment: '_', kind: 'project-policy' as const, path: `acme/shop/${name}`, spec: kinds['project-policy'].spec.parse(spec) })),
  ] satisfies OsierPolicy[];
  for (const document of all) expect(policyProblem(document.kind, document.spec)).toBeUndefined();
  return {
    scopes: [{ name: environment, tags: scopeTagsOf(environment) }], nodes: [], policies: all.map((document) => osierPolicy(document)),
    parties: endpoints.map(({ name, path: _, ...spec }) => osierParty({ path: name, environment, spec: kinds.endpoint.spec.parse({ ...spec, network: 'main', node: 'node-1', attachment: { containerId: name } }) })),
  };
}

const pod = (namespace: string, name: string, more: Record<string, unknown> = {}) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { app: name } }, spec: { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 80 }] }] }, ...more });
const networkPolicy = (namespace: string, name: string, spec: unknown) => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec });
const admin = (name: string, rules: unknown) => ({ apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: 'AdminNetworkPolicy', metadata: { name }, spec: { priority: 7, subject: { namespaces: {} }, ...rules as object } });

describe('a cluster as documents', () => {
  it('decides what an oracle decides that reads the manifests, for pairs of random clusters with every kind of policy', () => {
    let [count, denied, wide] = [0, 0, 0];
    const wrong: string[] = [];
    for (let seed = 1; seed <= 150; seed++) {
      const r = randomOf(seed * 7);
      const objects = cluster(r);
      const world = read(objects);
      if (hasOpaque(world)) continue;
      const documents = documentsOf(world, { environment: scope.environment, digest });
      expect(documents.problems).toEqual([]);
      wide += documents.projectPolicies.length;
      const index = indexWorld(worldOfDocuments(documents));
      const oracle = new Oracle(objects);
      const pods = documents.endpoints.filter(({ address }) => address !== undefined);
      for (let n = 0; n < 60 && pods.length > 1; n++) {
        const [from, to, protocol, port] = [r.pick(pods), r.pick(pods), r.pick(['TCP', 'UDP', 'SCTP']), r.pick([53, 79, 80, 81, 82, 443, 5432])];
        if (from === to) continue;
        const opinion = oracle.ask({ from: from.path, to: to.path, protocol, port, family: 4 });
        const [source, destination] = [from, to].map(({ name }) => index.party(name));
        if (source === undefined || destination === undefined) throw new Error('an endpoint that is no party');
        const { verdict } = decide(index, { from: source, to: destination, protocol, port, family: 4 });
        count++;
        if (verdict === 'Deny') denied++;
        if (verdict !== opinion.verdict) wrong.push(`seed ${seed}: ${from.path} → ${to.path} ${protocol} ${port}: ${verdict}, oracle ${JSON.stringify(opinion)}`);
      }
    }
    expect(wrong.slice(0, 10)).toEqual([]);
    expect(count).toBeGreaterThan(3_000);
    expect(denied / count).toBeGreaterThan(0.1);
    expect(wide).toBeGreaterThan(100);
  });

  it('names what is in the namespace default as it is, and everything else after its namespace; no two become one', () => {
    const long = 'n'.repeat(60);
    const { endpoints } = made(pod('default', 'web'), pod('shop', 'web'), pod('default', 'shop--web'), pod('shop', 'a.b'), pod('shop', 'a-b'), pod('shop', long), pod('shop', `${long}x`));
    const names = endpoints.map(({ name }) => name);
    expect(names.slice(0, 2)).toEqual(['web', 'shop--web']);
    expect(names[2]).toMatch(/^shop-web--[0-9a-f]{8}$/);
    expect(names[3]).toMatch(/^shop-a-b--[0-9a-f]{8}$/);
    expect(names[4]).toBe('shop--a-b');
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(kinds.endpoint.spec.shape.network.safeParse(name).success).toBe(true);
  });

  it('gives each endpoint the labels of its namespace, and refuses a label that would pass for one', () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'a', 'example.com/x': 'b' } } };
    expect(made(namespace, pod('shop', 'web')).endpoints[0]).toEqual({
      name: 'shop--web', path: 'shop/web', ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
      tags: { app: 'web', 'namespace.kubernetes.io/metadata.name': 'shop', 'namespace/team': 'a', 'namespace.example.com/x': 'b' },
    });
    for (const key of ['namespace/team', 'namespace.kubernetes.io/metadata.name']) {
      expect(made(pod('shop', 'web', { metadata: { name: 'web', namespace: 'shop', labels: { [key]: 'other' } } })).problems).toMatchObject([{ kind: 'pod', name: 'shop/web', field: `metadata.labels.${key}` }]);
    }
  });

  it('keeps the names of policies and rules where they can be read', () => {
    const { policies, projectPolicies } = made(
      networkPolicy('shop', 'db', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }], ports: [{ port: 5432, endPort: 5433 }, { port: 'http', protocol: 'UDP' }] }] }),
      admin('no-telnet', { egress: [{ name: 'telnet', action: 'Deny', to: [{ networks: ['10.0.0.0/8'] }], ports: [{ portNumber: { port: 23 } }] }, { name: 'Not a name', action: 'Pass', to: [{ namespaces: {} }], ports: [{ namedPort: 'http' }] }] }),
    );
    const own = { 'namespace.kubernetes.io/metadata.name': 'shop' };
    expect(policies).toEqual([{
      name: 'shop--db', spec: {
        description: 'NetworkPolicy shop/db', appliesTo: { matchTags: { ...own, app: 'db' } }, priority: 1000, isolates: ['ingress'],
        ingress: [{ name: 'ingress-0', action: 'Allow', from: [{ endpoints: { matchTags: { ...own, app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432, endPort: 5433 }, { protocol: 'UDP', portName: 'http' }] }],
      },
    }]);
    expect(projectPolicies).toEqual([{
      name: 'lab--no-telnet--anp', spec: {
        description: 'AdminNetworkPolicy no-telnet', appliesTo: {}, priority: 7, tier: 'Admin', scope: { environments: ['lab'] },
        egress: [
          { name: 'telnet', action: 'Deny', to: [{ cidr: '10.0.0.0/8' }], ports: [{ protocol: 'TCP', port: 23 }] },
          { name: 'egress-1', action: 'Pass', to: [{ endpoints: {} }], ports: ['TCP', 'UDP', 'SCTP'].map((protocol) => ({ protocol, portName: 'http' })) },
        ],
      },
    }]);
  });

  it('says what means nobody here, and isolates all the same', () => {
    const { policies, leftOut, endpoints, problems } = made(
      pod('shop', 'agent', { spec: { containers: [], hostNetwork: true } }), pod('shop', 'job', { status: { phase: 'Succeeded' } }),
      networkPolicy('shop', 'six', { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '2001:db8::/32' } }] }] }),
      admin('far', { egress: [{ action: 'Allow', to: [{ nodes: {} }, { domainNames: ['example.com'] }] }] }),
    );
    expect([endpoints, problems]).toEqual([[], []]);
    expect(policies[0]?.spec).toEqual({ description: 'NetworkPolicy shop/six', appliesTo: { matchTags: { 'namespace.kubernetes.io/metadata.name': 'shop' } }, priority: 1000, isolates: ['ingress'] });
    expect(leftOut).toEqual([
      'shop/agent: it is in the network of its node, which no environment holds', 'shop/job: it has ended',
      'NetworkPolicy shop/six: the block 2001:db8::/32 means nobody here: endpoints have IPv4 addresses only',
      'AdminNetworkPolicy far: a peer by nodes means nobody here: no Node with an IPv4 address and these labels was given',
      expect.stringMatching(/^AdminNetworkPolicy far: spec\.egress\[0\]\.to\[1\]\.domainNames means nobody here: /),
    ]);
  });

  it('refuses a selector that nobody can evaluate', () => {
    const odd = admin('odd', { subject: { namespaces: { matchExpressions: [{ key: 'a', operator: 'Like', values: ['b'] }] } } });
    expect(made(odd).problems).toMatchObject([{ kind: 'AdminNetworkPolicy', name: 'odd', field: 'spec.subject.namespaces' }]);
  });
});
