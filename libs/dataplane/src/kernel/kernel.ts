/**
 * What the node agent sees of the kernel. `openKernel` (./open.ts) and `fakeKernel` (./fake.ts) both implement it, and one
 * contract suite (./contract.ts) runs against both.
 *
 *   desired tables ──put/remove──► Target ─┐
 *   the switch ─────flip(revision)────────┼──► maps ◄── programs ──► flows(), drops(), lost()
 *   devices ────────links.ensure…──────────┘
 *
 * Two worlds. Columns [0] and [1] of `identity`, `policy`, `shadow` and `layer` hold two worlds; the parity of `config().epoch` says which one packets
 * read. To change rules: write new policy entries under new numbers, write the *inactive* column ((epoch + 1) & 1), `flip(revision)`,
 * then write the other column too and remove what nothing refers to any more.
 */
import { ProgramLimits } from '../records.gen.ts';
import type {
  AddressKey,
  AddressRecord,
  ConfigRecord,
  ConntrackEntry,
  ConntrackKey,
  DigestRecord,
  DropReasonName,
  EndpointRecord,
  FlowEvent,
  PolicyEntry,
  PolicyKey,
  ProgramRecord,
  RuleRecord,
  SlotRecord,
} from '../records.gen.ts';

export type {
  AddressKey,
  AddressRecord,
  ConfigRecord,
  ConntrackEntry,
  ConntrackKey,
  DigestRecord,
  DropReasonName,
  EndpointRecord,
  FlowEvent,
  PolicyEntry,
  PolicyKey,
  ProgramRecord,
  RuleRecord,
  SlotRecord,
} from '../records.gen.ts';

/** Tables whose capacity can be chosen when they are first created. `flows` is in bytes, a power of two. */
export type TableName =
  | 'endpoints'
  | 'addresses'
  | 'policy'
  | 'rules'
  | 'identities'
  | 'policies'
  | 'programs'
  | 'slots'
  | 'conntrack'
  | 'denials'
  | 'flows';

export type Limits = Record<TableName, number>;

/** One kernel table. `put` and `remove` are idempotent; `put` that does not fit throws `table-full` and writes nothing. */
export interface Target<K, V> {
  readonly name: string;
  readonly capacity: number;
  list(): [K, V][];
  put(entries: readonly (readonly [K, V])[]): void;
  remove(keys: readonly K[]): void;
}

/** The row of a program. A list that does not fit is refused: what is cut off would be a policy that no longer counts. */
export function programOf(slots: readonly number[]): ProgramRecord {
  if (slots.length > ProgramLimits.layers_per_program || slots.includes(0)) {
    throw new KernelError('invalid-record', `${slots.length} slots (${slots.join(', ')}) are no program`, 'programs.slots', `Name at most ${ProgramLimits.layers_per_program} slots, and none by 0.`);
  }
  const zeros = Array<number>(ProgramLimits.layers_per_program - slots.length).fill(0);
  return { slots: [...slots, ...zeros] as ProgramRecord['slots'] };
}

export type DropCounts = Record<DropReasonName, { packets: bigint; bytes: bigint }>;

/** What one run of the collector did to `conntrack`. */
export interface GcResult {
  walked: number;
  expired: number;
  /** Flows that the current world denies: an end record is out and their packets drop. */
  revoked: number;
}

export interface LinkInfo {
  name: string;
  ifindex: number;
  kind: 'veth' | 'vxlan';
  up: boolean;
  mtu: number;
}

export interface VxlanOptions {
  name: string;
  /** UDP port of the underlay. */
  port: number;
  mtu: number;
  /** Underlay device; absent: the route decides. */
  device?: string;
}

export interface VethOptions {
  /** Host side, in the node's namespace; at most 15 characters and it must start with LINK_PREFIX. */
  hostName: string;
  /** The workload's namespace, for example /run/netns/x or /proc/123/ns/net; the node's and this process's own are refused. */
  netnsPath: string;
  /** Name inside the workload, usually eth0. */
  peerName: string;
  mtu: number;
  mac: Uint8Array;
  /** 16 bytes, IPv4 as ::ffff:a.b.c.d. */
  address: Uint8Array;
}

/** Every device of ours in a node's namespace begins with it; `list` and `removeVeth` know no others. */
export const LINK_PREFIX = 'osr';

/** Devices in the node's network namespace. Each call repairs what it finds and changes nothing that is right. */
export interface Links {
  /** Creates or repairs the one VXLAN device, attaches its program, brings it up and writes its ifindex into `config`. */
  ensureVxlan(options: VxlanOptions): number;
  /**
   * Creates or repairs the pair with its programs attached, the workload's side configured, and the host side still down:
   * nothing flows until `activateVeth`. Returns the host side's ifindex, which keys `endpoints`.
   */
  prepareVeth(options: VethOptions): number;
  /** Brings the host side up. Write the endpoint's table entries first. */
  activateVeth(hostName: string): void;
  /** `prepareVeth`, then `activateVeth`. */
  ensureVeth(options: VethOptions): number;
  /** Deletes the pair; no error if it is not there. */
  removeVeth(hostName: string): void;
  list(): LinkInfo[];
}

/** Programs on devices, as `tc filter show` names them. */
export type AttachedProgram = 'from_endpoint' | 'to_endpoint' | 'from_vxlan';

export interface Kernel {
  /** True if the maps of a former process were found and are in use. */
  readonly restored: boolean;
  readonly endpoints: Target<number, EndpointRecord>;
  readonly addresses: Target<AddressKey, AddressRecord>;
  readonly policy: Target<PolicyKey, PolicyEntry>;
  readonly rules: Target<number, RuleRecord>;
  readonly identities: Target<number, DigestRecord>;
  readonly policies: Target<number, DigestRecord>;
  readonly programs: Target<number, ProgramRecord>;
  readonly slots: Target<number, SlotRecord>;
  readonly links: Links;
  /** The kernel's fingerprints (hex) of the programs that this process attaches; the read-back must show the same. */
  readonly programTags: Readonly<Record<AttachedProgram, string>>;
  config(): ConfigRecord;
  /** Sets single fields. `epoch` is refused: only `flip` moves it. */
  configure(change: Partial<Omit<ConfigRecord, 'epoch'>>): void;
  /** The revisions of column 0 and 1; the current one is `revisions()[config().epoch & 1]`. */
  revisions(): [bigint, bigint];
  /**
   * Writes the revision of the inactive column, then makes that column the current one, and returns the new epoch once no packet in
   * flight can still read the former one (a kernel grace period, some milliseconds).
   */
  flip(revision: bigint): number;
  /** Ends idle flows, ends flows that the current world denies, reports pending repeats of denials. Call it every few seconds. */
  collect(): GcResult;
  /** Deletes all connection tracking of an address and returns how many entries went; call it before an address is used again. */
  forget(rd: number, address: Uint8Array): number;
  /**
   * What is in `conntrack` of the routing domains that are wanted, a thousand entries at a time: whoever has other things to do asks for the next when they are
   * done. An entry that is there all the while comes once; of one that comes or goes meanwhile nothing is promised.
   */
  connections(wanted: (rd: number) => boolean): Iterable<readonly (readonly [ConntrackKey, ConntrackEntry])[]>;
  drops(): DropCounts;
  /** Flow records that found the ring buffer full, since the maps were created. */
  lost(): bigint;
  /** Starts reading flow records; returns a function that stops. One reader at a time. */
  flows(onBatch: (events: FlowEvent[]) => void): () => void;
  /** Closes this process's handles. Programs, maps and devices stay, and so does the traffic. */
  close(): void;
}

export type KernelErrorCode =
  | 'table-full'
  | 'invalid-record'
  | 'not-privileged'
  | 'libbpf-missing'
  | 'bpffs-missing'
  | 'btf-missing'
  | 'object-missing'
  | 'load-failed'
  | 'pins-incompatible'
  | 'namespace-missing'
  | 'namespace-not-allowed'
  | 'link-failed'
  | 'kernel-call-failed'
  | 'reader-busy'
  | 'closed';

/** Every failure of the kernel room. `path` is the table, device or file; `fix` is one imperative sentence. */
export class KernelError extends Error {
  readonly code: KernelErrorCode;
  readonly reason: string;
  readonly path: string;
  readonly fix: string;

  constructor(code: KernelErrorCode, reason: string, path: string, fix: string) {
    super(`${code}: ${reason} (${path}). ${fix}`);
    this.name = 'KernelError';
    this.code = code;
    this.reason = reason;
    this.path = path;
    this.fix = fix;
  }
}
