import { describe, expect, it } from '@jest/globals';
import { dropReasons } from '@osier/contracts/telemetry';
import { flowSchema } from '@osier/contracts/telemetry';
import { fakeKernel } from '@osier/dataplane/fake';
import { readBackFake } from '@osier/dataplane/fake/witness';
import { Action, type Direction, DropReason, EndedBy } from '@osier/dataplane/records';
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
  endpoints: table('endpoints', [{ ifindex: 12, rd: 7, network: 3, address: '10.0.0.1', mac: '02:00:00:00:00:01', policy: [1, 2], shadow: [0, 3] }]),
  policy: table('policy', [
    { policy: 1, peer: 0, direction: 'egress', prefixlen: 72, protocol: 0, port: 0, action: 'Allow', tier: 1, precedence: 1, place: 7, rule: 1 },
    { policy: 1, peer: 4, direction: 'ingress', prefixlen: 80, protocol: 6, port: 0, action: 'Deny', tier: 2, precedence: 2, place: 0xffff, rule: 2 },
    { policy: 1, peer: 4, direction: 'ingress', prefixlen: 96, protocol: 6, port: 443, action: 'Pass', tier: 3, precedence: 3, place: 0, rule: 3 },
  ]),
  rules: table('rules', [
    { number: 1, policyId: '', index: 0xffff, direction: 'egress', action: 'Allow', priority: 0xffff_ffff, grace: 0 },
    { number: 2, policyId: id, index: 4, direction: 'ingress', action: 'Deny', priority: 1000, grace: 2000 },
    { number: 3, policyId: id, index: 0xffff, direction: 'ingress', action: 'Deny', priority: 0xffff_ffff, grace: 'endless' },
  ]),
  identities: table('identities', [{ number: 4, digest }]),
  policies: table('policies', [{ number: 1, digest }]),
  programs: table('programs', [{ program: 9, slots: '3 5' }, { program: 10, slots: '' }]),
  slots: table('slots', [{ slot: 3, layer: [0, 1], digest }]),
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

describe('the key of an entry', () => {
  const all = { policy: 0x0403_0281, peer: 0xffff_ffff, direction: 3, protocol: 0xff, port: 0xffff };
  it.each([
    [0, { policy: 0, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [1, { policy: 0x80, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [8, { policy: 0x81, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [15, { policy: 0x0281, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [24, { policy: 0x0003_0281, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [32, { ...all, peer: 0, direction: 0, protocol: 0, port: 0 }],
    [44, { ...all, peer: 0xf0ff, direction: 0, protocol: 0, port: 0 }],
    [70, { ...all, direction: 0, protocol: 0, port: 0 }],
    [71, { ...all, direction: 'ingress', protocol: 0, port: 0 }],
    [72, { ...all, protocol: 0, port: 0 }],
    [76, { ...all, protocol: 0xf0, port: 0 }],
    [80, { ...all, port: 0 }],
    [81, { ...all, port: 0x8000 }],
    [89, { ...all, port: 0xff80 }],
    [95, { ...all, port: 0xfffe }],
    [96, all],
  ])('is its first %i bits, to whoever reads it, and enough to remove it', (prefixlen, expected) => {
    const kernel = fakeKernel();
    kernel.policy.put([[{ ...all, direction: all.direction as Direction, prefixlen }, { precedence: 1, rule: 2, action: Action.deny, tier: 0, place: 0 }]]);
    const row = { ...expected, prefixlen, action: 'Deny', tier: 0, precedence: 1, place: 0, rule: 2 };
    const { policy } = readTables(kernel);
    expect([...policy.values()]).toEqual([row]);
    expect([...observed(readBackFake(kernel)).tables.policy]).toEqual([...policy]);
    carryOut(kernel, [{ do: 'remove', table: 'policy', rows: [...policy.values()] }], 1);
    expect(kernel.policy.list()).toEqual([]);
  });

  it('is one for both readers wherever it is one for the kernel, and only there', () => {
    const kernel = fakeKernel();
    const values = [0, 1, 2, 0x80, 0x0102_0304];
    for (const policy of values) for (const peer of values) for (const direction of [0, 1, 2, 3]) for (const [protocol, port] of [[6, 80], [6, 81], [7, 80]] as const) for (const prefixlen of [0, 1, 9, 31, 32, 33, 40, 64, 70, 71, 72, 79, 80, 95, 96]) {
      kernel.policy.put([[{ prefixlen, policy, peer, direction: direction as Direction, protocol, port }, { precedence: 1, rule: 2, action: Action.deny, tier: 0, place: 0 }]]);
    }
    const keys = [...readTables(kernel).policy.keys()];
    expect(keys).toHaveLength(kernel.policy.list().length);
    expect([...observed(readBackFake(kernel)).tables.policy.keys()]).toEqual(keys);
  });

  it('with an action that is none is one to replace', () => {
    const kernel = fakeKernel();
    kernel.policy.put([[{ ...all, direction: 1, prefixlen: 96 }, { precedence: 1, rule: 2, action: 0 as Action, tier: 0, place: 0 }]]);
    expect([...readTables(kernel).policy.values()][0]?.rule).toBe(0);
  });
});

const dump = (change: Partial<NodeDump>): NodeDump => ({
  epoch: 2, revision: 1n, revisions: [1n, 0n], vxlanIfindex: 5, underlay: new Uint8Array(16), endpoints: [], addresses: [], policy: [], rules: [], identities: [], policies: [], programs: [], slots: [],
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
      endpoints: [{ ifindex: 12, rd: 7, network: 3, policy: [1, 2], shadow: [0, 3], address: mapped16('10.0.0.1'), mac: Uint8Array.of(2, 0, 0, 0, 0, 1), active: true }],
      policy: [
        { prefixlen: 72, policy: 1, peer: 0, direction: 'egress', protocol: 0, port: 0, action: 'allow', tier: 1, precedence: 1, place: 7, rule: 1 },
        { prefixlen: 80, policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: 0, action: 'deny', tier: 2, precedence: 2, place: 0xffff, rule: 2 },
        { prefixlen: 96, policy: 1, peer: 4, direction: 'ingress', protocol: 6, port: 443, action: 'pass', tier: 3, precedence: 3, place: 0, rule: 3 },
      ],
      rules: [
        { rule: 1, policyId: '0'.repeat(32), ruleIndex: 0xffff, direction: 'egress', action: 'allow', precedence: 0xffff_ffff, grace: 0 },
        { rule: 2, policyId: id.replaceAll('-', ''), ruleIndex: 4, direction: 'ingress', action: 'deny', precedence: 1000, grace: 2000 },
        { rule: 3, policyId: id.replaceAll('-', ''), ruleIndex: 0xffff, direction: 'ingress', action: 'deny', precedence: 0xffff_ffff, grace: 0x7fff_ffff },
      ],
      identities: [{ number: 4, digest }], policies: [{ number: 1, digest }], programs: [{ program: 9, slots: [3, 5] }, { program: 10, slots: [] }], slots: [{ slot: 3, layer: [0, 1], digest }], links: [...dump({}).links, veth], attachments: [...dump({}).attachments, programs],
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
