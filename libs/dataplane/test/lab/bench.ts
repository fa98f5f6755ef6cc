/** Programs without devices: records in the real maps, one packet per test run. The sender always comes in on ifindex 1. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kernel, Limits, Target } from '../../src/kernel/kernel.ts';
import { libbpf } from '../../src/kernel/libbpf.ts';
import { load, type Loaded, type ProgramName } from '../../src/kernel/loader.ts';
import { ensureBpffs, openKernel } from '../../src/kernel/open.ts';
import { FlowRing } from '../../src/kernel/ring.ts';
import { KernelTable } from '../../src/kernel/tables.ts';
import { testRun } from '../../src/kernel/testrun.ts';
import {
  Action,
  AddressKind,
  type ConfigRecord,
  conntrackEntry,
  conntrackKey,
  denialEntry,
  denialKey,
  Direction,
  type DropReasonName,
  EndpointFlag,
  type EndpointRecord,
  type FlowEvent,
  RecordFlag,
} from '../../src/records.gen.ts';
import { address, NONE, run } from './lab.ts';

export interface Place {
  rd: number;
  network: number;
  ip: string;
  /** Identity and policy subject. */
  number: number;
  mac: Uint8Array;
  ifindex: number;
  /** Policy subject that is only told of. */
  shadow?: number;
}

export interface Sent {
  result: 'passed' | DropReasonName;
  packet: Uint8Array;
}

const LOOPBACK = 1;
const TC_ACT_REDIRECT = 7;

const TIMEOUTS: Partial<ConfigRecord> = { tcpSyn: 0, tcpEstablished: 0, tcpClosing: 0, udpNew: 0, udpReplied: 0, icmp: 0, denialRepeat: 0, sctpInit: 0, sctpEstablished: 0, sctpClosing: 0 };

export class Bench {
  readonly kernel: Kernel;
  readonly #loaded: Loaded;
  readonly #ring: FlowRing;
  readonly #folder = mkdtempSync(join(tmpdir(), 'osier-programs-'));
  /** What the agent never writes, for tests to look at. */
  readonly conntrack;
  readonly denials;
  #drops: ReturnType<Kernel['drops']>;

  constructor(sizes: Partial<Limits> = {}) {
    ensureBpffs(this.pinDir);
    const small = { addresses: 64, policy: 128, conntrack: 1024, rules: 8, identities: 8, policies: 8, programs: 16, slots: 64, endpoints: 64 };
    this.kernel = openKernel({ pinDir: this.pinDir, sizes: { ...small, ...sizes } });
    // the same maps once more, for the programs' handles
    this.#loaded = load(this.pinDir, {});
    this.#ring = new FlowRing(this.#loaded.maps.flows, this.#loaded.shapes.flows.maxEntries);
    const { maps, shapes } = this.#loaded;
    this.conntrack = new KernelTable('conntrack', conntrackKey, conntrackEntry, maps.conntrack, shapes.conntrack.maxEntries, () => {});
    this.denials = new KernelTable('denials', denialKey, denialEntry, maps.denials, shapes.denials.maxEntries, () => {});
    this.#drops = this.kernel.drops();
    this.reset();
  }

  /** Empty tables and the settings that tests begin with; only the epoch goes on. */
  reset(): void {
    const { endpoints, addresses, policy, rules, identities, policies, programs, slots } = this.kernel;
    const tables = [endpoints, addresses, policy, rules, identities, policies, programs, slots, this.conntrack, this.denials] as unknown as Target<unknown, unknown>[];
    for (const table of tables) table.remove(table.list().map(([key]) => key));
    this.kernel.configure({ ...TIMEOUTS, recordFlags: RecordFlag.start | RecordFlag.end | RecordFlag.denied, vxlanIfindex: LOOPBACK });
    this.events();
  }

  get pinDir(): string {
    return join(this.#folder, 'bpf');
  }

  endpointRecord(place: Place): EndpointRecord {
    const policy: [number, number] = [place.number, place.number];
    const shadow: [number, number] = [place.shadow ?? 0, place.shadow ?? 0];
    return { rd: place.rd, network: place.network, policy, address: address(place.ip), mac: place.mac, flags: EndpointFlag.active, shadow };
  }

  local(rd: number, network: number, ip: string, number: number): Place {
    const place = { rd, network, ip, number, mac: Uint8Array.of(2, 0, 0, 0, rd, number), ifindex: 900 + number };
    const identity: [number, number] = [number, number];
    const record = { kind: AddressKind.local, network, targetRd: rd, ifindex: place.ifindex, tunnel: NONE, identity, mac: place.mac };
    this.kernel.addresses.put([[{ rd, address: address(ip) }, record]]);
    this.kernel.endpoints.put([[place.ifindex, this.endpointRecord(place)]]);
    return place;
  }

  remote(rd: number, network: number, ip: string, number: number, tunnel: string): Place {
    const identity: [number, number] = [number, number];
    const record = { kind: AddressKind.remote, network, targetRd: rd, ifindex: 0, tunnel: address(tunnel), identity, mac: new Uint8Array(6) };
    this.kernel.addresses.put([[{ rd, address: address(ip) }, record]]);
    return { rd, network, ip, number, mac: new Uint8Array(6), ifindex: 0 };
  }

  /** From now on in both columns; 0: none. */
  shadow(place: Place, subject: number): void {
    place.shadow = subject;
    this.kernel.endpoints.put([[place.ifindex, this.endpointRecord(place)]]);
  }

  /** `target` undefined: any protocol; port undefined: any port; bits: how many of the port's bits count. */
  rule(
    subject: Place | number,
    peer: Place | 0,
    direction: Direction,
    action: Action,
    options: { precedence?: number; rule?: number; tier?: number; place?: number; protocol?: number; port?: number; bits?: number } = {},
  ): void {
    const { precedence = 1, rule = 1, tier = 0, place = 0, protocol, port, bits = 16 } = options;
    const prefixlen = protocol === undefined ? 72 : port === undefined ? 80 : 80 + bits;
    const key = {
      prefixlen,
      policy: typeof subject === 'number' ? subject : subject.number,
      peer: peer === 0 ? 0 : peer.number,
      direction,
      protocol: protocol ?? 0,
      port: port ?? 0,
    };
    this.kernel.policy.put([[key, { precedence, rule, action, tier, place }]]);
  }

  allowAll(...places: Place[]): void {
    for (const place of places) {
      this.rule(place, 0, Direction.egress, Action.allow, { rule: 1 });
      this.rule(place, 0, Direction.ingress, Action.allow, { rule: 2 });
    }
  }

  /** The packet as if `from` had sent it; `from` null: from a device that has no endpoint. */
  send(from: Place | null, packet: Uint8Array): Sent {
    if (from) this.kernel.endpoints.put([[LOOPBACK, this.endpointRecord(from)]]);
    else this.kernel.endpoints.remove([LOOPBACK]);
    return this.run('from_endpoint', packet);
  }

  run(program: ProgramName, packet: Uint8Array): Sent {
    const { verdict, packet: out } = testRun(this.#loaded.programs[program], packet);
    const now = this.kernel.drops();
    const counted = (Object.keys(now) as DropReasonName[]).filter((name) => now[name].packets > this.#drops[name].packets);
    this.#drops = now;
    if (verdict === TC_ACT_REDIRECT && counted.length === 0) return { result: 'passed', packet: out };
    if (verdict === 2 && counted.length === 1) return { result: counted[0]!, packet: out };
    throw new Error(`verdict ${verdict} with the counted reasons [${counted.join(', ')}]`);
  }

  /** The flow records written since the last call. */
  events(): FlowEvent[] {
    return this.#ring.read();
  }

  close(): void {
    this.#ring.close();
    this.kernel.close();
    libbpf().closeObject(this.#loaded.object);
    run('umount', this.pinDir);
    rmSync(this.#folder, { recursive: true });
  }
}
