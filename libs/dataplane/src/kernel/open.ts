/**
 *   pins ─► loader ─► maps ─► KernelTable (endpoints, addresses, policy, rules, identities, policies, programs, slots)
 *                       ├───► config (mmap'd: the epoch is one atomic store), revisions, drops, lost
 *                       └───► FlowRing
 *                     programs ─► KernelLinks (attach) · collect (test run)
 */
import { join } from 'node:path';
import { type Codec, decodeOne, encodeOne, u32 } from '../codec.ts';
import {
  addressKey,
  addressRecord,
  CollectMode,
  type CollectRequest,
  collectRequest,
  type ConfigRecord,
  configRecord,
  conntrackEntry,
  type ConntrackEntry,
  conntrackKey,
  type ConntrackKey,
  digestRecord,
  dropCount,
  DropReason,
  type DropReasonName,
  endpointRecord,
  type FlowEvent,
  policyEntry,
  policyKey,
  programRecord,
  ruleRecord,
  slotRecord,
} from '../records.gen.ts';
import { checkConfigChange, closedError, encodeChecked } from './checks.ts';
import { type DropCounts, type GcResult, type Kernel, KernelError, type Limits, type TableName } from './kernel.ts';
import { failed, mapMemory, type Mapping, pageSize, PROT_READ_WRITE, waitForPackets } from './libc.ts';
import { libbpf } from './libbpf.ts';
import { KernelLinks } from './links.ts';
import { load, type Loaded, SCHEMA, tagOf } from './loader.ts';
import { FlowRing } from './ring.ts';
import { formerFolders } from './succession.ts';
import { KernelTable } from './tables.ts';
import { testRun } from './testrun.ts';

export { ensureBpffs } from './loader.ts';

/** Whatever any version of Osier pinned for a node. */
export const pinFolders = (pinDir: string): string[] => [join(pinDir, SCHEMA), ...formerFolders(pinDir)];

const ETHERNET = 14;
const TC_ACT_OK = 0;
const EPOCH_BYTES = 4;

export interface OpenOptions {
  /** On a bpffs; the maps are pinned in `<pinDir>/v2/`. One per node. */
  pinDir: string;
  /** The node's network namespace; absent: that of this process. */
  netnsPath?: string;
  /** Capacities of maps that do not exist yet. */
  sizes?: Partial<Limits>;
}

/** Loads or takes over the dataplane of one node. Throws KernelError that names what is missing. */
export function openKernel(options: OpenOptions): Kernel {
  const loaded = load(options.pinDir, options.sizes ?? {});
  try {
    return new RealKernel(loaded, options.netnsPath);
  } catch (error) {
    libbpf().closeObject(loaded.object);
    throw error;
  }
}

class RealKernel implements Kernel {
  readonly restored: boolean;
  readonly endpoints;
  readonly addresses;
  readonly policy;
  readonly rules;
  readonly identities;
  readonly policies;
  readonly programs;
  readonly slots;
  readonly links: KernelLinks;
  readonly programTags;
  readonly #conntrack;
  readonly #loaded: Loaded;
  readonly #configMemory: Mapping;
  readonly #config: DataView;
  readonly #epoch: Uint32Array;
  #ring: FlowRing | undefined;
  #closed = false;

  constructor(loaded: Loaded, netnsPath: string | undefined) {
    this.#loaded = loaded;
    const { maps, programs, restored } = this.#loaded;
    this.restored = restored;
    this.#configMemory = mapMemory(maps.config, pageSize(), PROT_READ_WRITE, 0, 'config');
    this.#config = new DataView(this.#configMemory.memory, 0, configRecord.size);
    this.#epoch = new Uint32Array(this.#configMemory.memory, 0, 1);
    this.endpoints = this.#table('endpoints', u32, endpointRecord);
    this.addresses = this.#table('addresses', addressKey, addressRecord);
    this.policy = this.#table('policy', policyKey, policyEntry);
    this.rules = this.#table('rules', u32, ruleRecord);
    this.identities = this.#table('identities', u32, digestRecord);
    this.policies = this.#table('policies', u32, digestRecord);
    this.programs = this.#table('programs', u32, programRecord);
    this.slots = this.#table('slots', u32, slotRecord);
    this.#conntrack = this.#table('conntrack', conntrackKey, conntrackEntry);
    const fds = { fromEndpoint: programs.from_endpoint, toEndpoint: programs.to_endpoint, fromVxlan: programs.from_vxlan };
    this.links = new KernelLinks(netnsPath, fds, (vxlanIfindex) => this.configure({ vxlanIfindex }), () => this.#enter());
    this.programTags = {
      from_endpoint: tagOf(programs.from_endpoint, 'from_endpoint'),
      to_endpoint: tagOf(programs.to_endpoint, 'to_endpoint'),
      from_vxlan: tagOf(programs.from_vxlan, 'from_vxlan'),
    };
    this.links.replacePrograms();
    loaded.conclude();
  }

  config(): ConfigRecord {
    this.#enter();
    return configRecord.decode(this.#config, 0);
  }

  configure(change: Partial<Omit<ConfigRecord, 'epoch'>>): void {
    checkConfigChange(change);
    const bytes = encodeChecked(configRecord, { ...this.config(), ...change }, 'config');
    // never the epoch: it is the switch
    new Uint8Array(this.#configMemory.memory, EPOCH_BYTES, bytes.length - EPOCH_BYTES).set(bytes.subarray(EPOCH_BYTES));
  }

  revisions(): [bigint, bigint] {
    this.#enter();
    return [this.#revision(0), this.#revision(1)];
  }

  flip(revision: bigint): number {
    this.#enter();
    const next = (Atomics.load(this.#epoch, 0) + 1) >>> 0;
    const value = new Uint8Array(8);
    new DataView(value.buffer).setBigUint64(0, revision, true);
    const result = libbpf().updateElem(this.#loaded.maps.revisions, encodeOne(u32, next & 1), value, 0);
    if (result < 0) throw failed('writing', 'revisions', result);
    Atomics.store(this.#epoch, 0, next);
    waitForPackets();
    return next;
  }

  collect(): GcResult {
    const { walked, expired, revoked } = this.#collect({ mode: CollectMode.expire });
    return { walked, expired, revoked };
  }

  forget(rd: number, address: Uint8Array): number {
    return this.#collect({ mode: CollectMode.forget, rd, address }).forgotten;
  }

  connections(wanted: (rd: number) => boolean): Iterable<[ConntrackKey, ConntrackEntry][]> {
    return this.#conntrack.walk(({ rd }) => wanted(rd));
  }

  drops(): DropCounts {
    this.#enter();
    const names = Object.entries(DropReason) as [DropReasonName, number][];
    return Object.fromEntries(
      names.map(([name, reason]) => {
        const counts = this.#perCpu('drops', reason, dropCount);
        const sum = (field: 'packets' | 'bytes') => counts.reduce((total, count) => total + count[field], 0n);
        return [name, { packets: sum('packets'), bytes: sum('bytes') }];
      }),
    ) as DropCounts;
  }

  lost(): bigint {
    this.#enter();
    const u64: Codec<bigint> = { name: 'u64', size: 8, encode: () => {}, decode: (view, at) => view.getBigUint64(at, true) };
    return this.#perCpu('lost', 0, u64).reduce((total, count) => total + count, 0n);
  }

  flows(onBatch: (events: FlowEvent[]) => void): () => void {
    this.#enter();
    if (this.#ring) throw new KernelError('reader-busy', 'flow records have a reader already', 'flows', 'Stop the other reader first.');
    const ring = new FlowRing(this.#loaded.maps.flows, this.#loaded.shapes.flows.maxEntries);
    this.#ring = ring;
    ring.start(onBatch);
    return () => {
      if (this.#ring !== ring) return;
      this.#ring = undefined;
      ring.close();
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ring?.close();
    this.#ring = undefined;
    this.#configMemory.unmap();
    this.links.close();
    libbpf().closeObject(this.#loaded.object);
  }

  #enter(): void {
    if (this.#closed) throw closedError();
  }

  #table<K, V>(name: TableName, key: Codec<K>, value: Codec<V>): KernelTable<K, V> {
    return new KernelTable(name, key, value, this.#loaded.maps[name], this.#loaded.shapes[name].maxEntries, () => this.#enter());
  }

  #revision(column: number): bigint {
    const value = new Uint8Array(8);
    const result = libbpf().lookupElem(this.#loaded.maps.revisions, encodeOne(u32, column), value);
    if (result < 0) throw failed('reading', 'revisions', result);
    return new DataView(value.buffer).getBigUint64(0, true);
  }

  #perCpu<T>(name: 'drops' | 'lost', index: number, codec: Codec<T>): T[] {
    const cpus = libbpf().cpus();
    const value = new Uint8Array(cpus * codec.size);
    const result = libbpf().lookupElem(this.#loaded.maps[name], encodeOne(u32, index), value);
    if (result < 0) throw failed('reading', name, result);
    const view = new DataView(value.buffer);
    return Array.from({ length: cpus }, (_, cpu) => codec.decode(view, cpu * codec.size));
  }

  #collect(request: Pick<CollectRequest, 'mode'> & Partial<CollectRequest>): CollectRequest {
    this.#enter();
    const blank = decodeOne(collectRequest, new Uint8Array(collectRequest.size));
    const packet = new Uint8Array(ETHERNET + collectRequest.size);
    packet.set(encodeChecked(collectRequest, { ...blank, ...request }, 'conntrack'), ETHERNET);
    const result = testRun(this.#loaded.programs.collect, packet);
    if (result.verdict !== TC_ACT_OK) throw failed('collecting', 'conntrack', 5);
    return decodeOne(collectRequest, result.packet.subarray(ETHERNET));
  }
}
