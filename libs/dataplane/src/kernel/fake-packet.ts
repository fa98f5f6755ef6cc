/** The fake's verdicts: what bpf/policy.h decides about the first packet of a flow, in plain words. */
import {
  AddressKind,
  type AddressRecord,
  Action,
  Direction,
  DropReason,
  type DropReasonName,
  EndpointFlag,
  type EndpointRecord,
  FlowKind,
  type FlowEvent,
  type PolicyEntry,
  type PolicyKey,
  ProgramLimits,
  RecordFlag,
  Verdict,
} from '../records.gen.ts';
import type { FakePacket, FakeVerdict } from './fake.ts';
import type { Kernel } from './kernel.ts';
import { covers } from './prefix.ts';

type Side = { reason: DropReasonName; rule: number };

export function judgeFake(kernel: Kernel, packet: FakePacket): { verdict: FakeVerdict; event?: Partial<FlowEvent> } {
  const verdict: FakeVerdict = { reason: 'none', egressRule: 0, ingressRule: 0 };
  const config = kernel.config();
  const column = (config.epoch & 1) as 0 | 1;
  const endpoints = new Map(kernel.endpoints.list());
  const endpoint = endpoints.get(packet.ifindex);
  if (!endpoint) return { verdict: { ...verdict, reason: 'unknown_endpoint' } };
  if (!(endpoint.flags & EndpointFlag.active)) return { verdict: { ...verdict, reason: 'inactive_endpoint' } };

  const event: Partial<FlowEvent> = {
    rd: endpoint.rd,
    network: endpoint.network,
    revision: kernel.revisions()[column],
    source: packet.source,
    destination: packet.destination,
    sourcePort: packet.sourcePort ?? 0,
    destinationPort: packet.destinationPort,
    protocol: packet.protocol,
    sourceIfindex: packet.ifindex,
    packets: [1n, 0n],
  };
  verdict.reason = decide(kernel, packet, endpoint, endpoints, column, verdict, event);
  const shadow = imagine(kernel, packet, endpoint, endpoints, column);
  const allowed = verdict.reason === 'none';
  const wanted = config.recordFlags & (allowed ? RecordFlag.start : RecordFlag.denied);
  if (!wanted) return { verdict };
  return {
    verdict,
    event: {
      ...event,
      ...shadow,
      egressRule: verdict.egressRule,
      ingressRule: verdict.ingressRule,
      kind: allowed ? FlowKind.start : FlowKind.denied,
      verdict: allowed ? Verdict.allowed : Verdict.denied,
      reason: DropReason[verdict.reason],
    },
  };
}

function decide(
  kernel: Kernel,
  packet: FakePacket,
  endpoint: EndpointRecord,
  endpoints: Map<number, EndpointRecord>,
  column: 0 | 1,
  verdict: FakeVerdict,
  event: Partial<FlowEvent>,
): DropReasonName {
  if (!same(packet.source, endpoint.address)) return 'spoofed_source';
  const source = find(kernel, endpoint.rd, packet.source);
  const destination = find(kernel, endpoint.rd, packet.destination);
  if (!destination) return 'unknown_destination';
  const target = endpoints.get(destination.ifindex);
  const local = destination.kind === AddressKind.local;
  if (local && !(target && target.rd === endpoint.rd && same(target.address, packet.destination) && target.flags & EndpointFlag.active)) {
    return 'stale_endpoint';
  }
  if (!local && !kernel.config().vxlanIfindex) return 'not_configured';
  if (!source?.identity[column]) return 'unknown_peer';
  if (!destination.identity[column]) return 'unknown_destination';
  event.sourceIdentity = source.identity[column];
  event.destinationIdentity = destination.identity[column];
  if (source.network !== destination.network) return 'no_connection';

  const layersOf = layersIn(kernel, column);
  const policy = kernel.policy.list();
  const egress = evaluate(policy, packet, layersOf(endpoint.policy[column]), destination.identity[column], Direction.egress);
  event.direction = Direction.egress;
  verdict.egressRule = egress.rule;
  if (egress.reason !== 'none' || !local || !target) return egress.reason;
  const ingress = evaluate(policy, packet, layersOf(target.policy[column]), source.identity[column], Direction.ingress);
  event.direction = Direction.ingress;
  event.destinationIfindex = destination.ifindex;
  verdict.ingressRule = ingress.rule;
  return ingress.reason;
}

/** What the shadows of both sides would decide; nothing where neither has one, or where no rules are asked. A side without one counts as its rules in force have it. */
function imagine(kernel: Kernel, packet: FakePacket, from: EndpointRecord, endpoints: Map<number, EndpointRecord>, column: 0 | 1): Partial<FlowEvent> {
  const source = find(kernel, from.rd, packet.source);
  const destination = find(kernel, from.rd, packet.destination);
  const judged = same(packet.source, from.address) && source?.identity[column] && destination?.identity[column] && source.network === destination.network;
  if (!judged || (destination.kind === AddressKind.remote && !kernel.config().vxlanIfindex)) return {};
  const local = destination.kind === AddressKind.local;
  const to = local ? endpoints.get(destination.ifindex) : undefined;
  if (local && !(to && to.rd === from.rd && same(to.address, packet.destination) && to.flags & EndpointFlag.active)) return {};
  if (!from.shadow[column] && !to?.shadow[column]) return {};
  const policy = kernel.policy.list();
  const layersOf = layersIn(kernel, column);
  const side = (of: EndpointRecord, peer: number, direction: Direction) => {
    const { reason, rule } = evaluate(policy, packet, layersOf(of.shadow[column] || of.policy[column]), peer, direction);
    return { allowed: reason === 'none', rule: of.shadow[column] ? rule : 0 };
  };
  const egress = side(from, destination.identity[column], Direction.egress);
  const ingress = to && egress.allowed ? side(to, source.identity[column], Direction.ingress) : { allowed: true, rule: 0 };
  return { shadowVerdict: egress.allowed && ingress.allowed ? Verdict.allowed : Verdict.denied, shadowEgressRule: egress.rule, shadowIngressRule: ingress.rule };
}

/** The layers of a program in a column; undefined: one of them is not there. */
function layersIn(kernel: Kernel, column: 0 | 1): (program: number) => number[] | undefined {
  const programs = new Map(kernel.programs.list());
  const slots = new Map(kernel.slots.list());
  return (program) => {
    const list = programs.get(program)?.slots;
    if (!list) return [program];
    const end = list.indexOf(0);
    const layers = list.slice(0, end < 0 ? list.length : end).map((slot) => slots.get(slot)?.layer[column] ?? 0);
    return layers.includes(0) ? undefined : layers;
  };
}

function evaluate(policy: [PolicyKey, PolicyEntry][], packet: FakePacket, layers: number[] | undefined, peer: number, direction: Direction): Side {
  const longest = (layer: number, who: number) => {
    const asked: PolicyKey = { prefixlen: 96, policy: layer, peer: who, direction, protocol: packet.protocol, port: packet.destinationPort };
    return policy.filter(([key]) => covers(key, asked)).sort((x, y) => y[0].prefixlen - x[0].prefixlen)[0]?.[1];
  };
  const found = (layers ?? []).flatMap((layer) => [longest(layer, peer), longest(layer, 0)]).filter((entry) => entry !== undefined);
  for (let tier = 0; tier < ProgramLimits.tiers_per_program; tier++) {
    const entry = found.filter((one) => one.tier % ProgramLimits.tiers_per_program === tier).sort(byRank)[0];
    if (!entry || entry.action === Action.pass) continue;
    return { reason: entry.action === Action.allow ? 'none' : 'policy_denied', rule: entry.rule };
  }
  return { reason: 'policy_missing', rule: 0 };
}

function byRank(a: PolicyEntry, b: PolicyEntry): number {
  const denial = (entry: PolicyEntry) => (entry.action === Action.deny ? 0 : 1);
  return b.precedence - a.precedence || a.place - b.place || denial(a) - denial(b);
}

function find(kernel: Kernel, rd: number, address: Uint8Array): AddressRecord | undefined {
  return kernel.addresses.list().find(([key]) => key.rd === rd && same(key.address, address))?.[1];
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
