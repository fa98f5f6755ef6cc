import { describe, expect, it } from '@jest/globals';
import { admin, app, type Manifest, netpol, pod, worldIn } from '../../test/reach/small.ts';
import { findings } from './findings.ts';

const shop = [pod('shop/web'), pod('shop/db', { ports: [{ name: 'db', containerPort: 5432 }] }), pod('test/web')];
const told = (...policies: Manifest[]): string[] => findings(worldIn(...shop, ...policies)).map(({ finding, policy, rule, by }) => `${finding} ${policy} ${rule ?? '*'}${by.length === 0 ? '' : ` by ${by.join(', ')}`}`).sort();
const db = (...ingress: Manifest[]): Manifest => netpol('shop/db', app('db'), { ingress });
const fromWeb = { from: [{ podSelector: app('web') }] };
const everywhere = { namespaces: {} };

describe('a rule', () => {
  it.each<[string, Manifest[], string[]]>([
    ['that decides and counts is not mentioned', [db(fromWeb)], []],
    ['of a policy that selects nobody is dead with it', [netpol('shop/old', app('old'), { ingress: [fromWeb, fromWeb] })], ['dead shop/old *']],
    ['whose peers are nobody is dead', [db(fromWeb, { from: [{ podSelector: app('wbe') }] })], ['dead shop/db ingress[1]']],
    ['for a named port that nobody has is dead', [db(fromWeb, { ports: [{ port: 'dbb' }] })], ['dead shop/db ingress[1]']],
    ['for a named port that its destination has is not', [db({ ports: [{ port: 'db' }] })], []],
    ['for replicas of a pod that is alone now is not dead', [db({ from: [{ podSelector: app('db') }] })], []],
    ['behind one that takes all of it is unreachable', [db(fromWeb, { ...fromWeb, ports: [{ port: 5432 }] })], ['unreachable shop/db ingress[1] by rule ingress[0] of NetworkPolicy shop/db']],
    ['that stands twice is unreachable the second time, and needed the first', [db(fromWeb, fromWeb)], ['unreachable shop/db ingress[1] by rule ingress[0] of NetworkPolicy shop/db']],
    ['behind a tier that takes all of it is unreachable', [db(fromWeb), admin('a', 1, { ingress: [{ name: 'all', action: 'Allow', from: [everywhere] }] })], ['unreachable shop/db ingress[0] by rule all of AdminNetworkPolicy a']],
    ['behind two that together take all of it is unreachable', [admin('a', 1, { ingress: [
      { name: 'low', action: 'Deny', from: [everywhere], ports: [{ portRange: { protocol: 'TCP', start: 1, end: 99 } }] }, { name: 'high', action: 'Allow', from: [everywhere], ports: [{ portRange: { protocol: 'TCP', start: 100, end: 65535 } }] },
      { name: 'some', action: 'Deny', from: [everywhere], ports: [{ portRange: { protocol: 'TCP', start: 90, end: 110 } }] }] })], ['unreachable a some by rule low of AdminNetworkPolicy a, rule high of AdminNetworkPolicy a']],
    ['behind one that takes some of it is not', [db({ ...fromWeb, ports: [{ port: 5432, endPort: 5440 }] }, { ...fromWeb, ports: [{ port: 5440, endPort: 5441 }] })], []],
    ['that allows what nobody would deny is redundant', [admin('a', 1, { ingress: [{ name: 'yes', action: 'Allow', from: [everywhere] }] })], ['redundant a yes by no policy']],
    ['that passes on what nobody decides is redundant', [admin('a', 1, { ingress: [{ name: 'pass', action: 'Pass', from: [everywhere] }] })], ['redundant a pass by no policy']],
    ['that passes on what would be denied is not', [admin('a', 1, { ingress: [{ name: 'pass', action: 'Pass', from: [everywhere] }, { name: 'no', action: 'Deny', from: [everywhere, { namespaces: { matchLabels: { x: 'y' } } }] }] })], ['unreachable a no by rule pass of AdminNetworkPolicy a']],
    ['without which there would be no isolation is needed', [netpol('shop/web', app('web'), { egress: [{ to: [{ podSelector: app('none') }] }] })], []],
    ['that lets in what the other side keeps in is redundant', [db(fromWeb), netpol('shop/web', app('web'), { policyTypes: ['Egress'] })], ['redundant shop/db ingress[0] by the isolation of NetworkPolicy shop/db']],
  ])('%s', (_name, policies, expected) => expect(told(...policies)).toEqual(expected));

  it('beside what cannot be evaluated is not spoken of', () => {
    expect(told(admin('names', 1, { egress: [{ name: 'names', action: 'Allow', to: [{ domainNames: ['example.com'] }] }, { name: 'rest', action: 'Allow', to: [{ networks: ['0.0.0.0/0', '::/0'] }] }] }))).toEqual([]);
  });
});
