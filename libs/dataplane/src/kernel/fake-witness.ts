/** The read-back of a fake: the same dump as the witness gives of a real node, so that scenarios end in the same comparison. */
import { Action, AddressKind, Direction, EndpointFlag } from '../records.gen.ts';
import type { Attachment, NodeDump } from '../witness/dump.ts';
import type { FakeKernel } from './fake.ts';
import { FAKE_TAGS } from './fake.ts';

export function readBackFake(kernel: FakeKernel): NodeDump {
  const config = kernel.config();
  const revisions = kernel.revisions();
  return {
    epoch: config.epoch,
    revision: revisions[(config.epoch & 1) as 0 | 1],
    revisions,
    vxlanIfindex: config.vxlanIfindex,
    underlay: config.underlay,
    endpoints: kernel.endpoints.list().map(([ifindex, { flags, ...rest }]) => ({ ifindex, ...rest, active: (flags & EndpointFlag.active) !== 0 })),
    addresses: kernel.addresses.list().map(([key, record]) => ({ ...key, ...record, kind: record.kind === AddressKind.local ? 'local' : 'remote' })),
    policy: kernel.policy.list().map(([key, entry]) => ({ ...key, ...entry, direction: direction(key.direction), action: action(entry.action) })),
    rules: kernel.rules.list().map(([rule, { policyId, ...rest }]) => ({
      rule,
      ...rest,
      policyId: hex(policyId),
      direction: direction(rest.direction),
      action: action(rest.action),
    })),
    identities: kernel.identities.list().map(([number, { digest }]) => ({ number, digest: hex(digest) })),
    policies: kernel.policies.list().map(([number, { digest }]) => ({ number, digest: hex(digest) })),
    links: kernel.links.list(),
    attachments: kernel.links.list().map(({ name, ifindex, kind }): Attachment => {
      const seen = (program: keyof typeof FAKE_TAGS) => ({ name: program, tag: FAKE_TAGS[program] });
      if (kind === 'vxlan') return { device: name, ifindex, ingress: seen('from_vxlan') };
      return { device: name, ifindex, ingress: seen('from_endpoint'), egress: seen('to_endpoint') };
    }),
  };
}

function direction(value: Direction): 'egress' | 'ingress' | 'unknown' {
  if (value === Direction.egress) return 'egress';
  return value === Direction.ingress ? 'ingress' : 'unknown';
}

function action(value: Action): 'allow' | 'deny' | 'unknown' {
  if (value === Action.allow) return 'allow';
  return value === Action.deny ? 'deny' : 'unknown';
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
