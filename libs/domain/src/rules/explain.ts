import type { Family } from '../net/address.ts';
import type { Direction, Policy, PortMatch, Rule, Side, Tier } from './model.ts';

/** What is asked, with the family that it turned out to be. */
export interface Traffic { readonly from: Side; readonly to: Side; readonly protocol: string; readonly port: number | undefined; readonly family: Family | undefined }

/** Where one direction was decided. `others`: how many further policies isolate the same direction. */
export interface Where { readonly action: 'Allow' | 'Deny'; readonly tier: Tier | 'Network' | 'Default'; readonly policy: Policy | undefined; readonly rule: string; readonly others: number; /** The rule, where one decided. */ readonly by?: Rule; /** Rules that left their tier before. */ readonly passing?: readonly Rule[]; /** The first rule that left a tier to those after it. */ readonly passed?: { readonly policy: Policy; readonly rule: string }; /** Of a default denial: a rule that lets the same peer through on other ports. */ readonly near?: { readonly policy: Policy; readonly rule: Rule } }

export interface Decided {
  readonly verdict: 'Allow' | 'Deny';
  readonly tier: Tier | 'Network' | 'Default';
  /** Null where no policy decided. */
  readonly policy: string | null;
  readonly kind: string | null;
  readonly rule: string;
  /** One sentence for whoever never saw the rules. */
  readonly reason: string;
}
/** A side is undefined where no policy selects it: outside addresses, host-networked pods. */
export interface Decision extends Decided { readonly egress: Decided | undefined; readonly ingress: Decided | undefined }

const shownPorts = 3;
function portsText(ports: readonly PortMatch[]): string {
  const one = (match: PortMatch): string => {
    const number = 'name' in match ? match.name : !('first' in match) ? '' : match.protocol === 'ICMP' ? icmpText(match.first, match.last) : match.first === match.last ? String(match.first) : `${match.first}-${match.last}`;
    return [match.protocol ?? 'any protocol', number].filter((part) => part !== '').join(' ');
  };
  const more = ports.length - shownPorts;
  return `${ports.slice(0, shownPorts).map(one).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Type and code are one number: type << 8 | code. */
const icmpText = (first: number, last: number): string => `type ${first >> 8}${first === last ? ` code ${first & 0xff}` : ''}`;
const portText = ({ protocol, port }: Traffic): string => (port === undefined ? protocol : protocol === 'ICMP' ? `ICMP ${icmpText(port, port)}` : `${protocol} ${port}`);

/** What was decided, whose rule it is, and so whose to change. */
export function sentence(traffic: Traffic, direction: Direction, where: Where): string {
  const { passed } = where;
  return `${decision(traffic, direction, where)}${passed === undefined ? '' : ` Rule ${passed.rule} of ${passed.policy.kind} ${passed.policy.name} left it to the tiers after its own.`}`;
}

function decision(traffic: Traffic, direction: Direction, where: Where): string {
  const [subject, peer] = direction === 'egress' ? [traffic.from, traffic.to] : [traffic.to, traffic.from];
  const [what, way] = [portText(traffic), direction === 'egress' ? `to ${peer.name}` : `from ${peer.name}`];
  if (where.rule === 'self') return `${subject.name} always reaches itself: no policy applies to what does not leave it.`;
  if (where.rule === 'unreachable') return `${subject.name} and ${peer.name} are in different environments, which never reach each other.`;
  if (where.rule === 'no-connection') return `${subject.name} and ${peer.name} are in different networks, and no connection between these exists.`;
  if (where.policy === undefined) return `No policy decides about the ${direction} of ${subject.name} ${way} on ${what}, so it is allowed.`;
  const policy = `${where.policy.kind} ${where.policy.name}`;
  if (where.rule === 'default-deny') {
    const more = where.others === 0 ? '' : ` (and by ${where.others} more)`;
    const verb = direction === 'egress' ? 'lets out' : 'lets in';
    const near = where.near === undefined ? '' : `; rule ${where.near.rule.name} of ${where.near.policy.kind} ${where.near.policy.name} ${verb} ${portsText(where.near.rule.ports ?? [])}`;
    return `The ${direction} of ${subject.name} is isolated by ${policy}${more}, and no rule ${verb} ${what} ${way}${near}.`;
  }
  return `Rule ${where.rule} of ${policy} ${where.action === 'Allow' ? 'allows' : 'denies'} the ${direction} of ${subject.name} ${way} on ${what}.`;
}
