import { describe, expect, it } from '@jest/globals';
import { policy, policyOfKind } from '../../test/policies.ts';
import { groupsNamed } from './groups.ts';
import { isWithin, osierPolicy } from './osier.ts';

const everywhere = ['acme/shop/staging', 'acme/shop/production', 'acme/till/staging', 'other/shop/staging'];

describe("a policy of Osier's own", () => {
  it.each<[string, Parameters<typeof isWithin>[0], string[]]>([
    ['an environment', policy('p', {}), ['acme/shop/staging']],
    ['a project', policyOfKind('project-policy', 'p', { tier: 'Admin', appliesTo: {} }), ['acme/shop/staging', 'acme/shop/production']],
    ['a domain', policyOfKind('domain-policy', 'p', { tier: 'Admin', appliesTo: {} }), ['acme/shop/staging', 'acme/shop/production', 'acme/till/staging']],
    ['the platform', policyOfKind('platform-policy', 'p', { tier: 'Admin', appliesTo: {} }), everywhere],
    ['environments of one name in a domain', policyOfKind('domain-policy', 'p', { tier: 'Admin', appliesTo: {}, scope: { environments: ['staging'] } }), ['acme/shop/staging', 'acme/till/staging']],
    ['projects of one name on the platform', policyOfKind('platform-policy', 'p', { tier: 'Admin', appliesTo: {}, scope: { projects: ['shop'], environments: ['staging'] } }), ['acme/shop/staging', 'other/shop/staging']],
    ['another domain', policyOfKind('platform-policy', 'p', { tier: 'Admin', appliesTo: {}, scope: { domains: ['other'] } }), ['other/shop/staging']],
  ])('counts in the environments of its scope and in no other: %s', (_scope, document, expected) => {
    expect(everywhere.filter((environment) => isWithin(document, environment))).toEqual(expected);
  });

  it('is of the tier of its scope', () => {
    const tiers = (['platform-policy', 'domain-policy', 'project-policy'] as const).flatMap((kind) => ['Admin', 'Baseline'].map((tier) => osierPolicy(policyOfKind(kind, 'p', { tier, appliesTo: {} })).tier));
    expect([...tiers, osierPolicy(policy('p', {})).tier]).toEqual(['Admin', 'Baseline', 'DomainAdmin', 'DomainBaseline', 'ProjectAdmin', 'ProjectBaseline', 'Project']);
  });

  it('names its groups where it names them', () => {
    const { spec } = policy('p', { ingress: [{ action: 'Allow', from: [{ endpoints: {} }, { endpointGroup: 'front' }], ports: [{ serviceGroup: 'web' }] }], egress: [{ action: 'Deny', to: [{ addressGroup: 'offices' }] }] });
    expect(groupsNamed(spec).map(({ kind, name, field }) => `${kind} ${name} ${field}`)).toEqual([
      'endpoint-group front spec.ingress[0].from[1].endpointGroup', 'service-group web spec.ingress[0].ports[0].serviceGroup', 'address-group offices spec.egress[0].to[0].addressGroup',
    ]);
  });
});
