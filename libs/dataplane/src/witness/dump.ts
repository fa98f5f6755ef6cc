/** What the witness saw. Addresses are 16 bytes, digests and ids lower-case hex, columns in the order 0, 1. */
export interface EndpointSeen {
  ifindex: number;
  rd: number;
  network: number;
  policy: [number, number];
  shadow: [number, number];
  address: Uint8Array;
  mac: Uint8Array;
  active: boolean;
}

export interface AddressSeen {
  rd: number;
  address: Uint8Array;
  kind: 'local' | 'remote' | 'unknown';
  network: number;
  targetRd: number;
  ifindex: number;
  tunnel: Uint8Array;
  identity: [number, number];
  mac: Uint8Array;
}

export interface PolicySeen {
  prefixlen: number;
  policy: number;
  peer: number;
  /** Its number where it is neither. */
  direction: 'egress' | 'ingress' | number;
  protocol: number;
  port: number;
  action: 'allow' | 'deny' | 'pass' | 'unknown';
  precedence: number;
  tier: number;
  place: number;
  rule: number;
}

export interface RuleSeen {
  rule: number;
  policyId: string;
  ruleIndex: number;
  direction: 'egress' | 'ingress' | 'unknown';
  action: 'allow' | 'deny' | 'pass' | 'unknown';
  precedence: number;
  grace: number;
}

export interface DigestSeen {
  number: number;
  digest: string;
}

export interface ProgramRowSeen {
  program: number;
  /** Without the zeros at its end. */
  slots: number[];
}

export interface SlotSeen {
  slot: number;
  layer: [number, number];
  digest: string;
}

export interface ProgramSeen {
  name: string;
  /** The kernel's own fingerprint of the program's instructions, hex. */
  tag: string;
}

export interface Attachment {
  device: string;
  ifindex: number;
  /** Absent: nothing is attached there. More than one filter: the first that runs. */
  ingress?: ProgramSeen;
  egress?: ProgramSeen;
}

export interface LinkSeen {
  name: string;
  ifindex: number;
  kind: string;
  up: boolean;
  mtu: number;
}

export interface TablesDump {
  endpoints: EndpointSeen[];
  addresses: AddressSeen[];
  policy: PolicySeen[];
  rules: RuleSeen[];
  identities: DigestSeen[];
  policies: DigestSeen[];
  programs: ProgramRowSeen[];
  slots: SlotSeen[];
}

export interface NodeDump extends TablesDump {
  epoch: number;
  /** Of the column that packets read now. */
  revision: bigint;
  revisions: [bigint, bigint];
  vxlanIfindex: number;
  underlay: Uint8Array;
  attachments: Attachment[];
  links: LinkSeen[];
}
