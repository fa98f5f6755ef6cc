/** What every Kernel does, whether it is one or plays one. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Kernel, KernelError, programOf, type VethOptions } from '../src/kernel/kernel.ts';
import { Action, AddressKind, Direction, type FlowEvent } from '../src/records.gen.ts';
import type { NodeDump } from '../src/witness/dump.ts';

export interface Subject {
  open(): Kernel;
  /** The read-back of the kernel that `open` gave last. */
  readBack(): NodeDump;
  /** A workload's namespace. */
  netnsPath: string;
  close(): void;
}

const ip = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last);
const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const ENDPOINT = { rd: 7, network: 1, policy: [3, 4] as [number, number], address: ip(1), mac, flags: 1, shadow: [0, 5] as [number, number] };
const ADDRESS = { kind: AddressKind.local, network: 1, targetRd: 7, ifindex: 5, tunnel: new Uint8Array(16), identity: [1, 2] as [number, number], mac };
const POLICY_KEY = { prefixlen: 96, policy: 3, peer: 2, direction: Direction.ingress, protocol: 6, port: 8080 };
const POLICY_ENTRY = { precedence: 10, rule: 4, action: Action.deny, tier: 0, place: 0 };

const code = (wanted: string) => expect.objectContaining({ code: wanted });

/** `subject` starts with sizes of 4 for `rules`. */
export function kernelContract(name: string, start: () => Subject): void {
  describe(`${name} as a kernel`, () => {
    let subject: Subject;
    let kernel: Kernel;

    beforeAll(() => {
      subject = start();
      kernel = subject.open();
    });

    afterAll(() => {
      kernel.close();
      subject.close();
    });

    it('starts empty, at epoch 0', () => {
      expect(kernel.restored).toBe(false);
      expect([kernel.endpoints, kernel.addresses, kernel.policy, kernel.rules].map((table) => table.list().length)).toEqual([0, 0, 0, 0]);
      expect(kernel.config().epoch).toBe(0);
      expect(kernel.revisions()).toEqual([0n, 0n]);
    });

    it('lists what was put, and the read-back says the same', () => {
      kernel.endpoints.put([[5, ENDPOINT]]);
      kernel.addresses.put([[{ rd: 7, address: ip(1) }, ADDRESS]]);
      kernel.policy.put([[POLICY_KEY, POLICY_ENTRY]]);
      kernel.identities.put([[1, { digest: new Uint8Array(32).fill(0xab) }]]);
      expect(kernel.endpoints.list()).toEqual([[5, ENDPOINT]]);
      expect(kernel.addresses.list()).toEqual([[{ rd: 7, address: ip(1) }, ADDRESS]]);
      expect(kernel.policy.list()).toEqual([[POLICY_KEY, POLICY_ENTRY]]);
      expect(subject.readBack()).toMatchObject({
        endpoints: [{ ifindex: 5, rd: 7, network: 1, policy: [3, 4], shadow: [0, 5], address: ip(1), mac, active: true }],
        addresses: [{ rd: 7, address: ip(1), kind: 'local', network: 1, ifindex: 5, identity: [1, 2] }],
        policy: [{ prefixlen: 96, policy: 3, peer: 2, direction: 'ingress', protocol: 6, port: 8080, action: 'deny', precedence: 10, rule: 4, tier: 0, place: 0 }],
        identities: [{ number: 1, digest: 'ab'.repeat(32) }],
      });
    });

    it('holds a rule about SCTP as any other', () => {
      const key = { ...POLICY_KEY, protocol: 132, port: 3868 };
      kernel.policy.put([[key, POLICY_ENTRY]]);
      expect(kernel.policy.list()).toContainEqual([key, POLICY_ENTRY]);
      expect(subject.readBack().policy).toContainEqual(expect.objectContaining({ protocol: 132, port: 3868, direction: 'ingress' }));
      kernel.policy.remove([key]);
    });

    it('holds programs, slots and a pass with its tier and place, as the read-back shows', () => {
      const full = Array.from({ length: 16 }, (_, index) => index + 21);
      const entry = { ...POLICY_ENTRY, action: Action.pass, tier: 15, place: 65535 };
      kernel.programs.put([[6, programOf([21, 22])], [7, programOf(full)], [8, programOf([])]]);
      kernel.slots.put([[21, { layer: [31, 32], digest: new Uint8Array(32).fill(0xcd) }]]);
      kernel.policy.put([[{ ...POLICY_KEY, policy: 31 }, entry]]);
      expect(new Map(kernel.programs.list()).get(6)).toEqual({ slots: [21, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] });
      expect(kernel.slots.list()).toEqual([[21, { layer: [31, 32], digest: new Uint8Array(32).fill(0xcd) }]]);
      expect(kernel.policy.list()).toContainEqual([{ ...POLICY_KEY, policy: 31 }, entry]);
      const seen = subject.readBack();
      expect(seen.programs.sort((a, b) => a.program - b.program)).toEqual([{ program: 6, slots: [21, 22] }, { program: 7, slots: full }, { program: 8, slots: [] }]);
      expect(seen.slots).toEqual([{ slot: 21, layer: [31, 32], digest: 'cd'.repeat(32) }]);
      expect(seen.policy.find((one) => one.policy === 31)).toMatchObject({ action: 'pass', tier: 15, place: 65535 });
      kernel.programs.remove([6, 7, 8]);
      kernel.slots.remove([21]);
      kernel.policy.remove([{ ...POLICY_KEY, policy: 31 }]);
      expect([kernel.programs.list(), kernel.slots.list(), subject.readBack().programs, subject.readBack().slots]).toEqual([[], [], [], []]);
    });

    it('makes no program of more slots than fit, nor of slot 0', () => {
      for (const slots of [Array<number>(17).fill(1), [1, 0, 2]]) expect(() => programOf(slots)).toThrow(code('invalid-record'));
    });

    it('is read back as the same object where it is as it was, and as another where it is not', () => {
      kernel.addresses.put([8, 9].map((last) => [{ rd: 7, address: ip(last) }, ADDRESS] as const));
      const at = (last: number) => subject.readBack().addresses.find((one) => one.address.at(-1) === last);
      const [eighth, ninth] = [at(8), at(9)];
      kernel.addresses.put([[{ rd: 7, address: ip(9) }, { ...ADDRESS, network: 2 }]]);
      expect([at(8) === eighth, at(9) === ninth, at(9)?.network]).toEqual([true, false, 2]);
      kernel.addresses.remove([8, 9].map((last) => ({ rd: 7, address: ip(last) })));
      expect([at(8), at(9)]).toEqual([undefined, undefined]);
    });

    it('finds an entry of the policy by as much of its key as it is long, and shows the key as it was given last', () => {
      const keys = [0, 8, 33, 71, 72, 73, 79, 80, 88, 95].map((prefixlen) => ({ prefixlen, policy: 0x0102_0381, peer: 0x8000_0001, direction: Direction.ingress, protocol: 0xfe, port: 0xf0fe }));
      const behind = ({ prefixlen, ...key }: (typeof keys)[0]) => ({
        ...key, prefixlen, policy: prefixlen <= 8 ? 0x0a0b_0c81 : key.policy, peer: prefixlen <= 33 ? 1 : key.peer, direction: prefixlen < 72 ? 3 as Direction : key.direction,
        protocol: prefixlen < 80 ? 0xff : key.protocol, port: key.port ^ (prefixlen <= 88 ? 0xff : 1),
      });
      const before = kernel.policy.list();
      kernel.policy.put(keys.map((key) => [key, POLICY_ENTRY]));
      expect(kernel.policy.list()).toHaveLength(before.length + keys.length);
      for (const key of keys) {
        kernel.policy.put([[behind(key), { ...POLICY_ENTRY, rule: 5 }]]);
        expect([key.prefixlen, kernel.policy.list().filter(([, { rule }]) => rule === 5)]).toEqual([key.prefixlen, [[behind(key), { ...POLICY_ENTRY, rule: 5 }]]]);
        expect(subject.readBack().policy.filter(({ rule }) => rule === 5)).toMatchObject([{ ...behind(key), direction: key.prefixlen < 72 ? 3 : 'ingress' }]);
        kernel.policy.remove([key]);
      }
      expect(kernel.policy.list()).toEqual(before);
    });

    it('puts and removes the same twice without complaint', () => {
      kernel.endpoints.put([[6, ENDPOINT], [6, { ...ENDPOINT, rd: 8 }]]);
      expect(new Map(kernel.endpoints.list()).get(6)?.rd).toBe(8);
      kernel.endpoints.remove([6, 77, 6]);
      kernel.endpoints.remove([6]);
      kernel.endpoints.put([]);
      kernel.endpoints.remove([]);
      expect(kernel.endpoints.list()).toEqual([[5, ENDPOINT]]);
    });

    it('keeps what a caller changes afterwards', () => {
      const address = ip(9);
      kernel.addresses.put([[{ rd: 9, address }, ADDRESS]]);
      address[15] = 10;
      expect(kernel.addresses.list().some(([key]) => key.rd === 9 && key.address[15] === 9)).toBe(true);
      kernel.addresses.remove([{ rd: 9, address: ip(9) }]);
    });

    it('refuses a table too many with table-full and writes nothing', () => {
      const rule = { policyId: new Uint8Array(16), ruleIndex: 1, direction: Direction.egress, action: Action.allow, precedence: 0, grace: 0 };
      kernel.rules.put([[1, rule], [2, rule]]);
      expect(kernel.rules.capacity).toBe(4);
      expect(() => kernel.rules.put([[2, rule], [3, rule], [4, rule], [5, rule]])).toThrow(code('table-full'));
      expect(kernel.rules.list()).toHaveLength(2);
      kernel.rules.put([[3, rule], [4, rule]]);
      expect(() => kernel.rules.put([[5, rule]])).toThrow(KernelError);
      kernel.rules.remove([1]);
      kernel.rules.put([[5, rule]]);
      expect(kernel.rules.list().map(([key]) => key).sort()).toEqual([2, 3, 4, 5]);
    });

    it.each<[string, () => void, string]>([
      ['a number too large', () => kernel.endpoints.put([[5, { ...ENDPOINT, rd: 2 ** 32 }]]), 'endpoints.rd'],
      ['a negative number', () => kernel.endpoints.put([[-1, ENDPOINT]]), 'endpoints.key'],
      ['an address of 4 bytes', () => kernel.addresses.put([[{ rd: 1, address: new Uint8Array(4) }, ADDRESS]]), 'addresses.address'],
      ['a tier too large', () => kernel.policy.put([[POLICY_KEY, { ...POLICY_ENTRY, tier: 256 }]]), 'policy.tier'],
      ['a slot too large', () => kernel.programs.put([[1, { slots: [2 ** 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }]]), 'programs.slots[0]'],
      ['a fraction', () => kernel.policy.put([[{ ...POLICY_KEY, port: 1.5 }, POLICY_ENTRY]]), 'policy.port'],
      ['a MAC of 5 bytes', () => kernel.endpoints.put([[5, { ...ENDPOINT, mac: new Uint8Array(5) }]]), 'endpoints.mac'],
      ['the epoch', () => kernel.configure({ epoch: 4 } as never), 'config.epoch'],
      ['a setting too large', () => kernel.configure({ icmp: 2 ** 40 }), 'config.icmp'],
    ])('refuses %s and says where', (_name, act, path) => {
      expect(act).toThrow(expect.objectContaining({ code: 'invalid-record', path }));
      expect(kernel.endpoints.list()).toEqual([[5, ENDPOINT]]);
    });

    it('sets single settings', () => {
      kernel.configure({ recordFlags: 7 });
      kernel.configure({ icmp: 1234, sctpClosing: 99 });
      expect(kernel.config()).toMatchObject({ recordFlags: 7, icmp: 1234, sctpClosing: 99, epoch: 0 });
    });

    it('flips between two columns, each with its revision', () => {
      expect(kernel.flip(41n)).toBe(1);
      expect(kernel.flip(42n)).toBe(2);
      expect(kernel.revisions()).toEqual([42n, 41n]);
      expect(kernel.config().epoch).toBe(2);
      expect(subject.readBack()).toMatchObject({ epoch: 2, revision: 42n, revisions: [42n, 41n] });
    });

    it('collects and forgets where nothing is tracked', () => {
      expect(kernel.collect()).toEqual({ walked: 0, expired: 0, revoked: 0 });
      expect(kernel.forget(7, ip(1))).toBe(0);
      expect([...kernel.connections(() => true)].flat()).toEqual([]);
      expect(() => kernel.forget(7, new Uint8Array(3))).toThrow(code('invalid-record'));
      expect(kernel.drops().spoofed_source).toEqual({ packets: 0n, bytes: 0n });
      expect(kernel.lost()).toBe(0n);
    });

    it('has one reader of flow records at a time', () => {
      const read = (events: FlowEvent[]) => void events;
      const stop = kernel.flows(read);
      expect(() => kernel.flows(read)).toThrow(code('reader-busy'));
      stop();
      kernel.flows(read)();
    });

    describe('its devices', () => {
      const veth = (): VethOptions => ({ hostName: 'osrtest1', netnsPath: subject.netnsPath, peerName: 'eth0', mtu: 1450, mac, address: ip(1) });

      it('are down until they are activated, and keep their number', () => {
        const ifindex = kernel.links.prepareVeth(veth());
        expect(kernel.links.list()).toEqual([{ name: 'osrtest1', ifindex, kind: 'veth', up: false, mtu: 1450 }]);
        kernel.links.activateVeth('osrtest1');
        expect(kernel.links.ensureVeth(veth())).toBe(ifindex);
        expect(kernel.links.list()).toEqual([{ name: 'osrtest1', ifindex, kind: 'veth', up: true, mtu: 1450 }]);
      });

      it('change in place', () => {
        const ifindex = kernel.links.ensureVeth({ ...veth(), mtu: 1400, address: ip(2) });
        expect(kernel.links.list()).toEqual([{ name: 'osrtest1', ifindex, kind: 'veth', up: true, mtu: 1400 }]);
      });

      it('carry their programs, as the read-back shows', () => {
        const ifindex = kernel.links.ensureVxlan({ name: 'osrvx', port: 4789, mtu: 1450 });
        expect(kernel.config().vxlanIfindex).toBe(ifindex);
        expect(kernel.links.ensureVxlan({ name: 'osrvx', port: 4789, mtu: 1450 })).toBe(ifindex);
        const program = (name: keyof typeof kernel.programTags) => ({ name, tag: kernel.programTags[name] });
        const { attachments } = subject.readBack();
        expect(attachments.find((one) => one.device === 'osrvx')).toEqual({ device: 'osrvx', ifindex, ingress: program('from_vxlan') });
        expect(attachments.find((one) => one.device === 'osrtest1')).toMatchObject({ ingress: program('from_endpoint'), egress: program('to_endpoint') });
      });

      it.each<[string, () => void]>([
        ['a name that is not ours', () => kernel.links.prepareVeth({ ...veth(), hostName: 'eth7' })],
        ['a name too long', () => kernel.links.removeVeth('osr4567890123456')],
        ['an MTU of 100', () => kernel.links.prepareVeth({ ...veth(), mtu: 100 })],
        ['a multicast MAC', () => kernel.links.prepareVeth({ ...veth(), mac: Uint8Array.of(1, 0, 0, 0, 0, 1) })],
        ['an IPv6 address', () => kernel.links.prepareVeth({ ...veth(), address: new Uint8Array(16).fill(1) })],
        ['port 0', () => kernel.links.ensureVxlan({ name: 'osrvx', port: 0, mtu: 1450 })],
      ])('refuse %s', (_name, act) => {
        expect(act).toThrow(code('invalid-record'));
      });

      it('that do not exist cannot be activated, but removed', () => {
        expect(() => kernel.links.activateVeth('osrnone')).toThrow(code('link-failed'));
        kernel.links.removeVeth('osrnone');
      });

      it('go when removed', () => {
        kernel.links.removeVeth('osrtest1');
        expect(kernel.links.list().map((link) => link.name)).toEqual(['osrvx']);
      });
    });

    it('keeps everything for the next process, and is of no use itself once closed', () => {
      const former = kernel;
      const before = [former.endpoints.list(), former.policy.list(), former.config(), former.revisions(), former.links.list()];
      former.close();
      former.close();
      kernel = subject.open();
      expect(kernel.restored).toBe(true);
      expect([kernel.endpoints.list(), kernel.policy.list(), kernel.config(), kernel.revisions(), kernel.links.list()]).toEqual(before);
      for (const use of [() => former.endpoints.list(), () => former.flip(1n), () => former.links.list(), () => former.drops()]) {
        expect(use).toThrow(code('closed'));
      }
    });
  });
}
