import { describe, expect, it } from '@jest/globals';
import { admin, app, type Manifest, netpol, node, pod, worldIn } from '../../test/reach/small.ts';
import { readAssertions } from './assertions.ts';
import { checker, type Outcome, toChange } from './check.ts';

function check(written: Manifest, ...objects: Manifest[]): Outcome {
  const index = worldIn(...objects);
  const { assertions, problems } = readAssertions({ assertions: [{ name: 'it', ...written }] }, 'kubernetes');
  expect(problems).toEqual([]);
  const [assertion] = assertions;
  if (assertion === undefined) throw new Error('no assertion');
  return checker(index, assertions)(assertion);
}
/** `holds`, or the packet that shows it does not. */
function said(outcome: Outcome): string {
  if (outcome.result === 'fails') {
    const { from, to, protocol, port, family, expected } = outcome.counterexample;
    return `${from} ${to} ${protocol} ${port} IPv${family} should ${expected}`;
  }
  return outcome.result === 'holds' ? `holds for ${outcome.pairs}${outcome.exempt > 0 ? `, ${outcome.exempt} exempt` : ''}` : `${outcome.result}: ${outcome.reason}`;
}

const shop = [pod('shop/web'), pod('shop/db'), pod('shop/api'), pod('test/web')];
const fromApi = (more: Manifest = {}): Manifest => netpol('shop/db', app('db'), { ingress: [{ from: [{ podSelector: app('api') }], ...more }] });
const db = { namespace: 'shop', labels: { app: 'db' } };
const api = { namespace: 'shop', labels: { app: 'api' } };

describe('deny', () => {
  const never = { from: { namespace: 'test' }, to: { namespace: 'shop' }, expect: 'deny' };
  it.each<[string, Manifest[], string]>([
    ['holds where nothing passes', [netpol('shop/closed', {}, { ingress: [] })], 'holds for 3'],
    ['fails where no rule mentions any port', [], 'test/web shop/web TCP 443 IPv4 should deny'],
    ['fails for one pod that was forgotten', [netpol('shop/closed', app('web', 'db'), { ingress: [] })], 'test/web shop/api TCP 443 IPv4 should deny'],
    ['fails for one port, of one protocol', [netpol('shop/closed', {}, { ingress: [{ ports: [{ protocol: 'SCTP', port: 7000 }] }] })], 'test/web shop/web SCTP 7000 IPv4 should deny'],
    ['fails for ICMP, where only the others are denied', [admin('a', 1, { ingress: [{ action: 'Deny', from: [{ namespaces: {} }], ports: ['TCP', 'UDP', 'SCTP'].map((protocol) => ({ portRange: { protocol, start: 1, end: 65535 } })) }] })], 'test/web shop/web ICMP 2048 IPv4 should deny'],
    ['fails for what is beside a range that is denied', [admin('a', 1, { ingress: [{ action: 'Deny', from: [{ namespaces: {} }], ports: [{ portRange: { protocol: 'TCP', start: 2, end: 65535 } }] }] })], 'test/web shop/web TCP 1 IPv4 should deny'],
    ['fails behind the range', [admin('a', 1, { ingress: [{ action: 'Deny', from: [{ namespaces: {} }], ports: [{ portRange: { protocol: 'TCP', start: 1, end: 65534 } }] }] })], 'test/web shop/web TCP 65535 IPv4 should deny'],
  ])('%s', (_name, policies, expected) => expect(said(check(never, ...shop, ...policies))).toBe(expected));

  it('is about the named ports alone, where there are some', () => {
    const http = netpol('shop/http', {}, { ingress: [{ ports: [{ port: 80 }] }] });
    expect(said(check({ ...never, ports: ['TCP/1-79', 'TCP/81-65535', 'UDP'] }, ...shop, http))).toBe('holds for 3');
    expect(said(check({ ...never, ports: ['TCP/80'] }, ...shop, http))).toBe('test/web shop/web TCP 80 IPv4 should deny');
  });
  it('is about every family that both sides have', () => {
    const dual = [pod('a/x', { ips: ['10.0.0.1', 'fd00::1'] }), pod('b/y', { ips: ['10.0.0.2', 'fd00::2'] })];
    const six = netpol('b/six', {}, { ingress: [{ from: [{ ipBlock: { cidr: 'fd00::/8' } }] }] });
    expect(said(check({ from: { namespace: 'a' }, to: { namespace: 'b' }, expect: 'deny' }, ...dual, six))).toBe('a/x b/y TCP 443 IPv6 should deny');
  });
  it('asks the addresses outside, block by block', () => {
    const out = (cidr: string, ...except: string[]): Manifest => netpol('shop/out', {}, { policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr, except } }], ports: [{ port: 443 }] }] });
    const outside = { from: { namespace: 'shop' }, to: { outside: true }, expect: 'deny' };
    expect(said(check(outside, ...shop, out('203.0.113.0/24')))).toBe('shop/web ip:203.0.113.1 TCP 443 IPv4 should deny');
    expect(said(check({ ...outside, to: { ip: '198.51.100.7' } }, ...shop, out('0.0.0.0/0', '198.51.100.0/24')))).toBe('holds for 3');
    expect(said(check({ ...outside, to: { ip: '198.51.100.0/23' } }, ...shop, out('0.0.0.0/0', '198.51.100.0/24')))).toBe('shop/web ip:198.51.101.1 TCP 443 IPv4 should deny');
  });
});

describe('allow', () => {
  const wish = { from: api, to: db, ports: ['TCP/5432'], expect: 'allow' };
  it.each<[string, Manifest[], Manifest, string]>([
    ['holds where each pair passes', [fromApi()], {}, 'holds for 1'],
    ['fails where one port does not', [fromApi({ ports: [{ port: 5432 }] })], { ports: ['TCP/5432', 'TCP/5433'] }, 'shop/api shop/db TCP 5433 IPv4 should allow'],
    ['fails inside a range', [fromApi({ ports: [{ port: 5432, endPort: 5439 }] })], { ports: ['TCP/5432-5440'] }, 'shop/api shop/db TCP 5440 IPv4 should allow'],
    ['fails for one of several sources', [fromApi()], { from: { namespace: 'shop' } }, 'shop/web shop/db TCP 5432 IPv4 should allow'],
  ])('%s', (_name, policies, more, expected) => expect(said(check({ ...wish, ...more }, ...shop, ...policies))).toBe(expected));
});

describe('onlyFrom', () => {
  const only = { to: db, ports: ['TCP/5432'], onlyFrom: api };
  const strict = fromApi({ ports: [{ port: 5432 }] });
  it.each<[string, Manifest[], Manifest, string]>([
    ['holds where nobody else gets through, nor on another port', [strict], {}, 'holds for 5'],
    ['fails where these do not', [netpol('shop/db', app('db'), { ingress: [] })], {}, 'shop/api shop/db TCP 5432 IPv4 should allow'],
    ['fails where somebody else does, on whatever port', [strict, netpol('shop/metrics', app('db'), { ingress: [{ from: [{ podSelector: app('web') }], ports: [{ port: 9187 }] }] })], {}, 'shop/web shop/db TCP 9187 IPv4 should deny'],
    ['leaves other ports aside, if asked to', [strict, netpol('shop/metrics', app('db'), { ingress: [{ from: [{ podSelector: app('web') }], ports: [{ port: 9187 }] }] })], { otherPorts: 'ignored' }, 'holds for 5'],
    ['fails where these get through elsewhere', [fromApi()], {}, 'shop/api shop/db TCP 443 IPv4 should deny'],
    ['counts everybody outside', [strict, netpol('shop/office', app('db'), { ingress: [{ from: [{ ipBlock: { cidr: '198.51.100.0/24' } }] }] })], {}, 'ip:198.51.100.1 shop/db TCP 443 IPv4 should deny'],
    ['holds for nobody at all', [netpol('shop/db', app('db'), { ingress: [] })], { onlyFrom: [], ports: undefined }, 'holds for 5'],
    ['without ports: these on some port', [strict], { ports: undefined }, 'holds for 5'],
  ])('%s', (_name, policies, more, expected) => {
    const written = Object.fromEntries(Object.entries({ ...only, ...more }).filter(([, value]) => value !== undefined));
    expect(said(check(written, ...shop, ...policies))).toBe(expected);
  });

  it('holds the node of a pod against nobody: no NetworkPolicy could part them; another node counts', () => {
    const placed = [pod('shop/db', { ips: ['10.0.0.1'], node: 'n1' }), pod('shop/api', { ips: ['10.0.0.2'] }), node('n1', '192.168.0.1')];
    expect(said(check(only, ...placed, strict))).toBe('holds for 3, 1 exempt');
    const open = netpol('shop/nodes', app('db'), { ingress: [{ from: [{ ipBlock: { cidr: '192.168.0.0/24' } }] }] });
    expect(said(check(only, ...placed, node('n2', '192.168.0.2'), strict, open))).toMatch(/^ip:192\.168\.0\.\d+ shop\/db/);
  });
  it('has a mirror: onlyTo', () => {
    const out = netpol('shop/web', app('web'), { policyTypes: ['Egress'], egress: [{ to: [{ podSelector: app('api') }] }] });
    const written = { from: { namespace: 'shop', labels: { app: 'web' } }, onlyTo: api };
    expect(said(check(written, ...shop, out))).toBe('holds for 5');
    expect(said(check(written, ...shop))).toBe('shop/web shop/db TCP 443 IPv4 should deny');
  });
});

describe('an assertion about nobody', () => {
  const nobody = { from: { namespace: 'shpo' }, to: {}, expect: 'deny' };
  it('fails, and names the selector', () => expect(said(check(nobody, ...shop))).toBe('vacuous: from: {namespace: shpo} selects nobody, so this says nothing about the policies.'));
  it('holds where it says that there may be nobody', () => expect(said(check({ ...nobody, mayBeEmpty: true }, ...shop))).toBe('holds for 0'));
  it('fails also for one entry of a list', () => expect(said(check({ ...nobody, from: [api, { pod: 'wbe' }] }, ...shop))).toContain('vacuous: from[1]: {pod: wbe}'));
  it('fails where the only pair is somebody with himself', () => expect(said(check({ from: api, to: api, expect: 'deny' }, ...shop))).toContain('vacuous: there is no pair'));
});

describe('what cannot be evaluated', () => {
  const names = admin('names', 1, { egress: [{ action: 'Allow', to: [{ domainNames: ['example.com'] }] }] });
  it('is told, where no packet shows the assertion wrong anyway', () => {
    expect(said(check({ from: { namespace: 'test' }, to: { outside: true }, expect: 'deny' }, ...shop, names))).toContain('undecidable: AdminNetworkPolicy names');
    expect(said(check({ from: { namespace: 'test' }, to: [{ outside: true }, { namespace: 'shop' }], expect: 'deny' }, ...shop, names))).toBe('test/web shop/web TCP 443 IPv4 should deny');
  });
});

describe('whose rule to change', () => {
  const change = (outcome: Outcome): string[] => (outcome.result === 'fails' ? toChange(outcome.counterexample) : []);
  it('of a packet that passes: the rules of either side, or a policy that is missing', () => {
    expect(change(check({ from: api, to: db, expect: 'deny' }, ...shop, fromApi()))).toEqual(['rule ingress[0] of NetworkPolicy shop/db', 'add a policy that isolates the egress of the source']);
  });
  it('of one that is denied: those that deny, on both sides', () => {
    const closed = netpol('shop/closed', {}, { policyTypes: ['Egress'] });
    const denied = admin('a', 1, { ingress: [{ name: 'no', action: 'Deny', from: [{ namespaces: {} }] }] });
    expect(change(check({ from: api, to: db, ports: ['TCP/1'], expect: 'allow' }, ...shop, closed, denied))).toEqual(['add a rule to NetworkPolicy shop/closed', 'rule no of AdminNetworkPolicy a']);
  });
});
