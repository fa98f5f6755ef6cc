import { type Connection, connectionStates } from '@osier/contracts/telemetry';
import type { ConfigRecord, ConntrackEntry, ConntrackKey } from '@osier/dataplane/kernel';
import { ConntrackState, Timeouts } from '@osier/dataplane/records';
import { timeOf } from '../boot-time.ts';
import { type Directory, decisionsOf, protocolOf, side, sparedOf } from '../flows/resolve.ts';

/** Milliseconds that an entry may be silent, as idle_limit of bpf/collect.h has it. */
function idleLimit({ protocol }: Pick<ConntrackKey, 'protocol'>, { packets, state }: Pick<ConntrackEntry, 'packets' | 'state'>, c: ConfigRecord): number {
  if (protocol === 6) return packets[1] > 0n ? c.tcpEstablished || Timeouts.tcp_established : c.tcpSyn || Timeouts.tcp_syn;
  if (protocol === 132) return packets[1] > 0n ? c.sctpEstablished || Timeouts.sctp_established : c.sctpInit || Timeouts.sctp_init;
  if (protocol === 1) return c.icmp || Timeouts.icmp;
  return state === ConntrackState.new ? c.udpNew || Timeouts.udp_new : c.udpReplied || Timeouts.udp_replied;
}

/** Neither ended, nor revoked, nor idle for so long that the collector will take it. `now`: nanoseconds of the boot clock. */
export const isLive = (key: ConntrackKey, entry: ConntrackEntry, config: ConfigRecord, now: bigint): boolean =>
  entry.ended === 0 && entry.state < ConntrackState.closed && now - entry.lastSeen <= BigInt(idleLimit(key, entry, config)) * 1_000_000n;

/** An entry in the words of flow records. Undefined where the routing domain is unknown: nobody could be told. `bootTime`: milliseconds since the epoch at which the boot clock was 0. */
export function connectionOf(key: ConntrackKey, entry: ConntrackEntry, directory: Directory, bootTime: number): Connection | undefined {
  const [domain, project, environment] = directory.environment(key.rd)?.split('/') ?? [];
  if (domain === undefined || project === undefined || environment === undefined) return undefined;
  const told = (address: Uint8Array, port: number): Connection['source'] => {
    const { tags: _, ...rest } = side(key.rd, address, port, directory);
    return rest;
  };
  const [source, destination, sourcePort] = entry.initiatorHigh === 1 ? [key.high, key.low, key.highPort] : [key.low, key.high, key.lowPort];
  const both = ([forward, reply]: readonly [bigint, bigint]): Connection['packets'] => ({ forward: Number(forward), reply: Number(reply) });
  return {
    domain, project, environment, network: directory.networkName(key.rd, entry.network),
    source: told(source, sourcePort), destination: told(destination, entry.policyPort), protocol: protocolOf(key.protocol),
    state: connectionStates[entry.state - 1] ?? 'new', since: timeOf(entry.firstSeen, bootTime), lastPacketAt: timeOf(entry.lastSeen, bootTime),
    packets: both(entry.packets), bytes: both(entry.bytes), decisions: decisionsOf(entry, directory), ...sparedOf(entry, bootTime), revision: Number(entry.revision),
  };
}
