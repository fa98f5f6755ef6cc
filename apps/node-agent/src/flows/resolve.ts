import { dropReasons, type Flow } from '@osier/contracts/telemetry';
import type { FlowEvent } from '@osier/dataplane/kernel';
import { EndedBy, FlowKind, Verdict } from '@osier/dataplane/records';
import { fromMapped16 } from '@osier/domain/net/ipv4';
import type { RuleInfo } from '@osier/domain/policy/model';
import { type Changed, type NodeProgram, type Place, placeKey } from '@osier/domain/reconcile/program';
import { timeOf } from '../boot-time.ts';

/** What numbers and addresses of flow records stand for, as far as this node knows. */
export interface Directory {
  place(rd: number, address: string): Place | undefined;
  rule(number: number): RuleInfo | undefined;
  /** `acme/shop/staging`; undefined: no environment of this node. */
  environment(rd: number): string | undefined;
  networkName(rd: number, number: number): string;
}

const endings = Object.fromEntries(Object.entries(EndedBy).map(([name, value]) => [value, name])) as Record<number, keyof typeof EndedBy>;
export const protocolOf = (number: number): Flow['protocol'] => protocols[number] ?? 'other';
const protocols: Record<number, Flow['protocol']> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

/** `bootTime`: milliseconds since the epoch at which the boot clock was 0. Undefined where the routing domain is unknown: nobody could be told. */
export function resolve(event: FlowEvent, directory: Directory, bootTime: number): { environment: string; flow: Flow } | undefined {
  const environment = directory.environment(event.rd);
  if (environment === undefined) return undefined;
  const ended = endings[event.endedBy];
  const flow: Flow = {
    event: event.kind === FlowKind.start ? 'start' : event.kind === FlowKind.end ? 'end' : 'denied',
    ...(ended === undefined || ended === 'not' ? {} : { endedBy: ended }),
    at: timeOf(event.time, bootTime),
    environment: environment.split('/').at(-1) ?? '',
    network: directory.networkName(event.rd, event.network),
    source: side(event.rd, event.source, event.sourcePort, directory),
    destination: side(event.rd, event.destination, event.destinationPort, directory),
    protocol: protocolOf(event.protocol),
    verdict: event.verdict === Verdict.allowed ? 'allowed' : 'denied',
    reason: dropReasons[event.reason] ?? 'internal',
    decisions: decisionsOf(event, directory),
    ...shadowOf(event, directory),
    ...sparedOf(event, bootTime),
    revision: Number(event.revision),
    packets: { forward: Number(event.packets[0]), reply: Number(event.packets[1]) },
    bytes: { forward: Number(event.bytes[0]), reply: Number(event.bytes[1]) },
    repeats: event.repeats,
  };
  return { environment, flow };
}

/** All ones: never. */
const never = 2n ** 64n - 1n;
export function sparedOf({ sparedUntil }: Pick<FlowEvent, 'sparedUntil'>, bootTime: number): Pick<Flow, 'spared'> {
  return sparedUntil === 0n ? {} : { spared: sparedUntil === never ? {} : { until: timeOf(sparedUntil, bootTime) } };
}

export const decisionsOf = ({ egressRule, ingressRule }: Pick<FlowEvent, 'egressRule' | 'ingressRule'>, directory: Directory): Flow['decisions'] =>
  [egressRule, ingressRule].flatMap((n) => (n === 0 ? [] : [decision(n, n === egressRule ? 'egress' : 'ingress', directory.rule(n))]));

function shadowOf(event: FlowEvent, directory: Directory): Pick<Flow, 'shadow'> {
  if (event.shadowVerdict === Verdict.none) return {};
  const told = (n: number, side: 'egress' | 'ingress') => (n === 0 ? {} : { [side]: decision(n, side, directory.rule(n)) });
  return { shadow: { verdict: event.shadowVerdict === Verdict.allowed ? 'allowed' : 'denied', ...told(event.shadowEgressRule, 'egress'), ...told(event.shadowIngressRule, 'ingress') } };
}

/** A packet that is no IPv4 has no address here: 0.0.0.0. */
export const addressOf = (bytes: Uint8Array): string => fromMapped16(bytes) ?? '0.0.0.0';

export function side(rd: number, bytes: Uint8Array, port: number, directory: Directory): Flow['source'] {
  const address = addressOf(bytes);
  const place = directory.place(rd, address);
  return { address, port, ...(place === undefined ? {} : { endpoint: place.path, tags: { ...place.tags } }) };
}

function decision(number: number, side: 'egress' | 'ingress', rule: RuleInfo | undefined): Flow['decisions'][number] {
  if (rule === undefined) return { direction: side, policy: 'unknown', policyId: '', rule: `rule ${number}` };
  return { direction: rule.direction, policy: rule.policyPath, policyId: rule.policyId, rule: rule.name };
}

/** Remembers what has just gone, too: the end of a flow is told after its endpoint or its rule may have left. */
const rulesKept = 50_000;
const formerKept = 20_000;

interface Learned { readonly program: Pick<NodeProgram, 'places'>; readonly rules: ReadonlyMap<number, RuleInfo>; readonly changed: Pick<Changed, 'places' | 'left'> }

export interface LearningDirectory extends Directory { learn(learned: Learned): void }
export function createDirectory(): LearningDirectory {
  let places: ReadonlyMap<string, Place> = new Map();
  let former = new Map<string, Place>();
  const environments = new Map<number, string>();
  const networks = new Map<string, string>();
  const known = new Map<number, RuleInfo>();
  const learnPlace = (p: Place): void => {
    environments.set(p.rd, p.environment);
    networks.set(`${p.rd}|${p.network}`, p.networkName);
  };
  return {
    learn({ program, rules, changed }) {
      if (program.places !== places) {
        former = new Map(places);
        places = program.places;
        for (const p of places.values()) learnPlace(p);
      }
      for (const key of changed.places) {
        const p = places.get(key);
        if (p) learnPlace(p);
      }
      for (const p of changed.left) keepLast(former, placeKey(p), p, formerKept);
      for (const [number, rule] of rules) keepLast(known, number, rule, rulesKept);
    },
    place: (rd, address) => places.get(placeKey({ rd, address })) ?? former.get(placeKey({ rd, address })),
    rule: (number) => known.get(number),
    environment: (rd) => environments.get(rd),
    networkName: (rd, number) => networks.get(`${rd}|${number}`) ?? '',
  };
}

function keepLast<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) break;
    map.delete(oldest);
  }
}
