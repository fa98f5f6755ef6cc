import type { Document } from '@osier/contracts/document';
import { pathOf } from '@osier/contracts/document';
import type { Spec } from '@osier/contracts/kinds';
import type { Protocol, Tags } from '@osier/contracts/names';

/** The words of the policy compiler. Everything here is about one environment; environments never see each other. */
export type Direction = 'ingress' | 'egress';
export type Action = 'Allow' | 'Deny';

export interface Policy {
  readonly id: string;
  /** `acme/shop/staging/database` */
  readonly path: string;
  readonly spec: Spec<'policy'>;
}

/** An endpoint as rules see it. */
export interface Party {
  readonly path: string;
  /** Id of its network. */
  readonly network: string;
  /** `acme/shop/staging` */
  readonly environment: string;
  readonly tags: Tags;
}

/** A rule by its place in its policy; the two defaults are rules as well, so that every verdict has one to name. */
export interface RuleRef {
  /** Empty for the default of endpoints that nothing isolates. */
  readonly policyId: string;
  /** Position in the list of its direction; `defaultIndex` for a default. */
  readonly index: number;
  readonly direction: Direction;
  readonly action: Action;
}
export interface RuleInfo extends RuleRef {
  readonly policyPath: string;
  readonly name: string;
  readonly priority: number;
}
export const defaultIndex = 0xffff;
export const ruleKey = (r: RuleRef): string => `${r.policyId}/${r.direction}/${r.index}/${r.action}`;

/** IANA protocol numbers. */
export const protocolNumbers = { ICMP: 1, TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Record<Protocol, number>;

/** Injected, since pure code has no crypto: SHA-256 of a text, as 64 hex digits. */
export type Digest = (text: string) => string;

export const policyOf = (document: Document<'policy'>): Policy => ({ id: document.id, path: pathOf(document), spec: document.spec });

/** Directions in which whatever no rule matches is denied. */
export const isolates = (spec: Spec<'policy'>, direction: Direction): boolean =>
  spec.isolates === undefined ? spec[direction] !== undefined : spec.isolates.includes(direction);
