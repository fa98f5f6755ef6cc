import { createHash } from 'node:crypto';
import type { Tags } from '@osier/contracts/names';
import type { Entry } from '../src/policy/compile.ts';
import type { Direction, Party, Policy } from '../src/policy/model.ts';

/** Random policies and endpoints, what the kernel would look up, and an oracle that shares no code with the compiler. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
export const environment = 'acme/shop/staging';
export const party = (path: string, tags: Tags, network = 'n1', env = environment): Party => ({ path, network, environment: env, tags });
export const policy = (name: string, spec: Partial<Policy['spec']>): Policy => ({
  id: `id-${name}`, path: `${environment}/${name}`, spec: { appliesTo: {}, priority: 1000, ...spec },
});

/** As `bpf/policy.h` does it: longest prefix for the exact peer, then for any; the higher precedence; deny at a tie. */
export function lookUp(entries: readonly Entry[], direction: Direction, peer: string, protocol: number, port: number): Entry | undefined {
  const bits = (e: Entry): number => (e.region.protocol === undefined ? 72 : e.region.port === undefined ? 80 : 96);
  const longest = (who: string | undefined): Entry | undefined => entries
    .filter((e) => e.direction === direction && e.peer === who)
    .filter((e) => (e.region.protocol ?? protocol) === protocol && (e.region.port ?? port) === port)
    .sort((a, b) => bits(b) - bits(a))[0];
  const exact = longest(peer);
  const any = longest(undefined);
  if (!exact || !any) return exact ?? any;
  if (exact.precedence === any.precedence) return exact.action === 'Deny' ? exact : any;
  return exact.precedence > any.precedence ? exact : any;
}

/** The same question in the plainest words, by none of the product's code. */
export function oracle(policies: readonly Policy[], subject: Tags, peer: Tags, direction: Direction, protocol: string, port: number): { action: string; rule: string } {
  const has = (selector: Policy['spec']['appliesTo'], tags: Tags): boolean => {
    let yes = true;
    for (const key in selector.matchTags) yes &&= tags[key] === selector.matchTags[key];
    for (const e of selector.matchExpressions ?? []) {
      const present = key(tags, e.key);
      switch (e.operator) {
        case 'In': yes &&= present && e.values.indexOf(tags[e.key] as string) >= 0; break;
        case 'NotIn': yes &&= !present || e.values.indexOf(tags[e.key] as string) < 0; break;
        case 'Exists': yes &&= present; break;
        case 'DoesNotExist': yes &&= !present; break;
      }
    }
    return yes;
  };
  const key = (tags: Tags, k: string): boolean => Object.keys(tags).includes(k);
  let best: { weight: [number, number, string, number]; action: string; rule: string } | undefined;
  let isolatedBy: string | undefined;
  for (const p of policies) {
    if (!has(p.spec.appliesTo, subject)) continue;
    const list = direction === 'ingress' ? p.spec.ingress : p.spec.egress;
    const isolating = p.spec.isolates ? p.spec.isolates.some((d) => d === direction) : list !== undefined;
    if (isolating && (isolatedBy === undefined || p.path < isolatedBy)) isolatedBy = p.path;
    (list ?? []).forEach((rule, index) => {
      const who = 'from' in rule ? rule.from : 'to' in rule ? rule.to : undefined;
      if (who && !who.some((w: { endpoints: Policy['spec']['appliesTo'] }) => has(w.endpoints, peer))) return;
      if (rule.ports && !rule.ports.some((x) => x.protocol === protocol && (!x.port || x.port === port))) return;
      const weight: [number, number, string, number] = [p.spec.priority, rule.action === 'Deny' ? 0 : 1, p.path, index];
      if (!best || before(weight, best.weight)) best = { weight, action: rule.action, rule: `${p.id}#${index}` };
    });
  }
  if (best) return best;
  return isolatedBy === undefined ? { action: 'Allow', rule: '#default' } : { action: 'Deny', rule: `${isolatedBy}#default` };
}
function before(a: [number, number, string, number], b: [number, number, string, number]): boolean {
  for (let i = 0; i < 4; i++) {
    const x = a[i] as number | string;
    const y = b[i] as number | string;
    if (x !== y) return x < y;
  }
  return false;
}

/** mulberry32: small, seeded, good enough to wander. */
export function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export const keys = ['app', 'tier', 'zone'];
export const values = ['a', 'b', 'c'];
export const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;
export const numberOf = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1 };
const ports = [80, 443, 5432];

export function randomWorld(seed: number): { policies: Policy[]; parties: Party[] } {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const selector = (): Policy['spec']['appliesTo'] => {
    switch (next(6)) {
      case 0: return {};
      case 1: return { matchExpressions: [{ key: pick(keys), operator: pick(['Exists', 'DoesNotExist'] as const) }] };
      case 2: return { matchExpressions: [{ key: pick(keys), operator: pick(['In', 'NotIn'] as const), values: [pick(values), pick(values)] }] };
      case 3: return { matchTags: { [pick(keys)]: pick(values), [pick(keys)]: pick(values) } };
      default: return { matchTags: { [pick(keys)]: pick(values) } };
    }
  };
  const rule = (): { action: 'Allow' | 'Deny'; ports?: { protocol: (typeof protocols)[number]; port?: number }[]; who?: { endpoints: ReturnType<typeof selector> }[] } => ({
    action: next(3) === 0 ? 'Deny' : 'Allow',
    ...(next(3) > 0 ? { ports: Array.from({ length: 1 + next(2) }, () => ({ protocol: pick(protocols), ...(next(2) ? { port: pick(ports) } : {}) })) } : {}),
    ...(next(3) > 0 ? { who: Array.from({ length: 1 + next(2) }, () => ({ endpoints: selector() })) } : {}),
  });
  const policies = Array.from({ length: next(6) }, (_, i) => policy(`p${i}`, {
    appliesTo: selector(),
    priority: pick([10, 1000, 1000, 2000]),
    ...(next(4) === 0 ? { isolates: pick([[], ['ingress'], ['egress'], ['ingress', 'egress']] as const) as ('ingress' | 'egress')[] } : {}),
    ...(next(3) ? { ingress: Array.from({ length: next(4) }, () => { const { who, ...r } = rule(); return { ...r, ...(who ? { from: who } : {}) }; }) } : {}),
    ...(next(2) ? { egress: Array.from({ length: next(3) }, () => { const { who, ...r } = rule(); return { ...r, ...(who ? { to: who } : {}) }; }) } : {}),
  }));
  const parties = Array.from({ length: 6 }, (_, i) => party(`e${i}`, Object.fromEntries(keys.filter(() => next(3) > 0).map((k) => [k, pick(values)])), next(8) === 0 ? 'n2' : 'n1'));
  return { policies, parties };
}
