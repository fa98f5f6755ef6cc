import type { Protocol, Tags } from '@osier/contracts/names';
import type { Direction, Party as ModelParty, Policy as ModelPolicy, Tier } from '../rules/model.ts';

/** The words of the policy compiler. Everything here is about one environment; environments never see each other. */
export type { Direction } from '../rules/model.ts';
/** What becomes of a packet. */
export type Action = 'Allow' | 'Deny';
/** What an entry of the kernel says. */
export type RuleAction = Action | 'Pass';

/** A policy of the model that can be named in a kernel's tables. */
export interface Policy extends ModelPolicy { readonly id: string }

/** Who has a program, and who is a peer, as far as rules look. */
export interface Member extends Pick<ModelParty, 'name' | 'scope' | 'tags' | 'addresses' | 'ports'> { readonly scopeTags: Tags }

/** A rule by its place in its policy; the defaults are rules as well, so that every verdict has one to name. */
export interface RuleRef {
  /** Empty for the default of endpoints that nothing isolates. */
  readonly policyId: string;
  /** Position in the list of its direction; `defaultIndex` for a default. */
  readonly index: number;
  readonly direction: Direction;
  readonly action: RuleAction;
  /** Of a denial; absent: none. */
  readonly grace?: Grace;
}
/** Milliseconds for which a connection goes on that was allowed before it is denied. */
export type Grace = number | 'endless';
export interface RuleInfo extends RuleRef {
  readonly policyPath: string;
  readonly name: string;
  readonly priority: number;
  readonly tier: Tier | 'Default';
}
export const defaultIndex = 0xffff;
/** What a rule's number in the kernel stands for. */
export const ruleKey = (r: RuleRef): string => `${r.policyId}/${r.direction}/${r.index}/${r.action}${r.grace === undefined || r.grace === 0 ? '' : `/${r.grace}`}`;

/** IANA protocol numbers. */
export const protocolNumbers = { ICMP: 1, TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Record<Protocol, number>;

/** Injected, since pure code has no crypto: SHA-256 of a text, as 64 hex digits. */
export type Digest = (text: string) => string;
