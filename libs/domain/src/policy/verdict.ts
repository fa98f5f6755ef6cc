import type { Direction, Party, Policy, RuleInfo } from './model.ts';
import { type OrderedRule, orderedRules, selecting } from './order.ts';
import { matches } from './selector.ts';

export interface Verdict {
  readonly verdict: 'allowed' | 'denied';
  readonly reason: 'none' | 'unreachable' | 'no_connection' | 'policy_denied';
  /** The rule of each direction that was asked, egress first; a denied egress asks no further. */
  readonly decisions: readonly RuleInfo[];
}

/**
 * Whether a new flow may begin, and which rules say so. `policies` are those of the environment of `from`.
 * `protocol` is the IANA number, `port` the destination port (ICMP: type << 8 | code).
 */
export function verdict(policies: readonly Policy[], from: Party, to: Party, protocol: number, port: number): Verdict {
  if (from.environment !== to.environment) return { verdict: 'denied', reason: 'unreachable', decisions: [] };
  if (from.network !== to.network) return { verdict: 'denied', reason: 'no_connection', decisions: [] };
  const egress = decide(policies, from, to, 'egress', protocol, port);
  if (egress.action === 'Deny') return { verdict: 'denied', reason: 'policy_denied', decisions: [egress] };
  const ingress = decide(policies, to, from, 'ingress', protocol, port);
  const decisions = [egress, ingress];
  return ingress.action === 'Deny' ? { verdict: 'denied', reason: 'policy_denied', decisions } : { verdict: 'allowed', reason: 'none', decisions };
}

/** The first rule that matches; the default always does. */
function decide(policies: readonly Policy[], subject: Party, peer: Party, direction: Direction, protocol: number, port: number): RuleInfo {
  const rules = orderedRules(selecting(policies, subject.tags), direction);
  const found = rules.find((rule) => covers(rule, peer, protocol, port));
  if (found === undefined) throw new Error('a direction without a default rule');
  return found.info;
}

function covers(rule: OrderedRule, peer: Party, protocol: number, port: number): boolean {
  if (rule.peers !== undefined && !rule.peers.some((selector) => matches(selector, peer.tags))) return false;
  return rule.ports === undefined || rule.ports.some((p) => p.protocol === protocol && (p.port === undefined || p.port === port));
}
