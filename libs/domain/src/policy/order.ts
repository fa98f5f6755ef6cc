import { type Direction, denyFirst, tiers } from '../rules/model.ts';
import { type Instance, type SubjectRule } from './instance.ts';
import { defaultIndex, type RuleInfo } from './model.ts';

/** One rule in its place of evaluation. */
export interface OrderedRule extends SubjectRule { readonly tier: number }

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const inOrder = ({ policy: a }: Instance, { policy: b }: Instance): number => a.priority - b.priority || byText(a.name, b.name) || byText(a.kind, b.kind);
/** In a tier that says Deny first, Pass is last: whatever the tier decides itself comes before what it leaves to others. */
const ranks = { Deny: 0, Allow: 1, Pass: 2 } as const;

/**
 * The rules that decide one direction for the endpoint that these policies select, first match first: tier by tier, in a tier by priority. A tier that isolates
 * ends in a denial, and the last is the default.
 */
export function orderedRules(selected: readonly Instance[], direction: Direction): OrderedRule[] {
  const all: OrderedRule[] = [];
  for (const [tier, name] of tiers.entries()) {
    const mine = selected.filter(({ policy }) => policy.tier === name).sort(inOrder);
    if (mine.length === 0) continue;
    const rules = mine.flatMap((instance) => instance[direction].map((rule) => ({ ...rule, tier, priority: instance.policy.priority })));
    if (denyFirst.has(name)) rules.sort((a, b) => a.priority - b.priority || ranks[a.action] - ranks[b.action]);
    all.push(...rules.map(({ priority: _, ...rule }) => rule));
    const isolating = mine.map(({ policy }) => policy).filter((policy) => policy.isolates.includes(direction)).sort((a, b) => byText(a.name, b.name))[0];
    if (isolating !== undefined) all.push(byDefault({ policyId: isolating.id, policyPath: isolating.name, action: 'Deny', name: 'default-deny', tier: name, direction }, tier));
  }
  return [...all, byDefault({ policyId: '', policyPath: 'default', action: 'Allow', name: 'default-allow', tier: 'Default', direction }, tiers.length)];
}
const byDefault = (info: Omit<RuleInfo, 'index' | 'priority'>, tier: number): OrderedRule =>
  ({ info: { ...info, index: defaultIndex, priority: 0xffff_ffff }, action: info.action, rule: undefined, peers: undefined, regions: undefined, tier });
