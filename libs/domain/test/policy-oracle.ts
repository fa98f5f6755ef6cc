/**
 * A second opinion on Osier's own documents, in the plainest words and by none of the product's code: it walks the documents for every question, and has its own
 * selectors, its own arithmetic of addresses and its own order of tiers.
 */
/* eslint-disable @typescript-eslint/no-explicit-any -- documents are read as they were written */
type Raw = any;
export interface Opinion { readonly action: 'Allow' | 'Deny'; /** `id#2`, `path#default`, `#default` */ readonly rule: string }

function has(selector: Raw, tags: Record<string, string>): boolean {
  const own = (key: string): boolean => Object.keys(tags).includes(key);
  for (const key in selector.matchTags ?? {}) if (!own(key) || tags[key] !== selector.matchTags[key]) return false;
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const among = own(key) && values !== undefined && values.indexOf(tags[key]) >= 0;
    if (operator === 'In' && !among) return false;
    if (operator === 'NotIn' && among) return false;
    if (operator === 'Exists' && !own(key)) return false;
    if (operator === 'DoesNotExist' && own(key)) return false;
  }
  return true;
}
const asNumber = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
function inside(ip: string, cidr: string): boolean {
  const [base = '', bits = ''] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(asNumber(ip) / size) === Math.floor(asNumber(base) / size);
}

/** Yes, no, or that what is named does not exist. */
type Answer = boolean | 'unknown';
function who(peer: Raw, me: Raw, other: Raw, groups: Raw[]): Answer {
  const group = (kind: string, name: string): Raw => groups.find((g) => g.kind === kind && g.name === name);
  if (peer.endpointGroup) {
    const found = group('endpoint-group', peer.endpointGroup);
    return found ? found.spec.endpoints.some((selector: Raw) => has(selector, other.spec.tags)) : 'unknown';
  }
  if (peer.addressGroup) {
    const found = group('address-group', peer.addressGroup);
    if (!found) return 'unknown';
    return found.spec.cidrs.some((c: string) => inside(other.spec.address, c)) && !(found.spec.except ?? []).some((c: string) => inside(other.spec.address, c));
  }
  if (peer.cidr) return inside(other.spec.address, peer.cidr) && !(peer.except ?? []).some((c: string) => inside(other.spec.address, c));
  for (const key of peer.matchSame ?? []) if (!(key in me.spec.tags) || me.spec.tags[key] !== other.spec.tags[key]) return false;
  return has(peer.endpoints ?? {}, other.spec.tags);
}
function what(port: Raw, listener: Raw, protocol: string, number: number, groups: Raw[]): Answer {
  if (port.serviceGroup) {
    const found = groups.find((g) => g.kind === 'service-group' && g.name === port.serviceGroup);
    return found ? found.spec.ports.some((p: Raw) => what(p, listener, protocol, number, groups) === true) : 'unknown';
  }
  if (port.protocol !== protocol) return false;
  if (port.portName) return (listener.spec.ports ?? []).some((p: Raw) => p.name === port.portName && p.protocol === protocol && p.port === number);
  if (port.type !== undefined) return number >> 8 === port.type && (port.code === undefined || (number & 255) === port.code);
  if (port.port === undefined) return true;
  return number >= port.port && number <= (port.endPort ?? port.port);
}
/** A list that is not there means everything; one that names what does not exist lets nobody in, and keeps everybody out. */
function any(list: Raw[] | undefined, one: (item: Raw) => Answer, action: string): boolean {
  if (!list) return true;
  const answers = list.map(one);
  return answers.includes(true) || (action !== 'Allow' && answers.includes('unknown'));
}

const tiers = ['platform-policy Admin', 'domain-policy Admin', 'project-policy Admin', 'policy', 'project-policy Baseline', 'domain-policy Baseline', 'platform-policy Baseline'];

/** `subject` is the endpoint whose direction is asked for; both are in the environment acme/shop/staging. */
export function oracle(world: { policies: readonly Raw[]; groups: readonly Raw[] }, subject: Raw, peer: Raw, direction: 'ingress' | 'egress', protocol: string, port: number): Opinion {
  const groups = [...world.groups];
  for (const tier of tiers) {
    const mine = world.policies
      .filter((p) => p.spec.mode !== 'shadow')
      .filter((p) => (p.kind === 'policy' ? tier === 'policy' : tier === `${p.kind} ${p.spec.tier}`) && has(p.spec.appliesTo, subject.spec.tags))
      .filter((p) => !p.spec.scope?.environments || p.spec.scope.environments.includes('staging'))
      .sort((a, b) => a.spec.priority - b.spec.priority || (a.path < b.path ? -1 : 1));
    const rules: Raw[] = mine.flatMap((p) => (p.spec[direction] ?? []).map((rule: Raw, index: number) => {
      const missing = [...(rule.from ?? rule.to ?? []).map((one: Raw) => who(one, subject, peer, groups)), ...(rule.ports ?? []).map((one: Raw) => what(one, subject, protocol, port, groups))].includes('unknown');
      return { rule: rule.action === 'Pass' && missing ? { ...rule, action: 'Deny' } : rule, id: `${p.id}#${index}`, priority: p.spec.priority };
    }));
    const weight = (action: string): number => (action === 'Deny' ? 0 : action === 'Allow' ? 1 : 2);
    if (tier === 'policy') rules.sort((a, b) => a.priority - b.priority || weight(a.rule.action) - weight(b.rule.action));
    const listener = direction === 'ingress' ? subject : peer;
    const first = rules.find(({ rule }) => any(rule.from ?? rule.to, (one) => who(one, subject, peer, groups), rule.action) && any(rule.ports, (one) => what(one, listener, protocol, port, groups), rule.action));
    if (first) {
      if (first.rule.action !== 'Pass') return { action: first.rule.action, rule: first.id };
      continue;
    }
    const isolating = mine.filter((p) => p.kind === 'policy' && (p.spec.isolates ? p.spec.isolates.includes(direction) : p.spec[direction] !== undefined)).map((p) => p.path).sort()[0];
    if (isolating !== undefined) return { action: 'Deny', rule: `${isolating}#default` };
  }
  return { action: 'Allow', rule: '#default' };
}
