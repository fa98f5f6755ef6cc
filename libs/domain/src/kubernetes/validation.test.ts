import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { checkObject } from './cluster.ts';

interface Row { readonly it: string; readonly fields: readonly string[]; readonly warned?: readonly string[]; readonly object?: unknown; readonly np?: unknown; readonly rule?: unknown; readonly peer?: unknown; readonly anp?: unknown; readonly banp?: unknown; readonly cnp?: unknown; readonly egress?: unknown }
const tables = parse(readFileSync(join(import.meta.dirname, '../../test/reach/validation.yaml'), 'utf8')) as Record<string, Row[]>;

const networkPolicy = (spec: unknown): unknown => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'np' }, spec });
const cluster = (kind: string, version: string, name: string, spec: unknown): unknown => ({ apiVersion: `policy.networking.k8s.io/${version}`, kind, metadata: { name }, spec });

function objectOf(row: Row): unknown {
  if (row.np !== undefined) return networkPolicy(row.np);
  if (row.rule !== undefined) return networkPolicy({ podSelector: {}, ingress: [row.rule] });
  if (row.peer !== undefined) return networkPolicy({ podSelector: {}, ingress: [{ from: [row.peer] }] });
  if (row.anp !== undefined) return cluster('AdminNetworkPolicy', 'v1alpha1', 'anp', row.anp);
  if (row.banp !== undefined) return cluster('BaselineAdminNetworkPolicy', 'v1alpha1', 'default', row.banp);
  if (row.egress !== undefined) return cluster('AdminNetworkPolicy', 'v1alpha1', 'anp', { priority: 1, subject: { namespaces: {} }, egress: [row.egress] });
  if (row.cnp !== undefined) return cluster('ClusterNetworkPolicy', 'v1alpha2', 'cnp', row.cnp);
  return row.object;
}

const paths = (row: Row, warnings: boolean): string[] => checkObject(objectOf(row)).problems.filter(({ warning }) => (warning === true) === warnings).map(({ path }) => path).sort();

describe.each(Object.entries(tables))('an API server, of %s', (_group, rows) => {
  it.each(rows)('$it', (row) => {
    expect(paths(row, false)).toEqual([...row.fields].sort());
    if (row.warned !== undefined) expect(paths(row, true)).toEqual([...row.warned].sort());
  });
});

describe('the limits of the definitions', () => {
  const many = (count: number, item: (i: number) => unknown): unknown[] => Array.from({ length: count }, (_, i) => item(i));
  const rule = { action: 'Deny', to: [{ namespaces: {} }] };
  const anp = (spec: object): Row => ({ it: '', fields: [], anp: { priority: 1, subject: { namespaces: {} }, ...spec } });
  const cnp = (spec: object): Row => ({ it: '', fields: [], cnp: { tier: 'Admin', priority: 1, subject: { namespaces: {} }, ...spec } });
  it.each<[string, number, string, (count: number) => Row]>([
    ['rules of AdminNetworkPolicy', 100, 'spec.egress', (n) => anp({ egress: many(n, () => rule) })],
    ['peers of AdminNetworkPolicy', 100, 'spec.egress[0].to', (n) => anp({ egress: [{ ...rule, to: many(n, () => ({ namespaces: {} })) }] })],
    ['ports of AdminNetworkPolicy', 100, 'spec.egress[0].ports', (n) => anp({ egress: [{ ...rule, ports: many(n, (i) => ({ portNumber: { port: i + 1 } })) }] })],
    ['networks of AdminNetworkPolicy', 25, 'spec.egress[0].to[0].networks', (n) => anp({ egress: [{ ...rule, to: [{ networks: many(n, (i) => `10.${i}.0.0/16`) }] }] })],
    ['domain names of AdminNetworkPolicy', 25, 'spec.egress[0].to[0].domainNames', (n) => anp({ egress: [{ ...rule, to: [{ domainNames: many(n, (i) => `a${i}.io`) }] }] })],
    ['rules of ClusterNetworkPolicy', 25, 'spec.egress', (n) => cnp({ egress: many(n, () => rule) })],
    ['peers of ClusterNetworkPolicy', 25, 'spec.egress[0].to', (n) => cnp({ egress: [{ ...rule, to: many(n, () => ({ namespaces: {} })) }] })],
    ['protocols of ClusterNetworkPolicy', 25, 'spec.egress[0].protocols', (n) => cnp({ egress: [{ ...rule, protocols: many(n, (i) => ({ tcp: { destinationPort: { number: i + 1 } } })) }] })],
  ])('%s: %i', (_name, limit, field, row) => {
    expect([paths(row(limit), false), paths(row(limit + 1), false)]).toEqual([[], [field]]);
  });
});
