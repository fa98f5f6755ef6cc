import type { Address, Block } from '../net/address.ts';

/**
 * One model of policy for every source: Kubernetes objects of each kind and Osier's own documents are translated into it,
 * and nothing that decides knows where a policy came from.
 */
export type Direction = 'ingress' | 'egress';
export type Action = 'Allow' | 'Deny' | 'Pass';

/**
 * Tiers in the order of their evaluation. In a tier the first rule that matches decides; Pass leaves the tier. Where none matches,
 * a policy that isolates the direction denies; else the next tier is asked, and after the last the answer is Allow.
 * Admin goes from the widest scope to the narrowest, so that a platform may decide or leave it to a domain, and a domain to a project; Baseline comes back the other way.
 */
export const tiers = ['Admin', 'DomainAdmin', 'ProjectAdmin', 'Project', 'NetworkPolicy', 'ProjectBaseline', 'DomainBaseline', 'Baseline'] as const;
export type Tier = (typeof tiers)[number];
/** Tiers whose rules of one priority are evaluated Deny first and Pass last, whichever policy they are of. */
export const denyFirst: ReadonlySet<Tier> = new Set(['Project']);

export type Tags = Readonly<Record<string, string>>;
export type Condition =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' };
/** All of them hold; none: everything is selected. */
export type TagSelector = readonly Condition[];

/** What cannot be evaluated: the field, and why. A decision that depends on it is refused, never guessed. */
export interface Opaque {
  readonly type: 'opaque';
  readonly field: string;
  readonly why: string;
  /** Whom it could match at all: who is not a party of this world, nodes, or of the parties those that the part of it selects that can be evaluated. */
  readonly among: 'outside' | 'nodes' | PartySelector;
}

/** Parties by the tags of their scope and their own. */
export interface PartySelector {
  readonly type: 'parties';
  /** Only in the scope of this name. */
  readonly scope?: string;
  readonly scopeTags: TagSelector;
  readonly tags: TagSelector;
  /** Keys whose value must be there and be the same on both sides: one rule for every value. */
  readonly same?: readonly { readonly of: 'scope' | 'party'; readonly key: string }[];
}
export interface BlockPeer { readonly type: 'block'; readonly block: Block; readonly except: readonly Block[] }
/** The addresses of the nodes with these tags. */
export interface NodePeer { readonly type: 'nodes'; readonly tags: TagSelector }
/** Parties by name or by their tags, and addresses, that are written down once and named by rules. `except`: addresses that the blocks do not mean. */
export interface GroupPeer {
  readonly type: 'group';
  readonly name: string;
  readonly parties: ReadonlySet<string>;
  readonly selectors?: readonly PartySelector[];
  readonly blocks: readonly Block[];
  readonly except?: readonly Block[];
}
export type Peer = PartySelector | BlockPeer | NodePeer | GroupPeer | Opaque;

/** A protocol that is not given is any. Numbers are those of the destination; for ICMP type << 8 | code. */
export type PortMatch =
  | { readonly protocol?: string; readonly first: number; readonly last: number }
  | { readonly protocol?: string; readonly name: string }
  | { readonly protocol: string };

export interface Rule {
  /** As its author named it, or its place: `ingress[0]`. */
  readonly name: string;
  readonly action: Action;
  /** Undefined: everything; empty: nothing. */
  readonly peers: readonly Peer[] | undefined;
  /** Undefined: every protocol and port. */
  readonly ports: readonly PortMatch[] | undefined;
}

export interface Policy {
  readonly tier: Tier;
  /** Lower is evaluated first. */
  readonly priority: number;
  /** As the source calls it: `NetworkPolicy`. */
  readonly kind: string;
  /** As the source names it: `shop/database`. */
  readonly name: string;
  readonly subject: PartySelector | Opaque;
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
  /** Directions in which whatever no rule of the tier matches is denied. */
  readonly isolates: readonly Direction[];
  /** Of these, the directions that it isolates only because it has rules for them: without its last rule it does not. */
  readonly isolatesByRules?: readonly Direction[];
  /** What becomes of a connection that it denies since a change; absent: it is cut. */
  readonly live?: 'keep' | { readonly drainSeconds: number };
  /** Evaluated beside the others and told, and decides nothing. Whoever decides leaves these out before. */
  readonly shadow?: boolean;
}

export interface Scope { readonly name: string; readonly tags: Tags }

/** What policies select: a pod, an endpoint. */
export interface Party {
  readonly type: 'party';
  /** `shop/database` */
  readonly name: string;
  readonly scope: string;
  readonly tags: Tags;
  readonly addresses: readonly Address[];
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  readonly node?: string;
  /** In the network of its node: no policy selects it, and rules meet it by its address only. */
  readonly host?: boolean;
  /** It runs no more: its address may be another's by now. */
  readonly ended?: boolean;
  /** Parties of different segments never reach each other, whatever the rules say. */
  readonly segment?: { readonly name: string; readonly why: 'unreachable' | 'no-connection' }[];
}
/** An address that belongs to no party; `node` where it is one of a node. */
export interface Outside { readonly type: 'outside'; readonly name: string; readonly addresses: readonly Address[]; readonly node?: Node }
export interface Node { readonly name: string; readonly tags: Tags; readonly addresses: readonly Address[] }
export type Side = Party | Outside;

export interface World {
  readonly scopes: readonly Scope[];
  readonly parties: readonly Party[];
  readonly nodes: readonly Node[];
  readonly policies: readonly Policy[];
}
