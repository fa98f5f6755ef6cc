import { describe, expect, it } from '@jest/globals';
import type { Spec } from '@osier/contracts/kinds';
import type { PeerSpec, PortSpec } from '@osier/contracts/policy';
import { expectRefusal } from '../../test/documents.ts';
import { policyProblem } from './validate.ts';

const policy = (more: Partial<Spec<'policy'>>): Spec<'policy'> => ({ appliesTo: {}, priority: 1000, ...more });
const ports = (...these: PortSpec[]): Partial<Spec<'policy'>> => ({ ingress: [{ ...rule(), ports: these }] });
const peers = (...these: PeerSpec[]): Partial<Spec<'policy'>> => ({ ingress: [{ ...rule(), from: these }] });
const rule = (name?: string) => ({ action: 'Allow' as const, ...(name === undefined ? {} : { name }) });

describe('a policy', () => {
  it.each<[string, Partial<Spec<'policy'>>]>([
    ['without rules', {}], ['with unnamed rules', { ingress: [rule(), rule()] }], ['with one name in both directions', { ingress: [rule('a')], egress: [rule('a')] }],
    ['with ICMP', ports({ protocol: 'ICMP' }, { protocol: 'ICMP', type: 8 }, { protocol: 'ICMP', type: 3, code: 4 }, { protocol: 'TCP', port: 80 })],
    ['with ranges and names of ports', ports({ protocol: 'TCP', port: 80, endPort: 80 }, { protocol: 'UDP', portName: 'dns' }, { serviceGroup: 'web' })],
    ['with every way to name peers', peers({ endpoints: {} }, { matchSame: ['stage'] }, { endpoints: {}, matchSame: ['stage'] }, { endpointGroup: 'front' }, { addressGroup: 'offices' }, { cidr: '10.0.0.0/8', except: ['10.0.0.0/24'] })],
    ['that keeps connections', { liveConnections: 'keep' }], ['that drains them', { liveConnections: 'drain' }], ['that drains them for a time', { liveConnections: 'drain', drainSeconds: 5 }],
  ])('%s is fine', (_what, more) => expect(policyProblem('policy', policy(more))).toBeUndefined());

  it.each<[string, string, Partial<Spec<'policy'>>]>([
    ['duplicate', 'spec.isolates', { isolates: ['ingress', 'ingress'] }],
    ['duplicate-rule-name', 'spec.ingress[2].name', { ingress: [rule('a'), rule('b'), rule('a')] }],
    ['duplicate-rule-name', 'spec.egress[1].name', { egress: [rule('a'), rule('a')] }],
    ['port-without-meaning', 'spec.egress[0].ports[1].port', { egress: [{ ...rule(), ports: [{ protocol: 'TCP', port: 1 }, { protocol: 'ICMP', port: 8 }] }] }],
    ['port-without-meaning', 'spec.ingress[0].ports[0].portName', ports({ protocol: 'ICMP', portName: 'web' })],
    ['missing-field', 'spec.ingress[0].ports[0].protocol', ports({ port: 80 })],
    ['missing-field', 'spec.ingress[0].ports[0].port', ports({ protocol: 'TCP', endPort: 80 })],
    ['missing-field', 'spec.ingress[0].ports[0].type', ports({ protocol: 'ICMP', code: 4 })],
    ['out-of-range', 'spec.ingress[0].ports[0].endPort', ports({ protocol: 'TCP', port: 81, endPort: 80 })],
    ['field-without-meaning', 'spec.ingress[0].ports[0].type', ports({ protocol: 'TCP', type: 8 })],
    ['field-without-meaning', 'spec.ingress[0].ports[1].port', ports({ protocol: 'TCP' }, { serviceGroup: 'web', port: 80 })],
    ['ambiguous', 'spec.ingress[0].ports[0].portName', ports({ protocol: 'TCP', port: 80, portName: 'web' })],
    ['missing-field', 'spec.ingress[0].from[0]', peers({})],
    ['ambiguous', 'spec.ingress[0].from[1]', peers({ endpoints: {} }, { endpoints: {}, cidr: '10.0.0.0/8' })],
    ['field-without-meaning', 'spec.ingress[0].from[0].except', peers({ endpoints: {}, except: ['10.0.0.0/8'] })],
    ['field-without-meaning', 'spec.drainSeconds', { drainSeconds: 60 }],
    ['field-without-meaning', 'spec.drainSeconds', { liveConnections: 'cut', drainSeconds: 60 }],
    ['field-without-meaning', 'spec.drainSeconds', { liveConnections: 'keep', drainSeconds: 60 }],
  ])('is refused: %s at %s', (code, path, more) => expectRefusal(policyProblem('policy', policy(more)), code, path));

  it('of a wider scope than a project names no groups, which belong to one', () => {
    const wide = (from: PeerSpec) => ({ tier: 'Admin' as const, appliesTo: {}, priority: 1, ingress: [{ ...rule(), from: [from] }] });
    expect(policyProblem('project-policy', wide({ addressGroup: 'offices' }))).toBeUndefined();
    for (const kind of ['domain-policy', 'platform-policy'] as const) expectRefusal(policyProblem(kind, wide({ addressGroup: 'offices' })), 'group-out-of-scope', 'spec.ingress[0].from[0].addressGroup');
  });
});
