import { whatBecomes } from '../rules/live.ts';
import type { Policy, RuleAction, RuleRef } from './model.ts';

/** Only a denial ends connections. */
export function graceOf(policy: Policy, action: RuleAction): Pick<RuleRef, 'grace'> {
  const fate = whatBecomes(policy);
  if (action !== 'Deny' || fate.ends === 'now') return {};
  return { grace: fate.ends === 'within' ? fate.seconds * 1000 : 'endless' };
}
