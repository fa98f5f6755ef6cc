import type { PortMatch } from '../rules/model.ts';
import { protocolNumbers } from './model.ts';

/**
 * What of (protocol, port) an entry covers: everything, one protocol, or the ports of one protocol whose first `bits` bits are those of `port`.
 * Two regions are disjoint, or one lies within the other, so that of those around a packet one is the innermost.
 */
export interface Region {
  readonly protocol: number | undefined;
  readonly port: number | undefined;
  /** Absent: 16, one port. */
  readonly bits?: number;
}
export const everything: Region = { protocol: undefined, port: undefined };
const portBits = 16;

export const regionKey = (r: Region): string => `${r.protocol ?? '*'}:${r.port ?? '*'}${r.bits === undefined ? '' : `/${r.bits}`}`;
/** How much of (protocol, port) is given, in bits: the more, the further in. */
export const depthOf = (r: Region): number => (r.protocol === undefined ? 0 : r.port === undefined ? 8 : 8 + (r.bits ?? portBits));

/** The regions that a region lies in, from the outermost to itself, of those depths. */
export function around(region: Region, depths: Iterable<number>): Region[] {
  const found: Region[] = [];
  for (const depth of depths) {
    if (depth > depthOf(region)) continue;
    if (depth === 0) found.push(everything);
    else if (depth === 8) found.push({ protocol: region.protocol, port: undefined });
    else found.push(prefix(region.protocol, region.port ?? 0, depth - 8));
  }
  return found;
}
const prefix = (protocol: number | undefined, port: number, bits: number): Region =>
  (bits === portBits ? { protocol, port } : { protocol, port: port & ~((1 << (portBits - bits)) - 1) & 0xffff, bits });

/** The fewest regions that together are the ports from `first` to `last`. */
function range(protocol: number, first: number, last: number): Region[] {
  if (first === 0 && last >= 0xffff) return [{ protocol, port: undefined }];
  const found: Region[] = [];
  for (let at = first; at <= last;) {
    let free = 0;
    while (free < portBits && (at & (1 << free)) === 0 && at + (1 << (free + 1)) - 1 <= last) free++;
    found.push(prefix(protocol, at, portBits - free));
    at += 1 << free;
  }
  return found;
}

/** Without a protocol it is every one that has ports. */
const withPorts = Object.entries(protocolNumbers).flatMap(([name, number]) => (name === 'ICMP' ? [] : [number]));
export const protocolsOf = (protocol: string | undefined): readonly number[] => (protocol === undefined ? withPorts : [(protocolNumbers as Readonly<Record<string, number>>)[protocol] ?? []].flat());

/** Of a port by number; one by name is no region until it is known whose. */
export function regionsOf(match: Exclude<PortMatch, { readonly name: string }>): Region[] {
  const protocols = protocolsOf(match.protocol);
  return protocols.flatMap((protocol) => ('first' in match ? range(protocol, match.first, match.last) : [{ protocol, port: undefined }]));
}
