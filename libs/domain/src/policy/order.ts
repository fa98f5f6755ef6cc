import { type Direction, denyFirst, tiers } from '../rules/model.ts';
import { graceOf } from './grace.ts';
import type { SubjectRule } from './instance.ts';
import { defaultIndex, type Policy, type RuleAction, type RuleInfo } from './model.ts';

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** In a tier that says Deny first, Pass is last: whatever the tier decides itself comes before what it leaves to others. */
const ranks = { Deny: 0, Allow: 1, Pass: 2 } as const;
export const tierOf = ({ tier }: Pick<Policy, 'tier'>): number => tiers.indexOf(tier);
/** After every tier. */
export const defaultTier = tiers.length;

/**
 * When the rules of a policy are asked, as a text: of two turns the one that sorts first comes first. By tier, by priority, where the tier says so by action, then by
 * name; rules of one turn are asked as they are listed.
 */
export const turnOf = (policy: Policy, action: RuleAction): string => textOf(tierOf(policy), policy.priority, denyFirst.has(policy.tier) ? ranks[action] : 0, policy);
const textOf = (tier: number, priority: number, rank: number, { name, kind, id }: Pick<Policy, 'name' | 'kind' | 'id'>): string =>
  [tier, String(priority).padStart(10, '0'), rank, name, kind, id].join('\0');
export const tierOfTurn = (turn: string): number => Number(turn.slice(0, turn.indexOf('\0')));

const lastPriority = 0xffff_ffff;
/** What comes after all rules: where a policy isolates, the denial of its tier; else what is where nothing was decided. */
export function defaultRule(direction: Direction, policy: Policy | undefined): SubjectRule & { readonly turn: string } {
  const info: RuleInfo = policy === undefined
    ? { policyId: '', policyPath: 'default', action: 'Allow', name: 'default-allow', tier: 'Default', direction, index: defaultIndex, priority: lastPriority }
    : { policyId: policy.id, policyPath: policy.name, action: 'Deny', name: 'default-deny', tier: policy.tier, direction, index: defaultIndex, priority: lastPriority, ...graceOf(policy, 'Deny') };
  const turn = policy === undefined ? textOf(defaultTier, lastPriority, 0, { name: '', kind: '', id: '' }) : textOf(tierOf(policy), lastPriority, 0, policy);
  return { info, peers: undefined, regions: undefined, turn };
}
