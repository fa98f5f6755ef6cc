/**
 * A working kernel in memory: the same tables, columns, limits and errors as the real one, and `send` stands for a packet.
 * Its devices exist only here; `restored` is true for a second fake opened on the same `FakeMemory`.
 */
import type { Codec } from '../codec.ts';
import {
  addressKey,
  addressRecord,
  type ConfigRecord,
  configRecord,
  type ConntrackEntry,
  conntrackEntry,
  type ConntrackKey,
  conntrackKey,
  ConntrackState,
  digestRecord,
  DropReason,
  type DropReasonName,
  endpointRecord,
  flowEvent,
  type FlowEvent,
  Limits as DEFAULTS,
  policyEntry,
  policyKey,
  programRecord,
  ruleRecord,
  slotRecord,
} from '../records.gen.ts';
import { decodeOne, encodeOne, u32 } from '../codec.ts';
import { checkConfigChange, closedError, encodeChecked, tableFull } from './checks.ts';
import { type FakeDevice, FakeLinks } from './fake-links.ts';
import { judgeFake } from './fake-packet.ts';
import { withinPrefix } from './prefix.ts';
import type { DropCounts, GcResult, Kernel, Limits, TableName, Target } from './kernel.ts';
import { KernelError } from './kernel.ts';

export const FAKE_TAGS = { from_endpoint: '00000000000000a1', to_endpoint: '00000000000000a2', from_vxlan: '00000000000000a3' };

export interface FakePacket {
  /** Host side of the sending workload's veth. */
  ifindex: number;
  source: Uint8Array;
  destination: Uint8Array;
  protocol: number;
  /** TCP, UDP and SCTP; for ICMP type << 8 | code. */
  destinationPort: number;
  sourcePort?: number;
}

export interface FakeVerdict {
  reason: DropReasonName;
  egressRule: number;
  ingressRule: number;
}

export interface FakeKernel extends Kernel {
  readonly links: FakeLinks;
  /** What the programs of this node decide about the first packet of a flow; counts, records and reports it as they do. */
  send(packet: FakePacket): FakeVerdict;
  /** Pretends that the programs wrote this record. */
  emit(event: Partial<FlowEvent>): void;
  /** The next call of this kind throws this error: how a test makes the kernel fail. */
  failNext(call: 'put' | 'remove' | 'flip' | 'link', error: KernelError): void;
  /** Connections tracked, as `rd address address` in hex. */
  readonly tracked: Set<string>;
  /** Pretends that the programs hold this connection: what is not said is 0. */
  hold(key: ConntrackKey, entry: Partial<ConntrackEntry>): void;
}

/** Key and value as the kernel has them; what they say is worked out once, since a row is never written to, but replaced. */
interface FakeRow { readonly key: Uint8Array; readonly value: Uint8Array; decoded?: readonly [unknown, unknown] }

/** What stays when a process ends: pass it to the next `fakeKernel`. */
export class FakeMemory {
  readonly tables = new Map<string, Map<string, FakeRow>>();
  readonly drops = new Map<DropReasonName, { packets: bigint; bytes: bigint }>();
  readonly tracked = new Set<string>();
  /** What `connections` tells; by key, in hex. */
  readonly conntrack = new Map<string, readonly [ConntrackKey, ConntrackEntry]>();
  readonly devices = new Map<string, FakeDevice>();
  revisions: [bigint, bigint] = [0n, 0n];
  config: ConfigRecord = decodeOne(configRecord, new Uint8Array(configRecord.size));
  used = false;
}

class FakeTable<K, V> implements Target<K, V> {
  readonly name: TableName;
  readonly capacity: number;
  readonly #rows: Map<string, FakeRow>;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;
  readonly #enter: (call: 'list' | 'put' | 'remove') => void;

  constructor(name: TableName, key: Codec<K>, value: Codec<V>, capacity: number, memory: FakeMemory, enter: (call: 'list' | 'put' | 'remove') => void) {
    this.name = name;
    this.capacity = capacity;
    this.#key = key;
    this.#value = value;
    this.#enter = enter;
    this.#rows = memory.tables.get(name) ?? new Map();
    memory.tables.set(name, this.#rows);
  }

  list(): [K, V][] {
    this.#enter('list');
    return Array.from(this.#rows.values(), (row) => (row.decoded ??= [decodeOne(this.#key, row.key), decodeOne(this.#value, row.value)]) as [K, V]);
  }

  /** Under what a row is found. The trie keeps a key as it was given last, and finds it by its prefix. */
  #at(key: Uint8Array): string {
    return hex(this.name === 'policy' ? withinPrefix(key) : key);
  }

  put(entries: readonly (readonly [K, V])[]): void {
    this.#enter('put');
    const rows = new Map(entries.map(([key, value]): [string, FakeRow] => {
      const row = { key: encodeChecked(this.#key, key, this.name), value: encodeChecked(this.#value, value, this.name) };
      return [this.#at(row.key), row];
    }));
    const size = [...rows.keys()].reduce((sum, key) => sum + (this.#rows.has(key) ? 0 : 1), this.#rows.size);
    if (size > this.capacity) throw tableFull(this.name, this.capacity, size);
    for (const [key, row] of rows) this.#rows.set(key, row);
  }

  remove(keys: readonly K[]): void {
    this.#enter('remove');
    for (const key of keys) this.#rows.delete(this.#at(encodeChecked(this.#key, key, this.name)));
  }
}

const BATCH = 1024;

/** The first packet of a flow, remembered as begin_flow of bpf/conntrack.h does. */
function track(kernel: FakeKernel, packet: FakePacket, event: Partial<FlowEvent>): void {
  const [source, destination, sourcePort] = [packet.source, packet.destination, packet.sourcePort ?? 0];
  const destinationPort = packet.protocol === 1 ? sourcePort : packet.destinationPort;
  const now = process.hrtime.bigint();
  const order = Buffer.compare(source, destination) || sourcePort - destinationPort;
  const [from, to] = [{ address: source, port: sourcePort }, { address: destination, port: destinationPort }];
  const [low, high] = order > 0 ? [to, from] : [from, to];
  kernel.hold({ low: low.address, high: high.address, lowPort: low.port, highPort: high.port, rd: event.rd ?? 0, protocol: packet.protocol }, {
    firstSeen: now, lastSeen: now, packets: [1n, 0n], revision: event.revision ?? 0n, epoch: kernel.config().epoch, network: event.network ?? 0, egressRule: event.egressRule ?? 0, ingressRule: event.ingressRule ?? 0,
    sourceIfindex: event.sourceIfindex ?? 0, destinationIfindex: event.destinationIfindex ?? 0, policyPort: packet.destinationPort, state: ConntrackState.new, initiatorHigh: order > 0 ? 1 : 0,
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

export function fakeKernel(options: { sizes?: Partial<Limits>; memory?: FakeMemory } = {}): FakeKernel {
  const memory = options.memory ?? new FakeMemory();
  const restored = memory.used;
  memory.used = true;
  const failures = new Map<string, KernelError>();
  let reader: ((events: FlowEvent[]) => void) | undefined;
  let pending: FlowEvent[] = [];
  let closed = false;

  const enter = (call: string) => {
    if (closed) throw closedError();
    const failure = failures.get(call);
    failures.delete(call);
    if (failure) throw failure;
  };
  const links = new FakeLinks(memory.devices, () => enter('link'), (ifindex) => void (memory.config.vxlanIfindex = ifindex));
  const table = <K, V>(name: TableName, key: Codec<K>, value: Codec<V>) =>
    new FakeTable(name, key, value, options.sizes?.[name] ?? DEFAULTS[name], memory, enter);
  const emit = (event: Partial<FlowEvent>) => {
    pending.push({ ...decodeOne(flowEvent, new Uint8Array(flowEvent.size)), ...event });
    setImmediate(() => {
      if (!reader || pending.length === 0) return;
      const batch = pending;
      pending = [];
      reader(batch);
    });
  };
  const kernel: FakeKernel = {
    restored,
    endpoints: table('endpoints', u32, endpointRecord),
    addresses: table('addresses', addressKey, addressRecord),
    policy: table('policy', policyKey, policyEntry),
    rules: table('rules', u32, ruleRecord),
    identities: table('identities', u32, digestRecord),
    policies: table('policies', u32, digestRecord),
    programs: table('programs', u32, programRecord),
    slots: table('slots', u32, slotRecord),
    links,
    tracked: memory.tracked,
    programTags: FAKE_TAGS,
    config: () => (enter('config'), decodeOne(configRecord, encodeOne(configRecord, memory.config))),
    configure(change) {
      enter('configure');
      checkConfigChange(change);
      const next = { ...memory.config, ...change };
      encodeChecked(configRecord, next, 'config');
      memory.config = next;
    },
    revisions: () => (enter('revisions'), [...memory.revisions]),
    flip(revision) {
      enter('flip');
      memory.revisions[(memory.config.epoch + 1) & 1] = revision;
      memory.config.epoch = (memory.config.epoch + 1) >>> 0;
      return memory.config.epoch;
    },
    collect: (): GcResult => (enter('collect'), { walked: memory.tracked.size, expired: 0, revoked: 0 }),
    forget(rd, address) {
      enter('forget');
      encodeChecked(addressKey, { rd, address }, 'conntrack');
      const wanted = hex(address);
      const gone = [...memory.tracked].filter((flow) => flow.split(' ')[0] === String(rd) && flow.includes(wanted));
      for (const flow of gone) memory.tracked.delete(flow);
      for (const [at, [key]] of memory.conntrack) if (key.rd === rd && [key.low, key.high].some((one) => hex(one) === wanted)) memory.conntrack.delete(at);
      return gone.length;
    },
    *connections(wanted) {
      enter('connections');
      const all = [...memory.conntrack.values()];
      for (let from = 0; from < Math.max(1, all.length); from += BATCH) {
        yield all.slice(from, from + BATCH).filter(([{ rd }]) => wanted(rd));
        enter('connections');
      }
    },
    hold(key, entry) {
      memory.conntrack.set(hex(encodeOne(conntrackKey, key)), [key, { ...decodeOne(conntrackEntry, new Uint8Array(conntrackEntry.size)), ...entry }]);
    },
    drops() {
      enter('drops');
      const names = Object.keys(DropReason).filter((name) => name !== 'none') as DropReasonName[];
      const rows = names.map((name) => [name, { ...(memory.drops.get(name) ?? { packets: 0n, bytes: 0n }) }]);
      return Object.fromEntries([['none', { packets: 0n, bytes: 0n }], ...rows]) as DropCounts;
    },
    lost: () => (enter('lost'), 0n),
    flows(onBatch) {
      enter('flows');
      if (reader) throw new KernelError('reader-busy', 'flow records have a reader already', 'flows', 'Stop the other reader first.');
      reader = onBatch;
      return () => void (reader = undefined);
    },
    close() {
      closed = true;
      reader = undefined;
    },
    emit,
    failNext: (call, error) => void failures.set(call, error),
    send(packet) {
      enter('send');
      const { verdict, event } = judgeFake(kernel, packet);
      if (event) emit(event);
      if (verdict.reason === 'none') {
        memory.tracked.add(`${event?.rd} ${hex(packet.source)} ${hex(packet.destination)}`);
        track(kernel, packet, event ?? {});
      }
      else {
        const count = memory.drops.get(verdict.reason) ?? { packets: 0n, bytes: 0n };
        memory.drops.set(verdict.reason, { packets: count.packets + 1n, bytes: count.bytes });
      }
      return verdict;
    },
  };
  return kernel;
}
