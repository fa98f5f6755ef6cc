/** Random worlds, random packets: the fake must decide about each as the programs do, or scenarios on the fake prove nothing. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type FakeKernel, fakeKernel } from '../src/kernel/fake.ts';
import { Action, Direction, EndpointFlag, type FlowEvent, RecordFlag } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const WORLDS = 12;
const PACKETS = 60;
const PORTS = [22, 80, 81, 443, 8080];

/** How the packets of all worlds ended. */
const outcomes = new Set<string>();
const shadows = new Set<string>();
const shadowOf = (event: FlowEvent | undefined) => [event?.shadowVerdict, event?.shadowEgressRule, event?.shadowIngressRule];

let bench: Bench;

beforeAll(() => {
  bench = new Bench({ policy: 512 });
});

afterAll(() => bench.close());

/** Repeatable numbers (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function makeWorld(pick: (below: number) => number): Place[] {
  bench.reset();
  const places: Place[] = [];
  for (let number = 1; number <= 8; number++) {
    const rd = 7 + pick(2);
    const network = 1 + (pick(4) === 0 ? 1 : 0);
    const ip = `10.0.0.${1 + pick(6)}`;
    if (places.some((place) => place.rd === rd && place.ip === ip)) continue;
    places.push(pick(4) === 0 ? bench.remote(rd, network, ip, number, '192.0.2.9') : bench.local(rd, network, ip, number));
  }
  for (let count = 0; count < 60; count++) {
    const one = () => places[pick(places.length)]!;
    const precedence = pick(3);
    const bits = [0, 8, 12, 15, 16][pick(5)]!;
    const port = PORTS[pick(PORTS.length)]! & ~((1 << (16 - bits)) - 1);
    const match = [{}, { protocol: p.TCP }, { protocol: [p.TCP, p.UDP, p.SCTP][pick(3)]!, port, bits }][pick(3)]!;
    const options = { ...match, precedence, rule: 1 + count };
    bench.rule(one(), pick(2) ? 0 : one(), pick(2) ? Direction.egress : Direction.ingress, pick(3) ? Action.allow : Action.deny, options);
  }
  // some are shadowed by the rules of somebody, or by none at all
  for (const place of places) if (place.ifindex && pick(2)) bench.shadow(place, pick(9) || 77);
  const asleep = places[pick(places.length)]!;
  if (asleep.ifindex && pick(2)) bench.kernel.endpoints.put([[asleep.ifindex, { ...bench.endpointRecord(asleep), flags: 0 }]]);
  bench.kernel.flip(1n);
  return places;
}

function copyToFake(): FakeKernel {
  const fake = fakeKernel();
  fake.configure({ vxlanIfindex: 1, recordFlags: RecordFlag.start | RecordFlag.denied });
  fake.endpoints.put(bench.kernel.endpoints.list());
  fake.addresses.put(bench.kernel.addresses.list());
  fake.policy.put(bench.kernel.policy.list());
  return fake;
}

describe.each(Array.from({ length: WORLDS }, (_, seed) => seed + 1))('in random world %i', (seed) => {
  it('the fake and the programs agree about every packet, and about what the shadows say', async () => {
    const pick = random(seed);
    const places = makeWorld(pick);
    const fake = copyToFake();
    const locals = places.filter((place) => place.ifindex !== 0);
    const asleep = new Map(bench.kernel.endpoints.list());
    const seen: unknown[] = [];
    const wanted: unknown[] = [];
    let stop = (): void => {};
    for (let index = 0; index < PACKETS && locals.length > 0; index++) {
      const from = locals[pick(locals.length)]!;
      // the bench would wake it: its alias on the loopback is always active
      if (!(asleep.get(from.ifindex)!.flags & EndpointFlag.active)) continue;
      const to = `10.0.0.${1 + pick(7)}`;
      if (to === from.ip) continue;
      const [protocol, port] = [[p.TCP, p.UDP, p.SCTP][pick(3)]!, PORTS[pick(PORTS.length)]!];
      const source = pick(10) ? from.ip : '10.0.0.250';
      const ip = { from: { ip: source, mac: from.mac }, to };
      bench.conntrack.remove(bench.conntrack.list().map(([key]) => key));
      bench.denials.remove(bench.denials.list().map(([key]) => key));
      bench.events();
      const { result } = bench.send(from, protocol === p.TCP ? p.tcp(ip, 1000, port) : protocol === p.UDP ? p.udp(ip, 1000, port) : p.sctp(ip, 1000, port, p.INIT));
      const [event] = bench.events();
      const packet = { ifindex: from.ifindex, source: address(source), destination: address(to), protocol, destinationPort: port };
      const said = fake.send(packet);
      const [told] = await new Promise<FlowEvent[]>((resolve) => void (stop = fake.flows(resolve)));
      stop();
      const about = `${from.rd} ${source} → ${to} ${protocol}/${port}`;
      outcomes.add(result);
      shadows.add(`${result === 'passed' ? 'passed' : result.startsWith('policy') ? 'denied' : 'else'} ${event?.shadowVerdict}`);
      seen.push([about, result === 'passed' ? 'none' : result, event?.egressRule, event?.ingressRule, shadowOf(event)]);
      wanted.push([about, said.reason, said.egressRule, said.ingressRule, shadowOf(told)]);
    }
    expect(wanted).toEqual(seen);
    expect(seen.length).toBeGreaterThan(10);
  });
});

it('the worlds were no monotony', () => {
  const all = ['passed', 'policy_denied', 'policy_missing', 'spoofed_source', 'unknown_destination', 'no_connection', 'stale_endpoint'];
  expect([...outcomes]).toEqual(expect.arrayContaining(all));
  expect([...shadows].sort()).toEqual(['denied 0', 'denied 1', 'denied 2', 'else 0', 'passed 0', 'passed 1', 'passed 2']);
});
