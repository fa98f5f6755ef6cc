import { describe, expect, it } from '@jest/globals';
import type { Spec } from '@osier/contracts/kinds';
import { expectRefusal } from '../../test/documents.ts';
import { policyProblem } from './validate.ts';

const policy = (more: Partial<Spec<'policy'>>): Spec<'policy'> => ({ appliesTo: {}, priority: 1000, ...more });
const rule = (name?: string) => ({ action: 'Allow' as const, ...(name === undefined ? {} : { name }) });

describe('a policy', () => {
  it.each<[string, Partial<Spec<'policy'>>]>([
    ['without rules', {}], ['with unnamed rules', { ingress: [rule(), rule()] }], ['with one name in both directions', { ingress: [rule('a')], egress: [rule('a')] }],
    ['with ICMP', { ingress: [{ ...rule(), ports: [{ protocol: 'ICMP' }, { protocol: 'TCP', port: 80 }] }] }],
  ])('%s is fine', (_what, more) => expect(policyProblem(policy(more))).toBeUndefined());

  it.each<[string, string, Partial<Spec<'policy'>>]>([
    ['duplicate', 'spec.isolates', { isolates: ['ingress', 'ingress'] }],
    ['duplicate-rule-name', 'spec.ingress[2].name', { ingress: [rule('a'), rule('b'), rule('a')] }],
    ['duplicate-rule-name', 'spec.egress[1].name', { egress: [rule('a'), rule('a')] }],
    ['port-without-meaning', 'spec.egress[0].ports[1].port', { egress: [{ ...rule(), ports: [{ protocol: 'TCP', port: 1 }, { protocol: 'ICMP', port: 8 }] }] }],
  ])('is refused: %s at %s', (code, path, more) => expectRefusal(policyProblem(policy(more)), code, path));
});
