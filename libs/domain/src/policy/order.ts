import type { Selector, Tags } from '@osier/contracts/names';
import { type Direction, defaultIndex, isolates, type Policy, protocolNumbers, type RuleInfo } from './model.ts';
import { matches } from './selector.ts';

/** One rule of one direction in its place of evaluation. */
export interface OrderedRule {
  readonly info: RuleInfo;
  /** Undefined: any endpoint of the environment. */
  readonly peers: readonly Selector[] | undefined;
  /** Undefined: every protocol and port. */
  readonly ports: readonly { readonly protocol: number; readonly port: number | undefined }[] | undefined;
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const selecting = (policies: readonly Policy[], tags: Tags): Policy[] =>
  policies.filter((p) => matches(p.spec.appliesTo, tags)).sort((a, b) => byText(a.path, b.path));

/**
 * The rules that decide one direction for the endpoint that these policies select, first match first, the default last:
 * lower priority first, at equal priority Deny before Allow, then by path and position.
 */
export function orderedRules(selected: readonly Policy[], direction: Direction): OrderedRule[] {
  const rules = selected.flatMap((policy) => rulesOf(policy, direction));
  rules.sort((a, b) => a.info.priority - b.info.priority || rank(a) - rank(b) || byText(a.info.policyPath, b.info.policyPath) || a.info.index - b.info.index);
  return [...rules, defaultRule(selected, direction)];
}
const rank = (r: OrderedRule): number => (r.info.action === 'Deny' ? 0 : 1);

/** A policy is never written to, and is part of many programs. */
const rulesOfPolicies = { ingress: new WeakMap<Policy, readonly OrderedRule[]>(), egress: new WeakMap<Policy, readonly OrderedRule[]>() };
function rulesOf(policy: Policy, direction: Direction): readonly OrderedRule[] {
  const known = rulesOfPolicies[direction].get(policy);
  if (known) return known;
  const rules = readRules(policy, direction);
  rulesOfPolicies[direction].set(policy, rules);
  return rules;
}
function readRules(policy: Policy, direction: Direction): OrderedRule[] {
  const list = direction === 'ingress'
    ? (policy.spec.ingress ?? []).map((r) => ({ ...r, peers: r.from }))
    : (policy.spec.egress ?? []).map((r) => ({ ...r, peers: r.to }));
  return list.map((rule, index) => ({
    info: {
      policyId: policy.id, policyPath: policy.path, index, direction, action: rule.action,
      name: rule.name ?? `${direction}[${index}]`, priority: policy.spec.priority,
    },
    peers: rule.peers?.map((p) => p.endpoints),
    ports: rule.ports?.map((p) => ({ protocol: protocolNumbers[p.protocol], port: p.port })),
  }));
}

/** Denied where any selecting policy isolates the direction, in the name of the first such policy by path; else allowed. */
function defaultRule(selected: readonly Policy[], direction: Direction): OrderedRule {
  const isolating = [...selected].sort((a, b) => byText(a.path, b.path)).find((p) => isolates(p.spec, direction));
  const base = { index: defaultIndex, direction, priority: 0xffff_ffff };
  const info: RuleInfo = isolating
    ? { ...base, policyId: isolating.id, policyPath: isolating.path, action: 'Deny', name: 'default-deny' }
    : { ...base, policyId: '', policyPath: 'default', action: 'Allow', name: 'default-allow' };
  return { info, peers: undefined, ports: undefined };
}
