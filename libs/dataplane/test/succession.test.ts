/** An agent of today on the maps of the last release: what was denied stays denied, and who was talking goes on. By test runs of both versions' programs. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Codec, encodeOne, u32 } from '../src/codec.ts';
import { type Kernel, programOf } from '../src/kernel/kernel.ts';
import { libbpf } from '../src/kernel/libbpf.ts';
import { load, type Loaded, SCHEMA } from '../src/kernel/loader.ts';
import { type MapName, MAPS } from '../src/kernel/maps.ts';
import { ensureBpffs, openKernel, pinFolders } from '../src/kernel/open.ts';
import { testRun } from '../src/kernel/testrun.ts';
import * as r from '../src/records.gen.ts';
import { address, NONE } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const RELEASED = join(import.meta.dirname, '../../../test/released/0.1.0/osier.bpf.o');
const RELEASED_MAPS = MAPS.filter((name) => name !== 'programs' && name !== 'slots');
const SIZES = { endpoints: 16, addresses: 16, policy: 32, rules: 8, identities: 8, policies: 8, conntrack: 256, denials: 64 };
const a = { ip: '10.0.0.1', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), number: 11, ifindex: 901 };
const b = { ip: '10.0.0.2', mac: Uint8Array.of(2, 0, 0, 0, 0, 2), number: 12, ifindex: 902 };
const CLIENT = 5000;
/** The world in force is in column 1; what column 0 says would allow everything. */
const EPOCH = 5;
const TRAP = 99;

let folder: string;
let pinDir: string;
let opened: { close(): void }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osier-succession-'));
  pinDir = join(folder, 'bpf');
  opened = [];
  ensureBpffs(pinDir);
});

afterEach(() => {
  for (const one of opened) one.close();
  execFileSync('umount', [pinDir]);
  rmSync(folder, { recursive: true });
});

function keep(loaded: Loaded): Loaded {
  opened.push({ close: () => libbpf().closeObject(loaded.object) });
  return loaded;
}

function openToday(): Kernel {
  const kernel = openKernel({ pinDir });
  opened.push(kernel);
  return kernel;
}

/** As the former agent would: its records are the beginning of ours. */
function write<K, V>(to: Loaded, name: MapName, key: Codec<K>, value: Codec<V>, rows: readonly (readonly [K, V])[]): void {
  for (const [k, v] of rows) {
    const result = libbpf().updateElem(to.maps[name], encodeOne(key, k), encodeOne(value, v).slice(0, to.shapes[name].valueSize), 0);
    expect(result).toBe(0);
  }
}

const decoded = <T>(codec: Codec<T>): T => codec.decode(new DataView(new ArrayBuffer(codec.size)), 0);
const u64: Codec<bigint> = { name: 'u64', size: 8, encode: (view, at, value) => view.setBigUint64(at, value, true), decode: (view, at) => view.getBigUint64(at, true) };

function entry(policy: number, direction: r.Direction, action: r.Action, port?: number): readonly [r.PolicyKey, r.PolicyEntry] {
  return [{ prefixlen: port === undefined ? 72 : 96, policy, peer: 0, direction, protocol: port === undefined ? 0 : p.TCP, port: port ?? 0 }, { precedence: port ?? 1, rule: port ?? 1, action, tier: 0, place: 0 }];
}

const endpoint = (of: typeof a): r.EndpointRecord => ({ ...decoded(r.endpointRecord), rd: 7, network: 1, policy: [TRAP, of.number], address: address(of.ip), mac: of.mac, flags: 1 });

/** The last release at work: a may go to b by TCP, but not to port 22 and, where it says so, to no port at all. */
function released(nothing = false): Loaded {
  const former = keep(load(pinDir, SIZES, { path: RELEASED, schema: 'v1', names: RELEASED_MAPS }));
  for (const place of [a, b]) {
    const both: [number, number] = [place.number, place.number];
    write(former, 'addresses', r.addressKey, r.addressRecord, [[{ rd: 7, address: address(place.ip) }, { kind: r.AddressKind.local, network: 1, targetRd: 7, ifindex: place.ifindex, tunnel: NONE, identity: both, mac: place.mac }]]);
    write(former, 'endpoints', u32, r.endpointRecord, [[place.ifindex, endpoint(place)]]);
  }
  const { egress, ingress } = r.Direction;
  const { allow, deny } = r.Action;
  write(former, 'policy', r.policyKey, r.policyEntry, [
    ...[egress, ingress].map((direction) => entry(TRAP, direction, allow)),
    entry(a.number, egress, nothing ? deny : allow), entry(b.number, ingress, allow), entry(a.number, egress, deny, 22),
  ]);
  write(former, 'identities', u32, r.digestRecord, [[a.number, { digest: new Uint8Array(32).fill(1) }]]);
  write(former, 'revisions', u32, u64, [[0, 40n], [1, 41n]]);
  write(former, 'config', u32, r.configRecord, [[0, { ...decoded(r.configRecord), epoch: EPOCH, icmp: 777, recordFlags: 7 }]]);
  return former;
}

/** A test run comes in on the loopback: whoever sends has it as its device. */
function sends(by: Loaded, from: typeof a, packet: Uint8Array): boolean {
  write(by, 'endpoints', u32, r.endpointRecord, [[1, endpoint(from)]]);
  return testRun(by.programs.from_endpoint, packet).verdict === 7;
}
const asks = (by: Loaded, port: number, from = CLIENT): boolean => sends(by, a, p.tcp({ from: a, to: b.ip }, from, port));
/** Allowed by nothing but the connection that it belongs to. */
const answers = (by: Loaded, from = CLIENT): boolean => sends(by, b, p.tcp({ from: b, to: a.ip }, 80, from, p.SYN | p.ACK));
const today = (): Loaded => keep(load(pinDir, {}));

describe('the first start of a later layout', () => {
  it('takes over every table, the world in force, its revision and its settings', () => {
    released();
    const kernel = openToday();
    expect(kernel.restored).toBe(true);
    expect(kernel.config()).toMatchObject({ epoch: EPOCH, icmp: 777, recordFlags: 7, sctpClosing: 0 });
    expect(kernel.revisions()).toEqual([40n, 41n]);
    expect([kernel.endpoints, kernel.addresses, kernel.policy, kernel.identities].map((table) => [table.list().length, table.capacity])).toEqual([[2, 16], [2, 16], [5, 32], [1, 8]]);
    expect(kernel.identities.list()).toEqual([[a.number, { digest: new Uint8Array(32).fill(1) }]]);
  });

  it('denies what was denied, by the column in force, and lets who was talking go on', () => {
    const former = released();
    expect([asks(former, 80), asks(former, 22)]).toEqual([true, false]);
    openToday();
    const now = today();
    expect(answers(now)).toBe(true);
    expect([asks(now, 22), asks(now, 80)]).toEqual([false, true]);
  });

  it('holds no programs and slots yet: each program is its own layer until it gets a row', () => {
    released();
    const kernel = openToday();
    expect([kernel.programs.list(), kernel.slots.list()]).toEqual([[], []]);
    const now = today();
    expect([asks(now, 81), asks(now, 22)]).toEqual([true, false]);
    kernel.slots.put([[1, { layer: [0, a.number], digest: new Uint8Array(32) }]]);
    kernel.programs.put([[77, programOf([1])]]);
    kernel.endpoints.put(kernel.endpoints.list().map(([ifindex, row]) => [ifindex, row.policy[1] === a.number ? { ...row, policy: [TRAP, 77] } : row]));
    const asksBy = (port: number): boolean => {
      write(now, 'endpoints', u32, r.endpointRecord, [[1, { ...endpoint(a), policy: [TRAP, 77] }]]);
      return testRun(now.programs.from_endpoint, p.tcp({ from: a, to: b.ip }, 7000, port)).verdict === 7;
    };
    expect([asksBy(82), asksBy(22)]).toEqual([true, false]);
  });

  it('knows the flows that began while it was at work', () => {
    const former = released();
    const now = today();
    expect(asks(former, 80, 6000)).toBe(true);
    expect(answers(now, 6000)).toBe(false);
    now.conclude();
    expect(answers(now, 6000)).toBe(true);
  });

  it('leaves nothing of the former pins', () => {
    released();
    openToday();
    expect(pinFolders(pinDir).map((path) => existsSync(path))).toEqual([true, false, false]);
  });

  it('begins again from the former maps where it was cut off, whatever was half made by then', () => {
    released();
    const half = today();
    const [key] = entry(a.number, r.Direction.egress, r.Action.deny, 22);
    libbpf().deleteBatch(half.maps.policy, encodeOne(r.policyKey, key), Uint32Array.of(1), null);
    openToday();
    expect(asks(today(), 22)).toBe(false);
  });

  it('follows a former version that came back meanwhile, not what today’s maps still hold', () => {
    released();
    const first = openToday();
    first.policy.put([entry(a.number, r.Direction.egress, r.Action.allow, 8080)]);
    first.close();
    const again = released(true);
    expect([asks(again, 80), asks(again, 8080)]).toEqual([false, false]);
    openToday();
    const now = today();
    expect([asks(now, 80), asks(now, 8080)]).toEqual([false, false]);
  });

  it('refuses a map that is no beginning of today’s, and leaves the former ones as they are', () => {
    const former = released();
    const path = join(pinDir, 'v1', 'conntrack');
    rmSync(path);
    renameSync(join(pinDir, 'v1', 'rules'), path);
    expect(() => openKernel({ pinDir })).toThrow(expect.objectContaining({ code: 'pins-incompatible', path }));
    expect([existsSync(path), existsSync(join(pinDir, SCHEMA, 'policy')), asks(former, 22)]).toEqual([true, false, false]);
  });
});
