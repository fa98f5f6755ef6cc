import { describe, expect, it } from '@jest/globals';
import { admin, app, type Manifest, netpol, node, pod, worldIn } from '../../test/reach/small.ts';
import { osierParty, osierPolicy } from '../rules/osier.ts';
import { indexWorld } from '../rules/index-world.ts';
import { allPairs } from './alike.ts';
import { compare } from './compare.ts';
import { portsText } from './ports.ts';

const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP'];
/** `opens shop/web>shop/db TCP/5432 now NetworkPolicy shop/db ingress[0]`; `outside` of one family is enough to be told. */
function told(before: Manifest[], after: Manifest[], all = false): string[] {
  return compare(worldIn(...before), worldIn(...after)).changes.flatMap(({ effect, pairs, ports, cause, count }) => {
    const named = pairs.flatMap((one) => [...allPairs(one)]).map(([a, b]) => `${a.name}>${b.name}`);
    expect(named.length).toBe(count);
    const shown = named.filter((text) => all || !text.includes('ip:')).sort();
    const why = !('rule' in cause) ? cause.type : `${cause.type} ${cause.kind} ${cause.policy} ${cause.rule}`;
    return shown.length === 0 ? [] : [`${effect} ${shown.join(' ')} ${portsText(ports, protocols)} ${why}`];
  }).sort();
}

const shop = [pod('shop/web'), pod('shop/db'), pod('test/web')];
const db = (...ingress: Manifest[]): Manifest => netpol('shop/db', app('db'), { ingress });
const fromWeb = { from: [{ podSelector: app('web') }] };

describe('a change', () => {
  it.each<[string, Manifest[], Manifest[], string[]]>([
    ['that says the same in other words changes nothing', [db(fromWeb)], [db({ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } }, podSelector: app('web') }] })], []],
    ['that isolates closes what nobody decided', [], [db(fromWeb)], ['closes test/web>shop/db every port now NetworkPolicy shop/db default-deny']],
    ['that goes opens it again', [db(fromWeb)], [], ['opens test/web>shop/db every port no-longer NetworkPolicy shop/db default-deny']],
    ['of one port closes the others', [db(fromWeb)], [db({ ...fromWeb, ports: [{ port: 5432 }] })], ['closes shop/web>shop/db every port but TCP/5432 now NetworkPolicy shop/db default-deny']],
    ['of a range opens both its ends, and no more', [db()], [db({ ...fromWeb, ports: [{ port: 80, endPort: 89 }] })], ['opens shop/web>shop/db TCP/80-89 now NetworkPolicy shop/db ingress[0]']],
    ['of ports opens some and closes others', [db({ ...fromWeb, ports: [{ port: 1 }] })], [db({ ...fromWeb, ports: [{ port: 2 }] })], ['closes shop/web>shop/db TCP/1 now NetworkPolicy shop/db default-deny', 'opens shop/web>shop/db TCP/2 now NetworkPolicy shop/db ingress[0]']],
    ['of who decides, and not what, is none', [db(fromWeb)], [db(fromWeb), netpol('shop/also', app('db'), { ingress: [fromWeb] })], []],
    ['of egress is told by the rule of egress', [netpol('shop/out', app('web'), { policyTypes: ['Egress'] }), db(fromWeb)], [netpol('shop/out', app('web'), { egress: [{}] }), db(fromWeb)], ['closes shop/db>shop/web test/web>shop/web every port now NetworkPolicy shop/out default-deny', 'opens shop/web>shop/db shop/web>test/web every port now NetworkPolicy shop/out egress[0]']],
    ['of a tier before it is told by that tier', [db(fromWeb)], [db(fromWeb), admin('a', 1, { ingress: [{ name: 'no-sctp', action: 'Deny', from: [{ namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } } }], ports: [{ portNumber: { protocol: 'SCTP', port: 9 } }] }] })], ['closes shop/db>shop/web shop/db>test/web shop/web>shop/db shop/web>test/web SCTP/9 now AdminNetworkPolicy a no-sctp']],
  ])('%s', (_name, before, after, expected) => {
    expect(told([...shop, ...before], [...shop, ...after])).toEqual(expected);
  });

  it('of a label changes who is selected', () => {
    const labelled = [pod('shop/web', { labels: { app: 'other' } }), pod('shop/db'), pod('test/web')];
    expect(told([...shop, db(fromWeb)], [...labelled, db(fromWeb)])).toEqual(['closes shop/web>shop/db every port now NetworkPolicy shop/db default-deny']);
  });
  it('brings pods and takes them', () => {
    expect(told([pod('a/x'), pod('a/y')], [pod('a/x'), pod('a/z')]).filter((text) => text.includes('a/x>'))).toEqual(['closes a/x>a/y a/y>a/x every port gone', 'opens a/x>a/z a/z>a/x every port new']);
  });
  it('for addresses outside is told block by block', () => {
    const out = (...except: string[]): Manifest => netpol('a/out', {}, { policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except } }] }] });
    expect(told([pod('a/x'), out()], [pod('a/x'), out('10.1.0.0/16')], true)).toEqual(['closes a/x>ip:10.1.0.1 every port now NetworkPolicy a/out default-deny']);
  });
  it('of the node of a pod changes who may not be parted from it, though labels and policies are the same', () => {
    const on = (one: string, two: string): Manifest[] => [pod('a/x-1', { node: one, labels: { app: 'x' } }), pod('a/x-2', { node: two, labels: { app: 'x' } }), node('n1', '192.168.0.1'), node('n2', '192.168.0.2'), netpol('a/x', {}, { ingress: [] })];
    expect(told(on('n1', 'n1'), on('n1', 'n2'), true)).toEqual(['closes ip:192.168.0.1>a/x-2 every port now NetworkPolicy a/x default-deny', 'opens ip:192.168.0.2>a/x-2 every port no-longer NetworkPolicy a/x default-deny']);
  });
  it('names replicas once', () => {
    const many = [pod('shop/web-0'), pod('shop/web-1'), pod('shop/web-2'), pod('shop/db-0'), pod('shop/db-1')];
    const [change, ...others] = compare(worldIn(...many, db()), worldIn(...many, db({ ...fromWeb, ports: [{ port: 5432 }] }))).changes;
    expect([change?.count, change?.pairs.length, others]).toEqual([6, 1, []]);
  });
  it('of many sources and destinations is one line, also where each is among the others', () => {
    const named = ['a', 'b', 'c'].map((name) => pod(`x/${name}`));
    expect(told(named, [...named, netpol('x/closed', {}, { ingress: [] })])).toEqual(['closes x/a>x/b x/a>x/c x/b>x/a x/b>x/c x/c>x/a x/c>x/b every port now NetworkPolicy x/closed default-deny']);
  });
  it('does not decide what cannot be evaluated, and says how many pairs that are', () => {
    const names = admin('names', 1, { egress: [{ action: 'Deny', to: [{ domainNames: ['example.com'] }] }] });
    const bad = { ...names, spec: { ...(names['spec'] as Manifest), egress: [{ action: 'Allow', to: [{ domainNames: ['example.com'] }] }] } };
    const { undecided } = compare(worldIn(...shop), worldIn(...shop, bad));
    expect([...undecided]).toEqual([[expect.stringContaining('AdminNetworkPolicy names, spec.egress[0].to[0].domainNames'), 6]]);
  });
});

describe("Osier's own documents", () => {
  const endpoint = (environment: string, name: string): Parameters<typeof osierParty>[0] => ({ path: `${environment}/${name}`, environment, spec: { network: 'main', node: 'n', tags: { app: name }, attachment: { containerId: 'c', interface: 'eth0' } } });
  const index = (...policies: Parameters<typeof osierPolicy>[0][]): ReturnType<typeof indexWorld> => indexWorld({ scopes: [], nodes: [], policies: policies.map((one) => osierPolicy(one)), parties: [endpoint('d/p/a', 'web'), endpoint('d/p/a', 'db'), endpoint('d/p/b', 'web')].map(osierParty) });
  it('know no outside, and environments stay apart', () => {
    const { changes } = compare(index(), index({ kind: 'policy', path: 'd/p/a/db', domain: 'd', project: 'p', environment: 'a', spec: { appliesTo: { matchTags: { app: 'db' } }, priority: 100, ingress: [] } }));
    expect(changes.map(({ effect, count, ports, pairs }) => [effect, count, portsText(ports, protocols), pairs[0]?.sample.map(({ name }) => name)])).toEqual([['closes', 1, 'every port', ['d/p/a/web', 'd/p/a/db']]]);
  });
});
