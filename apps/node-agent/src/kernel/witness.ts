import { join } from 'node:path';
import { countConnections, DeviceWatch, type InsideSeen, lookInside, type NodeDump, readBackTables, type Remembered, type TablesDump, type Where, WitnessError } from '@osier/dataplane/witness';
import { fromMapped16, mapped16 } from '@osier/domain/net/ipv4';
import type { LocalEndpoint } from '@osier/domain/reconcile/program';
import type { Touched } from '@osier/domain/reconcile/attest';
import { same } from '@osier/domain/reconcile/plan';
import { keyOf, type Rows, type TableName, tableNames, type Tables } from '@osier/domain/reconcile/tables';
import type { Observed, Witness } from './observed.ts';

/**
 * The kernel as the witness read it, in the rows that the core compares. Uses nothing of the writer's conversion (records.ts): what one
 * of the two gets wrong, the comparison shows. What no right record could say becomes a value that no right row has (-1, `?`).
 */
export function witnessOf(where: Where, netnsDir: string): Witness {
  const observe = createObserver();
  const remembered: Remembered = new Map();
  const devices = new DeviceWatch(where);
  return {
    look: () => observe(devices.readBack(remembered)),
    devicesChanged: () => devices.changed(),
    lookAtTables: () => observe.tables(readBackTables(where, remembered)),
    inside(endpoint) {
      try {
        return faultsInside(endpoint, lookInside(join(netnsDir, endpoint.containerId), endpoint.interface));
      } catch (error) {
        if (!(error instanceof WitnessError)) throw error;
        return [`the workload of ${endpoint.path} cannot be looked into: ${error.reason} (${error.path})`];
      }
    },
    connections: (rd, address) => countConnections(where, rd, mapped16(address)),
  };
}

/** One look by itself. */
export const observed = (dump: NodeDump): Observed => createObserver()(dump);

export interface Observer {
  (dump: NodeDump): Observed;
  tables(dump: TablesDump): Observed;
}
/** Looks again and again, and says each time what is other than the time before. */
export function createObserver(): Observer {
  const tables: { readonly [T in TableName]: Following<T> } = {
    addresses: follow('addresses'), endpoints: follow('endpoints'), policy: follow('policy'), rules: follow('rules'), identities: follow('identities'), policies: follow('policies'), programs: follow('programs'), slots: follow('slots'),
  };
  const look = (dump: TablesDump): Observed => {
    const touched = Object.fromEntries(tableNames.map((name) => [name, tables[name].take(dump[name] as never)])) as unknown as Touched;
    return { tables: Object.fromEntries(tableNames.map((name) => [name, tables[name].table])) as unknown as Tables, touched, faults: [] };
  };
  return Object.assign((dump: NodeDump) => ({ ...look(dump), faults: faultsOf(dump) }), { tables: look });
}

type Seen<T extends TableName> = TablesDump[T][number];
interface Following<T extends TableName> { readonly table: ReadonlyMap<string, Rows[T]>; take(seen: readonly Seen<T>[]): ReadonlySet<string> }
/** A row that is the very object that it was is as it was, and is not looked at again. */
function follow<T extends TableName>(name: T): Following<T> {
  interface Entry { readonly key: string; readonly row: Rows[T]; look: number }
  const bySeen = new Map<Seen<T>, Entry>();
  const table = new Map<string, Rows[T]>();
  let looks = 0;
  let last: readonly Seen<T>[] = [];
  return {
    table,
    take(seen) {
      const touched = new Set<string>();
      const isAsLast = seen.length === last.length && seen.every((one, i) => one === last[i]);
      last = seen;
      if (isAsLast) return touched;
      looks++;
      for (const one of seen) {
        const known = bySeen.get(one);
        if (known) {
          known.look = looks;
          continue;
        }
        const row = rowOf[name](one);
        const key = keyOf[name](row);
        const before = table.get(key);
        bySeen.set(one, { key, row, look: looks });
        table.set(key, row);
        if (before === undefined || !same(before, row)) touched.add(key);
      }
      if (bySeen.size === seen.length) return touched;
      for (const [one, entry] of bySeen) {
        if (entry.look === looks) continue;
        bySeen.delete(one);
        // Another has come in its place.
        if (table.get(entry.key) !== entry.row) continue;
        table.delete(entry.key);
        touched.add(entry.key);
      }
      return touched;
    },
  };
}

/** As `GRACE_ENDLESS` of libs/dataplane/bpf/records.h. */
const endless = 0x7fff_ffff;
const said = { allow: 'Allow', deny: 'Deny', pass: 'Pass', unknown: 'Deny' } as const;
const rowOf: { readonly [T in TableName]: (seen: Seen<T>) => Rows[T] } = {
  addresses: (a) => ({
    rd: a.rd, address: ip(a.address), network: a.targetRd === a.rd && a.kind !== 'unknown' ? a.network : -1, ifindex: a.kind === 'local' ? a.ifindex : 0,
    tunnel: a.kind === 'remote' ? ip(a.tunnel) : '', mac: a.kind === 'local' ? mac(a.mac) : '', identity: a.identity,
  }),
  endpoints: (e) => ({ ifindex: e.ifindex, rd: e.rd, network: e.active ? e.network : -1, address: ip(e.address), mac: mac(e.mac), policy: e.policy, shadow: e.shadow }),
  policy: (p) => ({
    ...compared(p), action: said[p.action], tier: p.tier, precedence: p.action === 'unknown' ? -1 : p.precedence, place: p.place, rule: p.rule,
  }),
  rules: (r) => ({
    number: r.rule, policyId: uuid(r.policyId), index: r.ruleIndex, direction: r.direction === 'ingress' ? 'ingress' : 'egress',
    action: said[r.action], priority: r.precedence, grace: r.grace === endless ? 'endless' : r.grace,
  }),
  programs: ({ program, slots }) => ({ program, slots: slots.join(' ') }),
  slots: ({ slot, layer, digest }) => ({ slot, layer, digest }),
  identities: (d) => d,
  policies: (d) => d,
};

/** The first bits of a number of this width, the highest first. */
const leading = (value: number, width: number, bits: number): number => {
  const cut = 2 ** (width - Math.min(width, Math.max(0, bits)));
  return value - (value % cut);
};
/** A number of 32 bits lies in memory with its lowest byte first. */
const leadingInMemory = (value: number, bits: number): number => bits >= 32 ? value :
  [0, 1, 2, 3].reduce((sum, byte) => sum + leading(Math.floor(value / 256 ** byte) % 256, 8, bits - 8 * byte) * 256 ** byte, 0);
/** As much of a key as the kernel compares. */
function compared({ policy, peer, direction, prefixlen, protocol, port }: Seen<'policy'>): Pick<Rows['policy'], 'policy' | 'peer' | 'direction' | 'prefixlen' | 'protocol' | 'port'> {
  if (prefixlen >= 96) return { policy, peer, direction, prefixlen, protocol, port };
  const towards = leading({ egress: 1, ingress: 2 }[direction] ?? Number(direction), 8, prefixlen - 64);
  return {
    policy: leadingInMemory(policy, prefixlen), peer: leadingInMemory(peer, prefixlen - 32), direction: ([, 'egress', 'ingress'] as const)[towards] ?? towards,
    prefixlen, protocol: leading(protocol, 8, prefixlen - 72), port: leading(port, 16, prefixlen - 80),
  };
}

const wantedPrograms = { veth: { ingress: 'from_endpoint', egress: 'to_endpoint' }, vxlan: { ingress: 'from_vxlan', egress: undefined } } as const;

/** Devices that would let packets past the programs, or keep them from any. */
function faultsOf(dump: NodeDump): string[] {
  const attachments = new Map(dump.attachments.map((a) => [a.ifindex, a]));
  const faults: string[] = [];
  for (const link of dump.links) {
    const wanted = link.kind === 'veth' || link.kind === 'vxlan' ? wantedPrograms[link.kind] : undefined;
    if (wanted === undefined) continue;
    for (const side of ['ingress', 'egress'] as const) {
      const found = attachments.get(link.ifindex)?.[side]?.name;
      if (wanted[side] !== undefined && found !== wanted[side]) faults.push(`device ${link.name} runs ${found ?? 'nothing'} at ${side}, not ${wanted[side]}`);
    }
  }
  const overlay = dump.links.find((l) => l.kind === 'vxlan');
  if (overlay === undefined) faults.push('the overlay device is missing');
  else if (!overlay.up) faults.push(`the overlay device ${overlay.name} is down`);
  else if (overlay.ifindex !== dump.vxlanIfindex) faults.push(`the programs send to device ${dump.vxlanIfindex}, and the overlay is ${overlay.ifindex}`);
  return faults;
}

/** What more the workload has is its own affair: the programs take only its endpoint's addresses from it. */
export function faultsInside(e: Pick<LocalEndpoint, 'path' | 'interface' | 'address' | 'mac'>, seen: InsideSeen | undefined): string[] {
  if (seen === undefined) return [`the workload of ${e.path} has no device ${e.interface}`];
  return [
    ...(seen.up ? [] : [`device ${e.interface} in the workload of ${e.path} is down`]),
    ...(seen.mac === e.mac ? [] : [`device ${e.interface} in the workload of ${e.path} has MAC ${seen.mac}, not ${e.mac}`]),
    ...(seen.addresses.includes(`${e.address}/32`) ? [] : [`device ${e.interface} in the workload of ${e.path} does not have the address ${e.address}`]),
    ...(seen.defaultRoute ? [] : [`the workload of ${e.path} has no default route`]),
  ];
}

const ip = (bytes: Uint8Array): string => fromMapped16(bytes) ?? `? ${Buffer.from(bytes).toString('hex')}`;
const mac = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').replace(/(..)(?=.)/g, '$1:');
const uuid = (hex: string): string => (/^0+$/.test(hex) ? '' : [8, 12, 16, 20].reduce((text, at, i) => `${text.slice(0, at + i)}-${text.slice(at + i)}`, hex));
