import { describe, expect, it } from '@jest/globals';
import { kernelContract } from '../../test/contract.ts';
import { Action, AddressKind, Direction, DropReason, EndpointFlag, type FlowEvent, FlowKind, RecordFlag } from '../records.gen.ts';
import { type FakeKernel, fakeKernel, FakeMemory } from './fake.ts';
import { readBackFake } from './fake-witness.ts';
import { KernelError } from './kernel.ts';

kernelContract('the fake', () => {
  const memory = new FakeMemory();
  let kernel: FakeKernel;
  return {
    open: () => (kernel = fakeKernel({ memory, sizes: { rules: 4 } })),
    readBack: () => readBackFake(kernel),
    netnsPath: '/run/netns/nowhere',
    close: () => {},
  };
});

const ip = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last);
const mac = new Uint8Array(6);
const TCP = 6;

function twoEndpoints(): FakeKernel {
  const kernel = fakeKernel();
  for (const number of [1, 2]) {
    const policy: [number, number] = [number, number];
    const address = ip(number);
    kernel.endpoints.put([[number, { rd: 7, network: 1, policy, address, mac, flags: EndpointFlag.active, shadow: [0, 0] }]]);
    const record = { kind: AddressKind.local, network: 1, targetRd: 7, ifindex: number, tunnel: new Uint8Array(16), identity: policy, mac };
    kernel.addresses.put([[{ rd: 7, address }, record]]);
  }
  kernel.configure({ recordFlags: RecordFlag.start | RecordFlag.denied });
  return kernel;
}

function allow(kernel: FakeKernel, policy: number, direction: Direction, rule: number, action: Action = Action.allow): void {
  kernel.policy.put([[{ prefixlen: 72, policy, peer: 0, direction, protocol: 0, port: 0 }, { precedence: 1, rule, action, tier: 0, place: 0 }]]);
}

const packet = { ifindex: 1, source: ip(1), destination: ip(2), protocol: TCP, destinationPort: 80 };

describe('a packet sent through the fake', () => {
  it('is refused without a policy, counted and told', async () => {
    const kernel = twoEndpoints();
    const told: FlowEvent[] = [];
    kernel.flows((events) => told.push(...events));
    expect(kernel.send(packet)).toEqual({ reason: 'policy_missing', egressRule: 0, ingressRule: 0 });
    expect(kernel.drops().policy_missing.packets).toBe(1n);
    await new Promise(setImmediate);
    expect(told).toEqual([expect.objectContaining({ kind: FlowKind.denied, reason: DropReason.policy_missing, rd: 7 })]);
  });

  it('passes when both sides allow it, with the rules that did', () => {
    const kernel = twoEndpoints();
    allow(kernel, 1, Direction.egress, 11);
    allow(kernel, 2, Direction.ingress, 12);
    expect(kernel.send(packet)).toEqual({ reason: 'none', egressRule: 11, ingressRule: 12 });
    expect(kernel.forget(7, ip(2))).toBe(1);
  });

  it.each([
    ['a forged source', { source: ip(2) }, 'spoofed_source'],
    ['an unknown destination', { destination: ip(9) }, 'unknown_destination'],
    ['an unknown device', { ifindex: 9 }, 'unknown_endpoint'],
  ])('is refused for %s', (_name, change, reason) => {
    expect(twoEndpoints().send({ ...packet, ...change }).reason).toBe(reason);
  });
});

describe('a fake that is told to fail', () => {
  it('fails once and changes nothing', () => {
    const kernel = fakeKernel();
    kernel.failNext('put', new KernelError('kernel-call-failed', 'the kernel is out of memory', 'endpoints', 'Try again.'));
    const write = () => kernel.identities.put([[1, { digest: new Uint8Array(32) }]]);
    expect(write).toThrow(expect.objectContaining({ code: 'kernel-call-failed' }));
    expect(kernel.identities.list()).toEqual([]);
    write();
    expect(kernel.identities.list()).toHaveLength(1);
  });
});
