import { describe, expect, it } from '@jest/globals';
import { dropReasons } from '@osier/contracts/telemetry';
import { flowSchema } from '@osier/contracts/telemetry';
import { fakeKernel } from '@osier/dataplane/fake';
import { DropReason, EndedBy } from '@osier/dataplane/records';
import { mapped16 } from '@osier/domain/net/ipv4';
import { emptyTables, type Tables, tableNames, table } from '@osier/domain/reconcile/tables';
import type { NodeDump } from '@osier/dataplane/witness';
import { readTables } from './records.ts';
import { faultsInside, observed } from './witness.ts';
import { carryOut } from './writer.ts';

const id = '01997f5e-5b3c-7cc0-8000-000000000001';
const digest = 'ab'.repeat(32);
const rows: Tables = {
  addresses: table('addresses', [
    { rd: 7, address: '10.0.0.1', network: 3, ifindex: 12, tunnel: '', mac: '02:00:00:00:00:01', identity: [4, 5] },
    { rd: 7, address: '10.0.0.2', network: 3, ifindex: 0, tunnel: '192.0.2.9', mac: '', identity: [0, 6] },
  ]),
  endpoints: table('endpoints', [{ ifindex: 12, rd: 7, network: 3, address: '10.0.0.1', mac: '02:00:00:00:00:01', policy: [1, 2] }]),
  policy: table('policy', [
    { policy: 1, peer: 0, direction: 'egress', protocol: undefined, port: undefined, action: 'Allow', precedence: 1, rule: 1 },
    { policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: undefined, action: 'Deny', precedence: 2, rule: 2 },
    { policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: 443, action: 'Allow', precedence: 3, rule: 3 },
  ]),
  rules: table('rules', [
    { number: 1, policyId: '', index: 0xffff, direction: 'egress', action: 'Allow', priority: 0xffff_ffff },
    { number: 2, policyId: id, index: 4, direction: 'ingress', action: 'Deny', priority: 1000 },
  ]),
  identities: table('identities', [{ number: 4, digest }]),
  policies: table('policies', [{ number: 1, digest }]),
};

describe('rows and records', () => {
  it('come back from the kernel as they were written', () => {
    const kernel = fakeKernel();
    carryOut(kernel, tableNames.map((name) => ({ do: 'put', table: name, rows: [...rows[name].values()] }) as never), 1);
    expect(readTables(kernel)).toEqual(rows);
  });

  it('show a record that leads into another routing domain as one to replace', () => {
    const kernel = fakeKernel();
    carryOut(kernel, [{ do: 'put', table: 'addresses', rows: [...rows.addresses.values()] }], 1);
    const [key, record] = kernel.addresses.list()[0] ?? [];
    if (key === undefined || record === undefined) throw new Error('nothing was written');
    kernel.addresses.put([[key, { ...record, targetRd: 9 }]]);
    expect(readTables(kernel).addresses.get('7|10.0.0.1')?.network).toBe(0);
  });
});

const dump = (change: Partial<NodeDump>): NodeDump => ({
  epoch: 2, revision: 1n, revisions: [1n, 0n], vxlanIfindex: 5, underlay: new Uint8Array(16), endpoints: [], addresses: [], policy: [], rules: [], identities: [], policies: [],
  attachments: [{ device: 'osrvxlan', ifindex: 5, ingress: { name: 'from_vxlan', tag: '' } }], links: [{ name: 'osrvxlan', ifindex: 5, kind: 'vxlan', up: true, mtu: 1450 }], ...change,
});
const veth = { name: 'osr1', ifindex: 12, kind: 'veth', up: true, mtu: 1450 };
const programs = { device: 'osr1', ifindex: 12, ingress: { name: 'from_endpoint', tag: '' }, egress: { name: 'to_endpoint', tag: '' } };

describe('what the witness saw', () => {
  it('reads as the same rows', () => {
    const { tables, faults } = observed(dump({
      addresses: [
        { rd: 7, address: mapped16('10.0.0.1'), kind: 'local', network: 3, targetRd: 7, ifindex: 12, tunnel: new Uint8Array(16), identity: [4, 5], mac: Uint8Array.of(2, 0, 0, 0, 0, 1) },
        { rd: 7, address: mapped16('10.0.0.2'), kind: 'remote', network: 3, targetRd: 7, ifindex: 0, tunnel: mapped16('192.0.2.9'), identity: [0, 6], mac: new Uint8Array(6) },
      ],
      endpoints: [{ ifindex: 12, rd: 7, network: 3, policy: [1, 2], address: mapped16('10.0.0.1'), mac: Uint8Array.of(2, 0, 0, 0, 0, 1), active: true }],
      policy: [
        { prefixlen: 72, policy: 1, peer: 0, direction: 'egress', protocol: 0, port: 0, action: 'allow', precedence: 1, rule: 1 },
        { prefixlen: 80, policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: 0, action: 'deny', precedence: 2, rule: 2 },
        { prefixlen: 96, policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: 443, action: 'allow', precedence: 3, rule: 3 },
      ],
      rules: [
        { rule: 1, policyId: '0'.repeat(32), ruleIndex: 0xffff, direction: 'egress', action: 'allow', precedence: 0xffff_ffff },
        { rule: 2, policyId: id.replaceAll('-', ''), ruleIndex: 4, direction: 'ingress', action: 'deny', precedence: 1000 },
      ],
      identities: [{ number: 4, digest }], policies: [{ number: 1, digest }], links: [...dump({}).links, veth], attachments: [...dump({}).attachments, programs],
    }));
    expect([tables, faults]).toEqual([rows, []]);
    expect(observed(dump({})).tables).toEqual(emptyTables);
  });

  it('tells which device would let packets past the programs', () => {
    expect(observed(dump({ links: [...dump({}).links, veth] })).faults).toEqual(['device osr1 runs nothing at ingress, not from_endpoint', 'device osr1 runs nothing at egress, not to_endpoint']);
    expect(observed(dump({ links: [], attachments: [] })).faults).toEqual(['the overlay device is missing']);
    expect(observed(dump({ vxlanIfindex: 9 })).faults).toEqual(['the programs send to device 9, and the overlay is 5']);
    const strange = { ...programs, ingress: { name: 'other', tag: '' } };
    expect(observed(dump({ links: [...dump({}).links, veth], attachments: [...dump({}).attachments, strange] })).faults).toEqual(['device osr1 runs other at ingress, not from_endpoint']);
  });
});

describe('what the witness saw inside a workload', () => {
  const endpoint = { path: 'acme/shop/staging/web', interface: 'eth0', address: '10.0.0.1', mac: '02:00:00:00:00:01' };
  const whole = { up: true, mac: endpoint.mac, addresses: ['10.0.0.1/32', '10.9.9.9/24'], defaultRoute: true };

  it('is at fault where the endpoint lacks something, and not where the workload has more', () => {
    expect(faultsInside(endpoint, whole)).toEqual([]);
    expect(faultsInside(endpoint, undefined)).toEqual(['the workload of acme/shop/staging/web has no device eth0']);
    expect(faultsInside(endpoint, { up: false, mac: '02:00:00:00:00:09', addresses: ['10.0.0.1/24'], defaultRoute: false })).toEqual([
      'device eth0 in the workload of acme/shop/staging/web is down',
      'device eth0 in the workload of acme/shop/staging/web has MAC 02:00:00:00:00:09, not 02:00:00:00:00:01',
      'device eth0 in the workload of acme/shop/staging/web does not have the address 10.0.0.1',
      'the workload of acme/shop/staging/web has no default route',
    ]);
  });
});

describe('the language of the bus', () => {
  it('has a word for everything that the programs count', () => {
    const byNumber = Object.entries(DropReason).sort(([, a], [, b]) => a - b).map(([name]) => name);
    expect(dropReasons).toEqual(byNumber);
    expect(flowSchema.shape.endedBy.unwrap().options.toSorted()).toEqual(Object.keys(EndedBy).filter((name) => name !== 'not').sort());
  });
});
