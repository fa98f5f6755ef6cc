/** The read-back of a fake: the same dump as the witness gives of a real node, so that scenarios end in the same comparison. */
import { Action, AddressKind, Direction, EndpointFlag } from '../records.gen.ts';
import type { AddressSeen, Attachment, NodeDump } from '../witness/dump.ts';
import type { FakeKernel } from './fake.ts';
import { FAKE_TAGS } from './fake.ts';

/** A row that is as it was is the same object as it was. */
function remembering<R extends readonly [unknown, unknown], S>(see: (row: R) => S): (rows: R[]) => S[] {
  // Beside the row itself: thousands of entries of a WeakMap take the collector longer than all the rest.
  const at = Symbol('seen');
  return (rows) => rows.map((row) => {
    const noted = row as R & { readonly [at]?: S };
    if (noted[at] === undefined) Object.defineProperty(row, at, { value: see(row) });
    return noted[at] as S;
  });
}
const endpoints = remembering(([ifindex, { flags, ...rest }]: Row<'endpoints'>) => ({ ifindex, ...rest, active: (flags & EndpointFlag.active) !== 0 }));
const addresses = remembering(([key, record]: Row<'addresses'>): AddressSeen => ({ ...key, ...record, kind: record.kind === AddressKind.local ? 'local' : 'remote' }));
const policy = remembering(([key, entry]: Row<'policy'>) => ({ ...key, ...entry, direction: directionOrNumber(key.direction), action: action(entry.action) }));
const rules = remembering(([rule, { policyId, ...rest }]: Row<'rules'>) => ({ rule, ...rest, policyId: hex(policyId), direction: direction(rest.direction), action: action(rest.action) }));
const programs = remembering(([program, { slots }]: Row<'programs'>) => ({ program, slots: slots.slice(0, slots.findLastIndex((slot) => slot !== 0) + 1) }));
const slots = remembering(([slot, { layer, digest }]: Row<'slots'>) => ({ slot, layer, digest: hex(digest) }));
const meanings = remembering(([number, { digest }]: Row<'identities'>) => ({ number, digest: hex(digest) }));

type Row<T extends 'endpoints' | 'addresses' | 'policy' | 'rules' | 'identities' | 'programs' | 'slots'> = ReturnType<FakeKernel[T]['list']>[number];

export function readBackFake(kernel: FakeKernel): NodeDump {
  const config = kernel.config();
  const revisions = kernel.revisions();
  return {
    epoch: config.epoch,
    revision: revisions[(config.epoch & 1) as 0 | 1],
    revisions,
    vxlanIfindex: config.vxlanIfindex,
    underlay: config.underlay,
    endpoints: endpoints(kernel.endpoints.list()),
    addresses: addresses(kernel.addresses.list()),
    policy: policy(kernel.policy.list()),
    rules: rules(kernel.rules.list()),
    identities: meanings(kernel.identities.list()),
    policies: meanings(kernel.policies.list()),
    programs: programs(kernel.programs.list()),
    slots: slots(kernel.slots.list()),
    links: kernel.links.list(),
    attachments: kernel.links.list().map(({ name, ifindex, kind }): Attachment => {
      const seen = (program: keyof typeof FAKE_TAGS) => ({ name: program, tag: FAKE_TAGS[program] });
      if (kernel.links.devices.get(name)?.bare) return { device: name, ifindex };
      if (kind === 'vxlan') return { device: name, ifindex, ingress: seen('from_vxlan') };
      return { device: name, ifindex, ingress: seen('from_endpoint'), egress: seen('to_endpoint') };
    }),
  };
}

/** Looks at a fake as `DeviceWatch` at a node. */
export function watchFake(kernel: FakeKernel): { readBack(): NodeDump; changed(): boolean } {
  let seen: string | undefined;
  const devices = ({ links, attachments }: NodeDump): string => JSON.stringify([links, attachments]);
  return {
    readBack() {
      const dump = readBackFake(kernel);
      seen = devices(dump);
      return dump;
    },
    changed: () => devices(readBackFake(kernel)) !== seen,
  };
}

function direction(value: Direction): 'egress' | 'ingress' | 'unknown' {
  if (value === Direction.egress) return 'egress';
  return value === Direction.ingress ? 'ingress' : 'unknown';
}

function directionOrNumber(value: Direction): 'egress' | 'ingress' | number {
  const name = direction(value);
  return name === 'unknown' ? value : name;
}

function action(value: Action): 'allow' | 'deny' | 'pass' | 'unknown' {
  if (value === Action.allow) return 'allow';
  if (value === Action.pass) return 'pass';
  return value === Action.deny ? 'deny' : 'unknown';
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
