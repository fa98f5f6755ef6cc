/**
 * Reads back what the kernel holds, by another road than the writer's: bpf(2) itself, the layout from the BTF that the kernel keeps
 * with each map, and a netlink dump of its own. It shares no code with src/kernel and none with the generated codecs, so a mistake
 * in either is seen and not repeated.
 */
import { join } from 'node:path';
import { devicesOf } from './devices.ts';
import type { AddressSeen, DigestSeen, EndpointSeen, NodeDump, PolicySeen, ProgramRowSeen, RuleSeen, SlotSeen, TablesDump } from './dump.ts';
import type { Row, Value } from './layout.ts';
import { type Pair, PinnedMap } from './maps.ts';
import { DeviceNews } from './news.ts';
import { WitnessError } from './syscall.ts';

export type {
  AddressSeen,
  Attachment,
  DigestSeen,
  EndpointSeen,
  LinkSeen,
  NodeDump,
  PolicySeen,
  ProgramRowSeen,
  ProgramSeen,
  RuleSeen,
  SlotSeen,
  TablesDump,
} from './dump.ts';
export { type InsideSeen, lookInside } from './inside.ts';
export { WitnessError } from './syscall.ts';

export interface Where {
  pinDir: string;
  netnsPath?: string;
}

const SCHEMA = 'v2';
const DEVICE_PREFIX = 'osr';

/** What was read before, by table: an entry that still has the same bytes is then the same object. Belongs to one node. */
export type Remembered = Map<string, ReadonlyMap<string, unknown>>;

/** Everything that decides about packets on a node. Throws WitnessError if it cannot be read: never a partial dump. */
export function readBack(where: Where, remembered: Remembered = new Map()): NodeDump {
  const config = read(where, 'config', (map) => map.at(0));
  const revisions = read(where, 'revisions', (map): [bigint, bigint] => [big(map.at(0), 'value'), big(map.at(1), 'value')]);
  const epoch = number(config, 'epoch');
  return {
    epoch,
    revision: revisions[epoch & 1] ?? 0n,
    revisions,
    vxlanIfindex: number(config, 'vxlan_ifindex'),
    underlay: bytes(config, 'underlay'),
    ...readBackTables(where, remembered),
    ...devicesOf(where.netnsPath, DEVICE_PREFIX),
  };
}

/** The tables alone. Throws as `readBack` does. */
export function readBackTables(where: Where, remembered: Remembered = new Map()): TablesDump {
  const rows = <T>(name: string, convert: (pair: Pair) => T): T[] => {
    const found = read(where, name, (map) => map.converted(convert, (remembered.get(name) ?? new Map()) as ReadonlyMap<string, T>));
    remembered.set(name, found);
    return [...found.values()];
  };
  return {
    endpoints: rows('endpoints', endpoint),
    addresses: rows('addresses', address),
    policy: rows('policy', policy),
    rules: rows('rules', rule),
    identities: rows('identities', digest),
    policies: rows('policies', digest),
    programs: rows('programs', program),
    slots: rows('slots', slot),
  };
}

/**
 * Says what of a node's devices and attachments is other than when `readBack` was called last; of a kernel that has nothing to say, nothing is asked. Not for ever: what
 * it does not tell of, only `readBack` sees.
 */
export class DeviceWatch {
  readonly #where: Where;
  #news: DeviceNews | undefined;
  #known: ReadonlySet<number> = new Set();
  #changed = true;

  constructor(where: Where) {
    this.#where = where;
  }

  /** As `readBack`. What happens while it reads is news afterwards. */
  readBack(remembered?: Remembered): NodeDump {
    this.#news ??= new DeviceNews(this.#where.netnsPath, DEVICE_PREFIX);
    this.#news.take(this.#known);
    // Until all of it has been seen.
    this.#changed = true;
    const dump = readBack(this.#where, remembered);
    this.#known = new Set(dump.links.map((link) => link.ifindex));
    this.#changed = false;
    return dump;
  }

  /** Whether a device, or what is attached to one, may be other than `readBack` said last. */
  changed(): boolean {
    this.#changed ||= this.#news === undefined || this.#news.take(this.#known);
    return this.#changed;
  }

  close(): void {
    this.#news?.close();
    this.#news = undefined;
  }
}

/** How many tracked connections an address still has: zero before it may be given away again. */
export function countConnections(where: Where, rd: number, address: Uint8Array): number {
  const wanted = hex(address);
  const raw = Buffer.from(address);
  const mine = ({ key }: Pair) => number(key, 'rd') === rd && [hex(bytes(key, 'low')), hex(bytes(key, 'high'))].includes(wanted);
  return read(where, 'conntrack', (map) => [...map.all((key) => key.includes(raw))].filter(mine).length);
}

function read<T>(where: Where, name: string, act: (map: PinnedMap) => T): T {
  const map = new PinnedMap(join(where.pinDir, SCHEMA, name));
  try {
    return act(map);
  } finally {
    map.close();
  }
}

function endpoint({ key, value }: Pair): EndpointSeen {
  return {
    ifindex: number(key, 'value'),
    rd: number(value, 'rd'),
    network: number(value, 'network'),
    policy: columns(value, 'policy'),
    shadow: columns(value, 'shadow'),
    address: bytes(value, 'address'),
    mac: bytes(value, 'mac'),
    active: (number(value, 'flags') & 1) === 1,
  };
}

function address({ key, value }: Pair): AddressSeen {
  return {
    rd: number(key, 'rd'),
    address: bytes(key, 'address'),
    kind: ([, 'local', 'remote'] as const)[number(value, 'kind')] ?? 'unknown',
    network: number(value, 'network'),
    targetRd: number(value, 'target_rd'),
    ifindex: number(value, 'ifindex'),
    tunnel: bytes(value, 'tunnel'),
    identity: columns(value, 'identity'),
    mac: bytes(value, 'mac'),
  };
}

function policy({ key, value }: Pair): PolicySeen {
  const towards = direction(key);
  return {
    prefixlen: number(key, 'prefixlen'),
    policy: number(key, 'policy'),
    peer: number(key, 'peer'),
    direction: towards === 'unknown' ? number(key, 'direction') : towards,
    protocol: number(key, 'protocol'),
    port: number(key, 'port'),
    action: action(value),
    precedence: number(value, 'precedence'),
    tier: number(value, 'tier'),
    place: number(value, 'place'),
    rule: number(value, 'rule'),
  };
}

function rule({ key, value }: Pair): RuleSeen {
  return {
    rule: number(key, 'value'),
    policyId: hex(bytes(value, 'policy_id')),
    ruleIndex: number(value, 'rule_index'),
    direction: direction(value),
    action: action(value),
    precedence: number(value, 'precedence'),
    grace: number(value, 'grace'),
  };
}

function program({ key, value }: Pair): ProgramRowSeen {
  const slots = (field(value, 'slots') as number[]).map(Number);
  while (slots.at(-1) === 0) slots.pop();
  return { program: number(key, 'value'), slots };
}

function slot({ key, value }: Pair): SlotSeen {
  return { slot: number(key, 'value'), layer: columns(value, 'layer'), digest: hex(bytes(value, 'digest')) };
}

function digest({ key, value }: Pair): DigestSeen {
  return { number: number(key, 'value'), digest: hex(bytes(value, 'digest')) };
}

function direction(row: Row): 'egress' | 'ingress' | 'unknown' {
  return ([, 'egress', 'ingress'] as const)[number(row, 'direction')] ?? 'unknown';
}

function action(row: Row): 'allow' | 'deny' | 'pass' | 'unknown' {
  return ([, 'allow', 'deny', 'pass'] as const)[number(row, 'action')] ?? 'unknown';
}

function field(row: Row, name: string): Value {
  const value = row[name];
  if (value === undefined) throw new WitnessError(`the kernel's record has no field ${name}`, 'btf');
  return value;
}

function number(row: Row, name: string): number {
  return Number(field(row, name));
}

function big(row: Row, name: string): bigint {
  return BigInt(field(row, name) as bigint);
}

function bytes(row: Row, name: string): Uint8Array {
  const value = field(row, name);
  if (!(value instanceof Uint8Array)) throw new WitnessError(`the field ${name} holds no bytes`, 'btf');
  return value;
}

function columns(row: Row, name: string): [number, number] {
  const value = field(row, name);
  if (!Array.isArray(value) || value.length !== 2) throw new WitnessError(`the field ${name} holds no two columns`, 'btf');
  return [Number(value[0]), Number(value[1])];
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}
