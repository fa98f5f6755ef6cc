import type { Spec } from '@osier/contracts/kinds';
import { type Decision, refuse } from '../decision.ts';

type Rule = NonNullable<Spec<'policy'>['ingress']>[number] | NonNullable<Spec<'policy'>['egress']>[number];

/** What a schema cannot say of a policy: rules are named once, so that a flow record's rule is one rule; a port belongs to a protocol that has ports. */
export function policyProblem(spec: Spec<'policy'>): Decision | undefined {
  if (new Set(spec.isolates).size !== (spec.isolates?.length ?? 0)) {
    return refuse('duplicate', 'spec.isolates', 'A direction is named twice.', 'Name each direction once.');
  }
  return rulesProblem('ingress', spec.ingress ?? []) ?? rulesProblem('egress', spec.egress ?? []);
}

function rulesProblem(direction: 'ingress' | 'egress', rules: readonly Rule[]): Decision | undefined {
  for (const [index, rule] of rules.entries()) {
    const at = `spec.${direction}[${index}]`;
    const first = rules.findIndex((other) => other.name !== undefined && other.name === rule.name);
    if (rule.name !== undefined && first !== index) {
      return refuse('duplicate-rule-name', `${at}.name`, `"${rule.name}" is the name of rule ${first} already.`, 'Give each rule of a direction its own name, or none.');
    }
    const port = rule.ports?.findIndex((p) => p.protocol === 'ICMP' && p.port !== undefined) ?? -1;
    if (port >= 0) return refuse('port-without-meaning', `${at}.ports[${port}].port`, 'ICMP has no ports.', 'Remove the port, or name TCP or UDP.');
  }
  return undefined;
}
