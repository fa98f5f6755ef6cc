// Generated from bpf/osier.bpf.o by tools/build-bpf.ts. Edit bpf/records.h, then `npm run build:bpf -w @osier/dataplane`.
import { type Codec, checkUint, checkUint64, getBytes, putBytes } from './codec.ts';

export const Limits = {
  endpoints: 4096,
  addresses: 131072,
  policy: 131072,
  rules: 65536,
  identities: 65536,
  policies: 16384,
  programs: 16384,
  slots: 16384,
  conntrack: 65536,
  denials: 8192,
  flows: 1048576,
  drops: 25,
} as const;
export type LimitsName = keyof typeof Limits;
export type Limits = (typeof Limits)[LimitsName];

export const ProgramLimits = {
  layers_per_program: 16,
  tiers_per_program: 16,
} as const;
export type ProgramLimitsName = keyof typeof ProgramLimits;
export type ProgramLimits = (typeof ProgramLimits)[ProgramLimitsName];

export const Timeouts = {
  tcp_syn: 60000,
  tcp_established: 21600000,
  tcp_closing: 10000,
  udp_new: 30000,
  udp_replied: 180000,
  icmp: 30000,
  sctp_init: 60000,
  sctp_established: 21600000,
  sctp_closing: 10000,
  denial_repeat: 5000,
} as const;
export type TimeoutsName = keyof typeof Timeouts;
export type Timeouts = (typeof Timeouts)[TimeoutsName];

export const Grace = {
  none: 0,
  endless: 2147483647,
} as const;
export type GraceName = keyof typeof Grace;
export type Grace = (typeof Grace)[GraceName];

export const AddressKind = {
  local: 1,
  remote: 2,
} as const;
export type AddressKindName = keyof typeof AddressKind;
export type AddressKind = (typeof AddressKind)[AddressKindName];

export const EndpointFlag = {
  active: 1,
} as const;
export type EndpointFlagName = keyof typeof EndpointFlag;
export type EndpointFlag = (typeof EndpointFlag)[EndpointFlagName];

export const RecordFlag = {
  start: 1,
  end: 2,
  denied: 4,
} as const;
export type RecordFlagName = keyof typeof RecordFlag;
export type RecordFlag = (typeof RecordFlag)[RecordFlagName];

export const Direction = {
  none: 0,
  egress: 1,
  ingress: 2,
} as const;
export type DirectionName = keyof typeof Direction;
export type Direction = (typeof Direction)[DirectionName];

export const Action = {
  allow: 1,
  deny: 2,
  pass: 3,
} as const;
export type ActionName = keyof typeof Action;
export type Action = (typeof Action)[ActionName];

export const FlowKind = {
  start: 1,
  end: 2,
  denied: 3,
} as const;
export type FlowKindName = keyof typeof FlowKind;
export type FlowKind = (typeof FlowKind)[FlowKindName];

export const EndedBy = {
  not: 0,
  fin: 1,
  rst: 2,
  timeout: 3,
  policy: 4,
  removed: 5,
  replaced: 6,
} as const;
export type EndedByName = keyof typeof EndedBy;
export type EndedBy = (typeof EndedBy)[EndedByName];

export const Verdict = {
  none: 0,
  allowed: 1,
  denied: 2,
} as const;
export type VerdictName = keyof typeof Verdict;
export type Verdict = (typeof Verdict)[VerdictName];

export const ConntrackState = {
  new: 1,
  established: 2,
  closing: 3,
  closed: 4,
  revoked: 5,
} as const;
export type ConntrackStateName = keyof typeof ConntrackState;
export type ConntrackState = (typeof ConntrackState)[ConntrackStateName];

export const DropReason = {
  none: 0,
  policy_denied: 1,
  policy_missing: 2,
  spoofed_source: 3,
  spoofed_tunnel: 4,
  unknown_endpoint: 5,
  inactive_endpoint: 6,
  unknown_peer: 7,
  unknown_destination: 8,
  not_local: 9,
  stale_endpoint: 10,
  no_connection: 11,
  no_flow: 12,
  ttl_exceeded: 13,
  fragment: 14,
  ipv6: 15,
  ethertype: 16,
  protocol: 17,
  icmp_type: 18,
  malformed: 19,
  arp_ignored: 20,
  sealed: 21,
  conntrack_full: 22,
  not_configured: 23,
  internal: 24,
} as const;
export type DropReasonName = keyof typeof DropReason;
export type DropReason = (typeof DropReason)[DropReasonName];

export const CollectMode = {
  expire: 1,
  forget: 2,
} as const;
export type CollectModeName = keyof typeof CollectMode;
export type CollectMode = (typeof CollectMode)[CollectModeName];

export interface ConfigRecord {
  epoch: number;
  vxlanIfindex: number;
  underlay: Uint8Array;
  recordFlags: number;
  tcpSyn: number;
  tcpEstablished: number;
  tcpClosing: number;
  udpNew: number;
  udpReplied: number;
  icmp: number;
  denialRepeat: number;
  sctpInit: number;
  sctpEstablished: number;
  sctpClosing: number;
}

export const configRecord: Codec<ConfigRecord> = {
  name: 'config_record',
  size: 68,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.epoch, 32, 'epoch'), true);
    view.setUint32(at + 4, checkUint(r.vxlanIfindex, 32, 'vxlanIfindex'), true);
    putBytes(view, at + 8, r.underlay, 16, 'underlay');
    view.setUint32(at + 24, checkUint(r.recordFlags, 32, 'recordFlags'), true);
    view.setUint32(at + 28, checkUint(r.tcpSyn, 32, 'tcpSyn'), true);
    view.setUint32(at + 32, checkUint(r.tcpEstablished, 32, 'tcpEstablished'), true);
    view.setUint32(at + 36, checkUint(r.tcpClosing, 32, 'tcpClosing'), true);
    view.setUint32(at + 40, checkUint(r.udpNew, 32, 'udpNew'), true);
    view.setUint32(at + 44, checkUint(r.udpReplied, 32, 'udpReplied'), true);
    view.setUint32(at + 48, checkUint(r.icmp, 32, 'icmp'), true);
    view.setUint32(at + 52, checkUint(r.denialRepeat, 32, 'denialRepeat'), true);
    view.setUint32(at + 56, checkUint(r.sctpInit, 32, 'sctpInit'), true);
    view.setUint32(at + 60, checkUint(r.sctpEstablished, 32, 'sctpEstablished'), true);
    view.setUint32(at + 64, checkUint(r.sctpClosing, 32, 'sctpClosing'), true);
  },
  decode(view, at) {
    return {
      epoch: view.getUint32(at + 0, true),
      vxlanIfindex: view.getUint32(at + 4, true),
      underlay: getBytes(view, at + 8, 16),
      recordFlags: view.getUint32(at + 24, true),
      tcpSyn: view.getUint32(at + 28, true),
      tcpEstablished: view.getUint32(at + 32, true),
      tcpClosing: view.getUint32(at + 36, true),
      udpNew: view.getUint32(at + 40, true),
      udpReplied: view.getUint32(at + 44, true),
      icmp: view.getUint32(at + 48, true),
      denialRepeat: view.getUint32(at + 52, true),
      sctpInit: view.getUint32(at + 56, true),
      sctpEstablished: view.getUint32(at + 60, true),
      sctpClosing: view.getUint32(at + 64, true),
    };
  },
};

export interface EndpointRecord {
  rd: number;
  network: number;
  policy: [number, number];
  address: Uint8Array;
  mac: Uint8Array;
  flags: number;
  shadow: [number, number];
}

export const endpointRecord: Codec<EndpointRecord> = {
  name: 'endpoint_record',
  size: 48,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.rd, 32, 'rd'), true);
    view.setUint32(at + 4, checkUint(r.network, 32, 'network'), true);
    view.setUint32(at + 8, checkUint(r.policy[0], 32, 'policy[0]'), true);
    view.setUint32(at + 12, checkUint(r.policy[1], 32, 'policy[1]'), true);
    putBytes(view, at + 16, r.address, 16, 'address');
    putBytes(view, at + 32, r.mac, 6, 'mac');
    view.setUint16(at + 38, checkUint(r.flags, 16, 'flags'), true);
    view.setUint32(at + 40, checkUint(r.shadow[0], 32, 'shadow[0]'), true);
    view.setUint32(at + 44, checkUint(r.shadow[1], 32, 'shadow[1]'), true);
  },
  decode(view, at) {
    return {
      rd: view.getUint32(at + 0, true),
      network: view.getUint32(at + 4, true),
      policy: [view.getUint32(at + 8, true), view.getUint32(at + 12, true)],
      address: getBytes(view, at + 16, 16),
      mac: getBytes(view, at + 32, 6),
      flags: view.getUint16(at + 38, true),
      shadow: [view.getUint32(at + 40, true), view.getUint32(at + 44, true)],
    };
  },
};

export interface AddressKey {
  rd: number;
  address: Uint8Array;
}

export const addressKey: Codec<AddressKey> = {
  name: 'address_key',
  size: 20,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.rd, 32, 'rd'), true);
    putBytes(view, at + 4, r.address, 16, 'address');
  },
  decode(view, at) {
    return {
      rd: view.getUint32(at + 0, true),
      address: getBytes(view, at + 4, 16),
    };
  },
};

export interface AddressRecord {
  kind: AddressKind;
  network: number;
  targetRd: number;
  ifindex: number;
  tunnel: Uint8Array;
  identity: [number, number];
  mac: Uint8Array;
}

export const addressRecord: Codec<AddressRecord> = {
  name: 'address_record',
  size: 48,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.kind, 32, 'kind'), true);
    view.setUint32(at + 4, checkUint(r.network, 32, 'network'), true);
    view.setUint32(at + 8, checkUint(r.targetRd, 32, 'targetRd'), true);
    view.setUint32(at + 12, checkUint(r.ifindex, 32, 'ifindex'), true);
    putBytes(view, at + 16, r.tunnel, 16, 'tunnel');
    view.setUint32(at + 32, checkUint(r.identity[0], 32, 'identity[0]'), true);
    view.setUint32(at + 36, checkUint(r.identity[1], 32, 'identity[1]'), true);
    putBytes(view, at + 40, r.mac, 6, 'mac');
    view.setUint8(at + 46, 0);
    view.setUint8(at + 47, 0);
  },
  decode(view, at) {
    return {
      kind: view.getUint32(at + 0, true) as AddressKind,
      network: view.getUint32(at + 4, true),
      targetRd: view.getUint32(at + 8, true),
      ifindex: view.getUint32(at + 12, true),
      tunnel: getBytes(view, at + 16, 16),
      identity: [view.getUint32(at + 32, true), view.getUint32(at + 36, true)],
      mac: getBytes(view, at + 40, 6),
    };
  },
};

export interface ProgramRecord {
  slots: [number, number, number, number, number, number, number, number, number, number, number, number, number, number, number, number];
}

export const programRecord: Codec<ProgramRecord> = {
  name: 'program_record',
  size: 64,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.slots[0], 32, 'slots[0]'), true);
    view.setUint32(at + 4, checkUint(r.slots[1], 32, 'slots[1]'), true);
    view.setUint32(at + 8, checkUint(r.slots[2], 32, 'slots[2]'), true);
    view.setUint32(at + 12, checkUint(r.slots[3], 32, 'slots[3]'), true);
    view.setUint32(at + 16, checkUint(r.slots[4], 32, 'slots[4]'), true);
    view.setUint32(at + 20, checkUint(r.slots[5], 32, 'slots[5]'), true);
    view.setUint32(at + 24, checkUint(r.slots[6], 32, 'slots[6]'), true);
    view.setUint32(at + 28, checkUint(r.slots[7], 32, 'slots[7]'), true);
    view.setUint32(at + 32, checkUint(r.slots[8], 32, 'slots[8]'), true);
    view.setUint32(at + 36, checkUint(r.slots[9], 32, 'slots[9]'), true);
    view.setUint32(at + 40, checkUint(r.slots[10], 32, 'slots[10]'), true);
    view.setUint32(at + 44, checkUint(r.slots[11], 32, 'slots[11]'), true);
    view.setUint32(at + 48, checkUint(r.slots[12], 32, 'slots[12]'), true);
    view.setUint32(at + 52, checkUint(r.slots[13], 32, 'slots[13]'), true);
    view.setUint32(at + 56, checkUint(r.slots[14], 32, 'slots[14]'), true);
    view.setUint32(at + 60, checkUint(r.slots[15], 32, 'slots[15]'), true);
  },
  decode(view, at) {
    return {
      slots: [view.getUint32(at + 0, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true), view.getUint32(at + 12, true), view.getUint32(at + 16, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true), view.getUint32(at + 28, true), view.getUint32(at + 32, true), view.getUint32(at + 36, true), view.getUint32(at + 40, true), view.getUint32(at + 44, true), view.getUint32(at + 48, true), view.getUint32(at + 52, true), view.getUint32(at + 56, true), view.getUint32(at + 60, true)],
    };
  },
};

export interface SlotRecord {
  layer: [number, number];
  digest: Uint8Array;
}

export const slotRecord: Codec<SlotRecord> = {
  name: 'slot_record',
  size: 40,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.layer[0], 32, 'layer[0]'), true);
    view.setUint32(at + 4, checkUint(r.layer[1], 32, 'layer[1]'), true);
    putBytes(view, at + 8, r.digest, 32, 'digest');
  },
  decode(view, at) {
    return {
      layer: [view.getUint32(at + 0, true), view.getUint32(at + 4, true)],
      digest: getBytes(view, at + 8, 32),
    };
  },
};

export interface PolicyKey {
  prefixlen: number;
  policy: number;
  peer: number;
  direction: Direction;
  protocol: number;
  port: number;
}

export const policyKey: Codec<PolicyKey> = {
  name: 'policy_key',
  size: 16,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.prefixlen, 32, 'prefixlen'), true);
    view.setUint32(at + 4, checkUint(r.policy, 32, 'policy'), true);
    view.setUint32(at + 8, checkUint(r.peer, 32, 'peer'), true);
    view.setUint8(at + 12, checkUint(r.direction, 8, 'direction'));
    view.setUint8(at + 13, checkUint(r.protocol, 8, 'protocol'));
    view.setUint16(at + 14, checkUint(r.port, 16, 'port'), false);
  },
  decode(view, at) {
    return {
      prefixlen: view.getUint32(at + 0, true),
      policy: view.getUint32(at + 4, true),
      peer: view.getUint32(at + 8, true),
      direction: view.getUint8(at + 12) as Direction,
      protocol: view.getUint8(at + 13),
      port: view.getUint16(at + 14, false),
    };
  },
};

export interface PolicyEntry {
  precedence: number;
  rule: number;
  action: Action;
  tier: number;
  place: number;
}

export const policyEntry: Codec<PolicyEntry> = {
  name: 'policy_entry',
  size: 12,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.precedence, 32, 'precedence'), true);
    view.setUint32(at + 4, checkUint(r.rule, 32, 'rule'), true);
    view.setUint8(at + 8, checkUint(r.action, 8, 'action'));
    view.setUint8(at + 9, checkUint(r.tier, 8, 'tier'));
    view.setUint16(at + 10, checkUint(r.place, 16, 'place'), true);
  },
  decode(view, at) {
    return {
      precedence: view.getUint32(at + 0, true),
      rule: view.getUint32(at + 4, true),
      action: view.getUint8(at + 8) as Action,
      tier: view.getUint8(at + 9),
      place: view.getUint16(at + 10, true),
    };
  },
};

export interface RuleRecord {
  policyId: Uint8Array;
  ruleIndex: number;
  direction: Direction;
  action: Action;
  precedence: number;
  grace: number;
}

export const ruleRecord: Codec<RuleRecord> = {
  name: 'rule_record',
  size: 28,
  encode(view, at, r) {
    putBytes(view, at + 0, r.policyId, 16, 'policyId');
    view.setUint16(at + 16, checkUint(r.ruleIndex, 16, 'ruleIndex'), true);
    view.setUint8(at + 18, checkUint(r.direction, 8, 'direction'));
    view.setUint8(at + 19, checkUint(r.action, 8, 'action'));
    view.setUint32(at + 20, checkUint(r.precedence, 32, 'precedence'), true);
    view.setUint32(at + 24, checkUint(r.grace, 32, 'grace'), true);
  },
  decode(view, at) {
    return {
      policyId: getBytes(view, at + 0, 16),
      ruleIndex: view.getUint16(at + 16, true),
      direction: view.getUint8(at + 18) as Direction,
      action: view.getUint8(at + 19) as Action,
      precedence: view.getUint32(at + 20, true),
      grace: view.getUint32(at + 24, true),
    };
  },
};

export interface DigestRecord {
  digest: Uint8Array;
}

export const digestRecord: Codec<DigestRecord> = {
  name: 'digest_record',
  size: 32,
  encode(view, at, r) {
    putBytes(view, at + 0, r.digest, 32, 'digest');
  },
  decode(view, at) {
    return {
      digest: getBytes(view, at + 0, 32),
    };
  },
};

export interface ConntrackKey {
  low: Uint8Array;
  high: Uint8Array;
  lowPort: number;
  highPort: number;
  rd: number;
  protocol: number;
}

export const conntrackKey: Codec<ConntrackKey> = {
  name: 'conntrack_key',
  size: 44,
  encode(view, at, r) {
    putBytes(view, at + 0, r.low, 16, 'low');
    putBytes(view, at + 16, r.high, 16, 'high');
    view.setUint16(at + 32, checkUint(r.lowPort, 16, 'lowPort'), false);
    view.setUint16(at + 34, checkUint(r.highPort, 16, 'highPort'), false);
    view.setUint32(at + 36, checkUint(r.rd, 32, 'rd'), true);
    view.setUint8(at + 40, checkUint(r.protocol, 8, 'protocol'));
    view.setUint8(at + 41, 0);
    view.setUint8(at + 42, 0);
    view.setUint8(at + 43, 0);
  },
  decode(view, at) {
    return {
      low: getBytes(view, at + 0, 16),
      high: getBytes(view, at + 16, 16),
      lowPort: view.getUint16(at + 32, false),
      highPort: view.getUint16(at + 34, false),
      rd: view.getUint32(at + 36, true),
      protocol: view.getUint8(at + 40),
    };
  },
};

export interface ConntrackEntry {
  firstSeen: bigint;
  lastSeen: bigint;
  packets: [bigint, bigint];
  bytes: [bigint, bigint];
  revision: bigint;
  epoch: number;
  network: number;
  egressRule: number;
  ingressRule: number;
  sourceIdentity: number;
  destinationIdentity: number;
  sourceIfindex: number;
  destinationIfindex: number;
  ended: number;
  policyPort: number;
  state: ConntrackState;
  initiatorHigh: number;
  fins: number;
  shadowVerdict: Verdict;
  shadowEgressRule: number;
  shadowIngressRule: number;
  sparedUntil: bigint;
}

export const conntrackEntry: Codec<ConntrackEntry> = {
  name: 'conntrack_entry',
  size: 120,
  encode(view, at, r) {
    view.setBigUint64(at + 0, checkUint64(r.firstSeen, 'firstSeen'), true);
    view.setBigUint64(at + 8, checkUint64(r.lastSeen, 'lastSeen'), true);
    view.setBigUint64(at + 16, checkUint64(r.packets[0], 'packets[0]'), true);
    view.setBigUint64(at + 24, checkUint64(r.packets[1], 'packets[1]'), true);
    view.setBigUint64(at + 32, checkUint64(r.bytes[0], 'bytes[0]'), true);
    view.setBigUint64(at + 40, checkUint64(r.bytes[1], 'bytes[1]'), true);
    view.setBigUint64(at + 48, checkUint64(r.revision, 'revision'), true);
    view.setUint32(at + 56, checkUint(r.epoch, 32, 'epoch'), true);
    view.setUint32(at + 60, checkUint(r.network, 32, 'network'), true);
    view.setUint32(at + 64, checkUint(r.egressRule, 32, 'egressRule'), true);
    view.setUint32(at + 68, checkUint(r.ingressRule, 32, 'ingressRule'), true);
    view.setUint32(at + 72, checkUint(r.sourceIdentity, 32, 'sourceIdentity'), true);
    view.setUint32(at + 76, checkUint(r.destinationIdentity, 32, 'destinationIdentity'), true);
    view.setUint32(at + 80, checkUint(r.sourceIfindex, 32, 'sourceIfindex'), true);
    view.setUint32(at + 84, checkUint(r.destinationIfindex, 32, 'destinationIfindex'), true);
    view.setUint32(at + 88, checkUint(r.ended, 32, 'ended'), true);
    view.setUint16(at + 92, checkUint(r.policyPort, 16, 'policyPort'), false);
    view.setUint8(at + 94, checkUint(r.state, 8, 'state'));
    view.setUint8(at + 95, checkUint(r.initiatorHigh, 8, 'initiatorHigh'));
    view.setUint8(at + 96, checkUint(r.fins, 8, 'fins'));
    view.setUint8(at + 97, checkUint(r.shadowVerdict, 8, 'shadowVerdict'));
    view.setUint8(at + 98, 0);
    view.setUint8(at + 99, 0);
    view.setUint8(at + 100, 0);
    view.setUint8(at + 101, 0);
    view.setUint8(at + 102, 0);
    view.setUint8(at + 103, 0);
    view.setUint32(at + 104, checkUint(r.shadowEgressRule, 32, 'shadowEgressRule'), true);
    view.setUint32(at + 108, checkUint(r.shadowIngressRule, 32, 'shadowIngressRule'), true);
    view.setBigUint64(at + 112, checkUint64(r.sparedUntil, 'sparedUntil'), true);
  },
  decode(view, at) {
    return {
      firstSeen: view.getBigUint64(at + 0, true),
      lastSeen: view.getBigUint64(at + 8, true),
      packets: [view.getBigUint64(at + 16, true), view.getBigUint64(at + 24, true)],
      bytes: [view.getBigUint64(at + 32, true), view.getBigUint64(at + 40, true)],
      revision: view.getBigUint64(at + 48, true),
      epoch: view.getUint32(at + 56, true),
      network: view.getUint32(at + 60, true),
      egressRule: view.getUint32(at + 64, true),
      ingressRule: view.getUint32(at + 68, true),
      sourceIdentity: view.getUint32(at + 72, true),
      destinationIdentity: view.getUint32(at + 76, true),
      sourceIfindex: view.getUint32(at + 80, true),
      destinationIfindex: view.getUint32(at + 84, true),
      ended: view.getUint32(at + 88, true),
      policyPort: view.getUint16(at + 92, false),
      state: view.getUint8(at + 94) as ConntrackState,
      initiatorHigh: view.getUint8(at + 95),
      fins: view.getUint8(at + 96),
      shadowVerdict: view.getUint8(at + 97) as Verdict,
      shadowEgressRule: view.getUint32(at + 104, true),
      shadowIngressRule: view.getUint32(at + 108, true),
      sparedUntil: view.getBigUint64(at + 112, true),
    };
  },
};

export interface DenialKey {
  source: Uint8Array;
  destination: Uint8Array;
  rd: number;
  destinationPort: number;
  protocol: number;
  reason: DropReason;
}

export const denialKey: Codec<DenialKey> = {
  name: 'denial_key',
  size: 40,
  encode(view, at, r) {
    putBytes(view, at + 0, r.source, 16, 'source');
    putBytes(view, at + 16, r.destination, 16, 'destination');
    view.setUint32(at + 32, checkUint(r.rd, 32, 'rd'), true);
    view.setUint16(at + 36, checkUint(r.destinationPort, 16, 'destinationPort'), false);
    view.setUint8(at + 38, checkUint(r.protocol, 8, 'protocol'));
    view.setUint8(at + 39, checkUint(r.reason, 8, 'reason'));
  },
  decode(view, at) {
    return {
      source: getBytes(view, at + 0, 16),
      destination: getBytes(view, at + 16, 16),
      rd: view.getUint32(at + 32, true),
      destinationPort: view.getUint16(at + 36, false),
      protocol: view.getUint8(at + 38),
      reason: view.getUint8(at + 39) as DropReason,
    };
  },
};

export interface DenialEntry {
  told: bigint;
  repeats: bigint;
  revision: bigint;
  network: number;
  egressRule: number;
  ingressRule: number;
  sourceIdentity: number;
  destinationIdentity: number;
  direction: Direction;
  shadowVerdict: Verdict;
  shadowEgressRule: number;
  shadowIngressRule: number;
}

export const denialEntry: Codec<DenialEntry> = {
  name: 'denial_entry',
  size: 56,
  encode(view, at, r) {
    view.setBigUint64(at + 0, checkUint64(r.told, 'told'), true);
    view.setBigUint64(at + 8, checkUint64(r.repeats, 'repeats'), true);
    view.setBigUint64(at + 16, checkUint64(r.revision, 'revision'), true);
    view.setUint32(at + 24, checkUint(r.network, 32, 'network'), true);
    view.setUint32(at + 28, checkUint(r.egressRule, 32, 'egressRule'), true);
    view.setUint32(at + 32, checkUint(r.ingressRule, 32, 'ingressRule'), true);
    view.setUint32(at + 36, checkUint(r.sourceIdentity, 32, 'sourceIdentity'), true);
    view.setUint32(at + 40, checkUint(r.destinationIdentity, 32, 'destinationIdentity'), true);
    view.setUint8(at + 44, checkUint(r.direction, 8, 'direction'));
    view.setUint8(at + 45, checkUint(r.shadowVerdict, 8, 'shadowVerdict'));
    view.setUint8(at + 46, 0);
    view.setUint8(at + 47, 0);
    view.setUint32(at + 48, checkUint(r.shadowEgressRule, 32, 'shadowEgressRule'), true);
    view.setUint32(at + 52, checkUint(r.shadowIngressRule, 32, 'shadowIngressRule'), true);
  },
  decode(view, at) {
    return {
      told: view.getBigUint64(at + 0, true),
      repeats: view.getBigUint64(at + 8, true),
      revision: view.getBigUint64(at + 16, true),
      network: view.getUint32(at + 24, true),
      egressRule: view.getUint32(at + 28, true),
      ingressRule: view.getUint32(at + 32, true),
      sourceIdentity: view.getUint32(at + 36, true),
      destinationIdentity: view.getUint32(at + 40, true),
      direction: view.getUint8(at + 44) as Direction,
      shadowVerdict: view.getUint8(at + 45) as Verdict,
      shadowEgressRule: view.getUint32(at + 48, true),
      shadowIngressRule: view.getUint32(at + 52, true),
    };
  },
};

export interface DropCount {
  packets: bigint;
  bytes: bigint;
}

export const dropCount: Codec<DropCount> = {
  name: 'drop_count',
  size: 16,
  encode(view, at, r) {
    view.setBigUint64(at + 0, checkUint64(r.packets, 'packets'), true);
    view.setBigUint64(at + 8, checkUint64(r.bytes, 'bytes'), true);
  },
  decode(view, at) {
    return {
      packets: view.getBigUint64(at + 0, true),
      bytes: view.getBigUint64(at + 8, true),
    };
  },
};

export interface FlowEvent {
  time: bigint;
  firstSeen: bigint;
  revision: bigint;
  packets: [bigint, bigint];
  bytes: [bigint, bigint];
  source: Uint8Array;
  destination: Uint8Array;
  rd: number;
  network: number;
  egressRule: number;
  ingressRule: number;
  sourceIdentity: number;
  destinationIdentity: number;
  sourceIfindex: number;
  destinationIfindex: number;
  repeats: number;
  sourcePort: number;
  destinationPort: number;
  protocol: number;
  kind: FlowKind;
  endedBy: EndedBy;
  direction: Direction;
  verdict: Verdict;
  reason: DropReason;
  shadowVerdict: Verdict;
  shadowEgressRule: number;
  shadowIngressRule: number;
  sparedUntil: bigint;
}

export const flowEvent: Codec<FlowEvent> = {
  name: 'flow_event',
  size: 152,
  encode(view, at, r) {
    view.setBigUint64(at + 0, checkUint64(r.time, 'time'), true);
    view.setBigUint64(at + 8, checkUint64(r.firstSeen, 'firstSeen'), true);
    view.setBigUint64(at + 16, checkUint64(r.revision, 'revision'), true);
    view.setBigUint64(at + 24, checkUint64(r.packets[0], 'packets[0]'), true);
    view.setBigUint64(at + 32, checkUint64(r.packets[1], 'packets[1]'), true);
    view.setBigUint64(at + 40, checkUint64(r.bytes[0], 'bytes[0]'), true);
    view.setBigUint64(at + 48, checkUint64(r.bytes[1], 'bytes[1]'), true);
    putBytes(view, at + 56, r.source, 16, 'source');
    putBytes(view, at + 72, r.destination, 16, 'destination');
    view.setUint32(at + 88, checkUint(r.rd, 32, 'rd'), true);
    view.setUint32(at + 92, checkUint(r.network, 32, 'network'), true);
    view.setUint32(at + 96, checkUint(r.egressRule, 32, 'egressRule'), true);
    view.setUint32(at + 100, checkUint(r.ingressRule, 32, 'ingressRule'), true);
    view.setUint32(at + 104, checkUint(r.sourceIdentity, 32, 'sourceIdentity'), true);
    view.setUint32(at + 108, checkUint(r.destinationIdentity, 32, 'destinationIdentity'), true);
    view.setUint32(at + 112, checkUint(r.sourceIfindex, 32, 'sourceIfindex'), true);
    view.setUint32(at + 116, checkUint(r.destinationIfindex, 32, 'destinationIfindex'), true);
    view.setUint32(at + 120, checkUint(r.repeats, 32, 'repeats'), true);
    view.setUint16(at + 124, checkUint(r.sourcePort, 16, 'sourcePort'), true);
    view.setUint16(at + 126, checkUint(r.destinationPort, 16, 'destinationPort'), true);
    view.setUint8(at + 128, checkUint(r.protocol, 8, 'protocol'));
    view.setUint8(at + 129, checkUint(r.kind, 8, 'kind'));
    view.setUint8(at + 130, checkUint(r.endedBy, 8, 'endedBy'));
    view.setUint8(at + 131, checkUint(r.direction, 8, 'direction'));
    view.setUint8(at + 132, checkUint(r.verdict, 8, 'verdict'));
    view.setUint8(at + 133, checkUint(r.reason, 8, 'reason'));
    view.setUint8(at + 134, checkUint(r.shadowVerdict, 8, 'shadowVerdict'));
    view.setUint8(at + 135, 0);
    view.setUint32(at + 136, checkUint(r.shadowEgressRule, 32, 'shadowEgressRule'), true);
    view.setUint32(at + 140, checkUint(r.shadowIngressRule, 32, 'shadowIngressRule'), true);
    view.setBigUint64(at + 144, checkUint64(r.sparedUntil, 'sparedUntil'), true);
  },
  decode(view, at) {
    return {
      time: view.getBigUint64(at + 0, true),
      firstSeen: view.getBigUint64(at + 8, true),
      revision: view.getBigUint64(at + 16, true),
      packets: [view.getBigUint64(at + 24, true), view.getBigUint64(at + 32, true)],
      bytes: [view.getBigUint64(at + 40, true), view.getBigUint64(at + 48, true)],
      source: getBytes(view, at + 56, 16),
      destination: getBytes(view, at + 72, 16),
      rd: view.getUint32(at + 88, true),
      network: view.getUint32(at + 92, true),
      egressRule: view.getUint32(at + 96, true),
      ingressRule: view.getUint32(at + 100, true),
      sourceIdentity: view.getUint32(at + 104, true),
      destinationIdentity: view.getUint32(at + 108, true),
      sourceIfindex: view.getUint32(at + 112, true),
      destinationIfindex: view.getUint32(at + 116, true),
      repeats: view.getUint32(at + 120, true),
      sourcePort: view.getUint16(at + 124, true),
      destinationPort: view.getUint16(at + 126, true),
      protocol: view.getUint8(at + 128),
      kind: view.getUint8(at + 129) as FlowKind,
      endedBy: view.getUint8(at + 130) as EndedBy,
      direction: view.getUint8(at + 131) as Direction,
      verdict: view.getUint8(at + 132) as Verdict,
      reason: view.getUint8(at + 133) as DropReason,
      shadowVerdict: view.getUint8(at + 134) as Verdict,
      shadowEgressRule: view.getUint32(at + 136, true),
      shadowIngressRule: view.getUint32(at + 140, true),
      sparedUntil: view.getBigUint64(at + 144, true),
    };
  },
};

export interface CollectRequest {
  rd: number;
  address: Uint8Array;
  mode: number;
  walked: number;
  expired: number;
  revoked: number;
  forgotten: number;
}

export const collectRequest: Codec<CollectRequest> = {
  name: 'collect_request',
  size: 40,
  encode(view, at, r) {
    view.setUint32(at + 0, checkUint(r.rd, 32, 'rd'), true);
    putBytes(view, at + 4, r.address, 16, 'address');
    view.setUint32(at + 20, checkUint(r.mode, 32, 'mode'), true);
    view.setUint32(at + 24, checkUint(r.walked, 32, 'walked'), true);
    view.setUint32(at + 28, checkUint(r.expired, 32, 'expired'), true);
    view.setUint32(at + 32, checkUint(r.revoked, 32, 'revoked'), true);
    view.setUint32(at + 36, checkUint(r.forgotten, 32, 'forgotten'), true);
  },
  decode(view, at) {
    return {
      rd: view.getUint32(at + 0, true),
      address: getBytes(view, at + 4, 16),
      mode: view.getUint32(at + 20, true),
      walked: view.getUint32(at + 24, true),
      expired: view.getUint32(at + 28, true),
      revoked: view.getUint32(at + 32, true),
      forgotten: view.getUint32(at + 36, true),
    };
  },
};
