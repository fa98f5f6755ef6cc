import { describe, expect, it } from '@jest/globals';
import { kinds, type Spec } from '@osier/contracts/kinds';
import { randomOf } from '../../test/reach/random.ts';
import type { Policy } from '../policy/model.ts';
import { protocolNumbers } from '../policy/model.ts';
import { verdict } from '../policy/verdict.ts';
import { decide } from './decide.ts';
import { indexWorld } from './index-world.ts';
import { osierParty, osierPolicy } from './osier.ts';

type Random = ReturnType<typeof randomOf>;
const [keys, values, ports] = [['app', 'tier'], ['a', 'b', 'c'], [80, 443]];

function selector(r: Random): unknown {
  if (r.chance(25)) return {};
  const operator = r.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
  return r.chance(50) ? { matchTags: { [r.pick(keys)]: r.pick(values) } } : { matchExpressions: [{ key: r.pick(keys), operator, ...(operator.endsWith('In') ? { values: [r.pick(values)] } : {}) }] };
}
function policyOf(r: Random, i: number): Policy {
  const rules = (side: string): unknown[] => Array.from({ length: r.int(3) }, () => ({
    action: r.pick(['Allow', 'Deny']), ...(r.chance(60) ? { [side]: [{ endpoints: selector(r) }] } : {}), ...(r.chance(60) ? { ports: [r.chance(20) ? { protocol: 'ICMP' } : { protocol: r.pick(['TCP', 'UDP', 'SCTP']), ...(r.chance(70) ? { port: r.pick(ports) } : {}) }] } : {}),
  }));
  const spec = { appliesTo: selector(r), priority: r.int(3), ...(r.chance(60) ? { ingress: rules('from') } : {}), ...(r.chance(50) ? { egress: rules('to') } : {}), ...(r.chance(30) ? { isolates: r.some(['ingress', 'egress'], 50) } : {}) };
  return { id: `id-${i}`, path: `acme/shop/staging/policy-${i}`, spec: kinds.policy.spec.parse(spec) as Spec<'policy'> };
}

describe("Osier's own documents", () => {
  it('mean in the model what the compiler of the agents takes them to mean', () => {
    let denied = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const r = randomOf(seed);
      const policies = Array.from({ length: r.int(6) }, (_, i) => policyOf(r, i));
      const endpoints = Array.from({ length: 4 }, (_, i) => ({
        path: `acme/shop/staging/e${i}`, environment: 'acme/shop/staging',
        spec: kinds.endpoint.spec.parse({ network: r.chance(90) ? 'main' : 'other', node: 'n', tags: Object.fromEntries(r.some(keys, 60).map((key) => [key, r.pick(values)])), attachment: { containerId: 'c' } }) as Spec<'endpoint'>,
      }));
      const parties = endpoints.map(osierParty);
      const index = indexWorld({ scopes: [], nodes: [], parties, policies: policies.map((policy) => osierPolicy({ ...policy, environment: 'acme/shop/staging' })) });
      for (let asked = 0; asked < 20; asked++) {
        const [a, b] = [r.int(4), (r.int(3) + 1)];
        const to = (a + b) % 4;
        const protocol = r.pick(['TCP', 'UDP', 'SCTP', 'ICMP'] as const);
        const port = r.pick(ports);
        const side = (i: number) => ({ path: endpoints[i]?.path ?? '', network: endpoints[i]?.spec.network ?? '', environment: 'acme/shop/staging', tags: endpoints[i]?.spec.tags ?? {} });
        const theirs = verdict(policies, side(a), side(to), protocolNumbers[protocol], port);
        const ours = decide(index, { from: parties[a] as (typeof parties)[number], to: parties[to] as (typeof parties)[number], protocol, port, family: undefined });
        const last = theirs.decisions.at(-1);
        expect({ seed, asked, verdict: ours.verdict }).toEqual({ seed, asked, verdict: theirs.verdict === 'allowed' ? 'Allow' : 'Deny' });
        if (ours.verdict === 'Deny') denied++;
        if (last !== undefined && theirs.verdict === 'denied') expect({ seed, asked, policy: ours.policy, rule: ours.rule }).toEqual({ seed, asked, policy: last.policyPath, rule: last.name });
      }
    }
    expect(denied).toBeGreaterThan(1000);
  });
});
