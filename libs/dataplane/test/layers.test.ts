/** Programs of several layers: the same worlds for the programs in the kernel and for the fake, then random ones for both and for plain words. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeKernel, fakeKernel } from '../src/kernel/fake.ts';
import { type Kernel, programOf } from '../src/kernel/kernel.ts';
import { Action, AddressKind, Direction, EndedBy, EndpointFlag, FlowKind, RecordFlag } from '../src/records.gen.ts';
import { Bench, type Place } from './lab/bench.ts';
import { address, NONE } from './lab/lab.ts';
import * as p from './lab/packet.ts';

const A = { rd: 7, network: 1, ip: '10.0.0.1', number: 11, ifindex: 911, mac: Uint8Array.of(2, 0, 0, 0, 7, 11) };
const B = { rd: 7, network: 1, ip: '10.0.0.2', number: 12, ifindex: 912, mac: Uint8Array.of(2, 0, 0, 0, 7, 12) };
const PLACES = [A, B];
const { allow, deny, pass } = Action;
const NOTHING = new Uint8Array(32);

/** What became of a first packet from A to B, and the rule of A's program that decided. */
interface Said {
  reason: string;
  rule: number;
}

interface Subject {
  kernel: Kernel;
  ask(protocol: number, port: number): Said;
}

interface Line {
  action: Action;
  precedence?: number;
  place?: number;
  tier?: number;
  rule?: number;
  peer?: number;
  protocol?: number;
  port?: number;
  bits?: number;
}

let bench: Bench;

beforeAll(() => {
  bench = new Bench({ policy: 1024, programs: 64, slots: 256 });
});

afterAll(() => bench.close());

function real(): Subject {
  bench.reset();
  for (const { rd, network, ip, number } of PLACES) bench.local(rd, network, ip, number);
  return {
    kernel: bench.kernel,
    ask(protocol, port) {
      for (const table of [bench.conntrack, bench.denials]) table.remove(table.list().map(([key]) => key) as never[]);
      bench.events();
      const ip = { from: A, to: B.ip };
      const { result } = bench.send(A, protocol === p.TCP ? p.tcp(ip, 1000, port) : p.udp(ip, 1000, port));
      return { reason: result, rule: bench.events()[0]?.egressRule ?? -1 };
    },
  };
}

function played(): Subject {
  const kernel: FakeKernel = fakeKernel();
  for (const { rd, network, ip, number, ifindex, mac } of PLACES) {
    const both: [number, number] = [number, number];
    kernel.addresses.put([[{ rd, address: address(ip) }, { kind: AddressKind.local, network, targetRd: rd, ifindex, tunnel: NONE, identity: both, mac }]]);
    kernel.endpoints.put([[ifindex, { rd, network, shadow: [0, 0], policy: both, address: address(ip), mac, flags: EndpointFlag.active }]]);
  }
  kernel.configure({ recordFlags: RecordFlag.start | RecordFlag.denied });
  return {
    kernel,
    ask(protocol, port) {
      const { reason, egressRule } = kernel.send({ ifindex: A.ifindex, source: address(A.ip), destination: address(B.ip), protocol, destinationPort: port });
      return { reason: reason === 'none' ? 'passed' : reason, rule: egressRule };
    },
  };
}

function write(kernel: Kernel, layer: number, lines: readonly Line[], direction: Direction = Direction.egress): void {
  for (const { action, precedence = 1, place = 0, tier = 0, rule = 1, peer = 0, protocol, port, bits = 16 } of lines) {
    const prefixlen = protocol === undefined ? 72 : port === undefined ? 80 : 80 + bits;
    const key = { prefixlen, policy: layer, peer, direction, protocol: protocol ?? 0, port: port ?? 0 };
    kernel.policy.put([[key, { precedence, rule, action, tier, place }]]);
  }
}

/** A's program, a slot for each layer, the same in both columns. Slots are numbered from 101, layers from 201. */
function program(kernel: Kernel, ...layers: Line[][]): void {
  layers.forEach((lines, index) => {
    write(kernel, 201 + index, lines);
    kernel.slots.put([[101 + index, { layer: [201 + index, 201 + index], digest: NOTHING }]]);
  });
  kernel.programs.put([[A.number, programOf(layers.map((_, index) => 101 + index))]]);
}

const SUBJECTS: [string, () => Subject][] = [['the programs', real], ['the fake', played]];

describe.each(SUBJECTS)('layers in %s', (_name, start) => {
  let kernel: Kernel;
  let ask: (port?: number) => Said;

  beforeEach(() => {
    const subject = start();
    kernel = subject.kernel;
    ask = (port = 80) => subject.ask(p.TCP, port);
    write(kernel, B.number, [{ action: allow }], Direction.ingress);
  });

  const denied = (rule: number) => ({ reason: 'policy_denied', rule });
  const passed = (rule: number) => ({ reason: 'passed', rule });
  const missing = { reason: 'policy_missing', rule: 0 };

  it('count all, whichever knows the peer, the port or anyone', () => {
    program(kernel, [{ action: allow, rule: 1, protocol: p.TCP, port: 80 }], [{ action: allow, rule: 2, peer: B.number, protocol: p.TCP, port: 81 }], [{ action: deny, rule: 3, precedence: 0 }]);
    expect([ask(80), ask(81), ask(82)]).toEqual([passed(1), passed(2), denied(3)]);
  });

  it.each([[0], [1]])('go by precedence, with the higher in slot %i', (first) => {
    const layers: Line[][] = [[{ action: allow, rule: 1, precedence: 5, place: 9 }], [{ action: deny, rule: 2, precedence: 4, place: 1 }]];
    program(kernel, ...(first === 0 ? layers : layers.reverse()));
    expect(ask()).toEqual(passed(1));
  });

  it.each([[0], [1]])('go by place at equal precedence, with the lower in slot %i', (first) => {
    const layers: Line[][] = [[{ action: allow, rule: 1, place: 256 }], [{ action: deny, rule: 2, place: 257 }]];
    program(kernel, ...(first === 0 ? layers : layers.reverse()));
    expect(ask()).toEqual(passed(1));
  });

  it.each([[allow, 0], [allow, 1], [pass, 0], [pass, 1]] as [Action, number][])('deny at a tie with action %i, with the denial in slot %i', (other, first) => {
    const layers: Line[][] = [[{ action: deny, rule: 1 }], [{ action: other, rule: 2 }]];
    program(kernel, ...(first === 0 ? layers : layers.reverse()), [{ action: allow, rule: 3, tier: 1 }]);
    expect(ask()).toEqual(denied(1));
  });

  it('ask the lowest tier first, whatever the precedences', () => {
    program(kernel, [{ action: allow, rule: 1, tier: 3, precedence: 0xffffffff }], [{ action: deny, rule: 2, tier: 2, precedence: 0, place: 65535 }], [{ action: allow, rule: 3, tier: 15, precedence: 7 }]);
    expect(ask()).toEqual(denied(2));
  });

  it('leave a tier by a pass, for a later tier of another layer', () => {
    program(kernel, [{ action: allow, rule: 1, tier: 4 }], [{ action: pass, rule: 2, protocol: p.TCP, port: 80 }, { action: deny, rule: 3 }]);
    expect([ask(80), ask(81)]).toEqual([passed(1), denied(3)]);
  });

  it('leave a tier by a pass, for a later tier of the same layer', () => {
    program(kernel, [{ action: pass, rule: 1, peer: B.number, precedence: 9 }, { action: allow, rule: 2, tier: 1 }]);
    expect(ask()).toEqual(passed(2));
  });

  it('hide by a pass what comes later in its tier, in another layer too', () => {
    program(kernel, [{ action: deny, rule: 1, precedence: 4 }], [{ action: pass, rule: 2, precedence: 5 }], [{ action: allow, rule: 3, precedence: 3 }], [{ action: deny, rule: 4, tier: 1, place: 2 }]);
    expect(ask()).toEqual(denied(4));
    kernel.policy.remove([{ prefixlen: 72, policy: 204, peer: 0, direction: Direction.egress, protocol: 0, port: 0 }]);
    expect(ask()).toEqual(missing);
  });

  it('may pass through every tier and be decided by the last, or by none', () => {
    program(kernel, ...Array.from({ length: 16 }, (_, tier): Line[] => [{ action: tier < 15 ? pass : allow, rule: 1 + tier, tier }]));
    expect(ask()).toEqual(passed(16));
    write(kernel, 216, [{ action: pass, rule: 16, tier: 15 }]);
    expect(ask()).toEqual(missing);
  });

  it.each(Array.from({ length: 16 }, (_, index) => index))('count in slot %i of 16', (at) => {
    program(kernel, ...Array.from({ length: 16 }, (_, index): Line[] => [index === at ? { action: allow, rule: 100 + index, precedence: 2 } : { action: deny, rule: index, precedence: 1, place: index }]));
    expect(ask()).toEqual(passed(100 + at));
  });

  it('end with the first 0: what a row has behind it does not count', () => {
    program(kernel, [{ action: deny, rule: 1 }], [{ action: allow, rule: 2, precedence: 2 }]);
    const { slots } = programOf([101, 102]);
    slots[1] = 0;
    slots[2] = 102;
    kernel.programs.put([[A.number, { slots }]]);
    expect(ask()).toEqual(denied(1));
  });

  it('are none in a program without slots, which lets nothing pass', () => {
    write(kernel, A.number, [{ action: allow }]);
    kernel.programs.put([[A.number, programOf([])]]);
    expect(ask()).toEqual(missing);
  });

  it.each([['first', 0], ['last', 2]] as const)('let nothing pass where the %s slot has no row', (_which, at) => {
    program(kernel, ...[1, 2, 3].map((rule): Line[] => [{ action: allow, rule, place: rule }]));
    expect(ask()).toEqual(passed(1));
    kernel.slots.remove([101 + at]);
    expect(ask()).toEqual(missing);
  });

  it.each([['first', 0], ['last', 2]] as const)('let nothing pass where the %s slot has no layer in the column in force, and only there', (_which, at) => {
    program(kernel, ...[1, 2, 3].map((rule): Line[] => [{ action: allow, rule, place: rule }]));
    const inForce = kernel.config().epoch & 1;
    const only = (column: number): [number, number] => [column === 0 ? 201 + at : 0, column === 1 ? 201 + at : 0];
    kernel.slots.put([[101 + at, { layer: only(inForce), digest: NOTHING }]]);
    expect(ask()).toEqual(passed(1));
    kernel.slots.put([[101 + at, { layer: only(1 - inForce), digest: NOTHING }]]);
    expect(ask()).toEqual(missing);
    kernel.flip(5n);
    expect(ask()).toEqual(passed(1));
  });

  it('are those of the column in force', () => {
    program(kernel, [{ action: allow, rule: 1 }], [{ action: deny, rule: 2, precedence: 0 }]);
    write(kernel, 301, [{ action: deny, rule: 3 }]);
    const next = (kernel.config().epoch + 1) & 1;
    kernel.slots.put([[101, { layer: next === 0 ? [301, 201] : [201, 301], digest: NOTHING }]]);
    expect(ask()).toEqual(passed(1));
    kernel.flip(6n);
    expect(ask()).toEqual(denied(3));
  });

  it('are not needed: a program without a row is its own layer', () => {
    write(kernel, A.number, [{ action: allow, rule: 1, protocol: p.TCP, port: 80 }, { action: deny, rule: 2, peer: B.number }, { action: allow, rule: 3, precedence: 0 }]);
    expect([ask(80), ask(81)]).toEqual([denied(2), denied(2)]);
    write(kernel, A.number, [{ action: allow, rule: 1, precedence: 2, protocol: p.TCP, port: 80 }]);
    expect([ask(80), ask(81)]).toEqual([passed(1), denied(2)]);
  });

  it('take the place of what the program says itself, from its row on', () => {
    write(kernel, A.number, [{ action: allow, rule: 1, precedence: 9 }]);
    program(kernel, [{ action: deny, rule: 2 }]);
    expect(ask()).toEqual(denied(2));
    kernel.programs.remove([A.number]);
    expect(ask()).toEqual(passed(1));
  });
});

describe('an established connection', () => {
  it('ends at once when the slot of a policy gets another layer by a flip, and a new one does not begin', () => {
    const { kernel } = real();
    write(kernel, B.number, [{ action: allow }], Direction.ingress);
    program(kernel, [{ action: deny, rule: 1, precedence: 0 }], [{ action: allow, rule: 2 }]);
    const ack = () => bench.send(A as Place, p.tcp({ from: A, to: B.ip }, 1000, 80, p.ACK)).result;
    expect(bench.send(A as Place, p.tcp({ from: A, to: B.ip }, 1000, 80)).result).toBe('passed');
    const next = (kernel.config().epoch + 1) & 1;
    write(kernel, 301, [{ action: deny, rule: 3 }]);
    kernel.slots.put([[102, { layer: next === 0 ? [301, 202] : [202, 301], digest: NOTHING }]]);
    expect(ack()).toBe('passed');
    bench.events();
    kernel.flip(7n);
    expect(ack()).toBe('policy_denied');
    expect(bench.events()).toContainEqual(expect.objectContaining({ kind: FlowKind.end, endedBy: EndedBy.policy }));
    expect(bench.send(A as Place, p.tcp({ from: A, to: B.ip }, 1001, 80)).result).toBe('policy_denied');
    kernel.flip(8n);
    expect(bench.send(A as Place, p.tcp({ from: A, to: B.ip }, 1002, 80)).result).toBe('passed');
  });
});

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

const PORTS = [80, 81, 443];
const outcomes = new Set<string>();

function randomLine(pick: (below: number) => number, rule: number): Line {
  const bits = [8, 15, 16][pick(3)]!;
  const port = PORTS[pick(PORTS.length)]! & ~((1 << (16 - bits)) - 1);
  const match = [{}, { protocol: p.TCP }, { protocol: p.TCP, port, bits }, { protocol: p.UDP, port, bits }][pick(4)]!;
  const action = [allow, allow, deny, pass, pass][pick(5)]!;
  return { ...match, action, rule, peer: pick(2) * B.number, tier: [0, 0, 1, 7, 15, 15][pick(6)]!, precedence: pick(3), place: pick(4) * 200 };
}

/** What a program means, said without tries, numbers of layers and walks. Of equals the first one counts: by slot, then the exact peer. */
function plainly(layers: readonly Line[][] | undefined, protocol: number, port: number): Said {
  const matching = (line: Line) => (line.protocol === undefined || line.protocol === protocol) && (line.port === undefined || port >> (16 - line.bits!) === line.port >> (16 - line.bits!));
  const length = (line: Line) => (line.protocol === undefined ? 0 : line.port === undefined ? 1 : 2 + line.bits!);
  const spoken = (layers ?? []).flatMap((lines) => [B.number, 0].flatMap((peer) => lines.filter((line) => line.peer === peer && matching(line)).sort((a, b) => length(b) - length(a)).slice(0, 1)));
  for (let tier = 0; tier < 16; tier++) {
    const [first] = spoken.filter((line) => line.tier === tier).sort((a, b) => b.precedence! - a.precedence! || a.place! - b.place! || Number(b.action === deny) - Number(a.action === deny));
    if (first?.action === allow) return { reason: 'passed', rule: first.rule! };
    if (first?.action === deny) return { reason: 'policy_denied', rule: first.rule! };
  }
  return { reason: 'policy_missing', rule: 0 };
}

describe.each(Array.from({ length: 60 }, (_, seed) => seed + 1))('in random world %i', (seed) => {
  it('the fake, the programs and plain words agree', () => {
    const pick = random(seed);
    const count = 1 + pick(16);
    let rule = 0;
    const keys = (line: Line) => `${line.peer} ${line.protocol} ${line.port} ${line.bits}`;
    // one entry for a key: the last one written
    const layers = Array.from({ length: 2 * count }, () => [...new Map(Array.from({ length: 1 + pick(5) }, () => randomLine(pick, ++rule)).map((line) => [keys(line), line])).values()]);
    const [one, other] = [real(), played()];
    const column = bench.kernel.config().epoch & 1;
    other.kernel.flip(1n);
    if ((other.kernel.config().epoch & 1) !== column) other.kernel.flip(2n);
    const missing = pick(6) === 0 ? pick(count) : -1;
    for (const { kernel } of [one, other]) {
      write(kernel, B.number, [{ action: allow }], Direction.ingress);
      layers.forEach((lines, index) => write(kernel, 201 + index, lines));
      for (let index = 0; index < count; index++) {
        const [mine, idle] = [201 + index, 201 + count + index];
        if (index !== missing) kernel.slots.put([[101 + index, { layer: column === 0 ? [mine, idle] : [idle, mine], digest: NOTHING }]]);
      }
      kernel.programs.put([[A.number, programOf(Array.from({ length: count }, (_, index) => 101 + index))]]);
    }
    const told = (subject: Subject) => [p.TCP, p.UDP].flatMap((protocol) => PORTS.map((port) => ({ protocol, port, ...subject.ask(protocol, port) })));
    const wanted = (of: Line[][]) => [p.TCP, p.UDP].flatMap((protocol) => PORTS.map((port) => ({ protocol, port, ...plainly(missing < 0 ? of : undefined, protocol, port) })));
    expect([told(one), told(other)]).toEqual([wanted(layers.slice(0, count)), wanted(layers.slice(0, count))]);
    for (const { kernel } of [one, other]) kernel.flip(3n);
    expect([told(one), told(other)]).toEqual([wanted(layers.slice(count)), wanted(layers.slice(count))]);
    for (const { reason } of told(one)) outcomes.add(reason);
  });
});

it('the random worlds were no monotony', () => {
  expect([...outcomes].sort()).toEqual(['passed', 'policy_denied', 'policy_missing']);
});
