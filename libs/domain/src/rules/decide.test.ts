import { describe, expect, it } from '@jest/globals';
import { parseAddress, parseBlock } from '../net/address.ts';
import { decide, Undecidable } from './decide.ts';
import { type IndexedWorld, indexWorld, sideOfAddress } from './index-world.ts';
import type { Opaque, Outside, Party, PartySelector, Policy, Rule, World } from './model.ts';

const everybody: PartySelector = { type: 'parties', scopeTags: [], tags: [] };
const party = (name: string, tags: Record<string, string>, more: Partial<Party> = {}): Party => ({ type: 'party', name, scope: name.split('/')[0] ?? '', tags, addresses: [], ports: [], ...more });
const rule = (action: Rule['action'], more: Partial<Rule> = {}): Rule => ({ name: `${action}`, action, peers: undefined, ports: undefined, ...more });
const policy = (name: string, more: Partial<Policy>): Policy => ({ tier: 'Admin', priority: 0, kind: 'policy', name, subject: everybody, ingress: [], egress: [], isolates: [], ...more });
const [web, db] = [party('x/web', { app: 'web', env: 'staging' }), party('y/db', { app: 'db', env: 'staging' })];
const world = (policies: Policy[], more: Partial<World> = {}): IndexedWorld => indexWorld({ scopes: [], parties: [web, db], nodes: [], policies, ...more });
const far: Outside = { type: 'outside', name: '203.0.113.7', addresses: [parseAddress('203.0.113.7') as Outside['addresses'][number]] };
const ask = (index: IndexedWorld, from: Party | Outside = web, to: Party | Outside = db) => decide(index, { from, to, protocol: 'TCP', port: 80, family: undefined });

describe('one decision', () => {
  it('names the first side that denies, else the last that a rule decided', () => {
    const both = world([policy('out', { egress: [rule('Deny')] }), policy('in', { ingress: [rule('Deny')] })]);
    expect(ask(both)).toMatchObject({ verdict: 'Deny', policy: 'out', egress: { policy: 'out' }, ingress: { policy: 'in' } });
    const out = world([policy('out', { egress: [rule('Allow')] })]);
    expect(ask(out)).toMatchObject({ verdict: 'Allow', policy: 'out', ingress: { tier: 'Default', policy: null } });
  });
  it('of tiers in their order: Admin, Project, NetworkPolicy, Baseline', () => {
    const tiers = ['Baseline', 'NetworkPolicy', 'Project', 'Admin'] as const;
    const policies = tiers.map((tier) => policy(tier, { tier, ingress: [rule('Deny')] }));
    const deciding = tiers.map((_, i) => ask(world(policies.slice(0, i + 1))).tier);
    expect(deciding).toEqual(['Baseline', 'NetworkPolicy', 'Project', 'Admin']);
  });
  it('in the tier Project Deny comes before Allow at equal priority, whatever the policy', () => {
    const a = policy('a', { tier: 'Project', ingress: [rule('Allow')] });
    const b = policy('b', { tier: 'Project', ingress: [rule('Deny')] });
    expect(ask(world([a, b]))).toMatchObject({ verdict: 'Deny', policy: 'b' });
    expect(ask(world([{ ...a, tier: 'Admin' }, { ...b, tier: 'Admin' }]))).toMatchObject({ verdict: 'Allow', policy: 'a' });
    expect(ask(world([a, { ...b, priority: 1 }]))).toMatchObject({ verdict: 'Allow', policy: 'a' });
  });
  it('a Pass in the last tier leaves it to the default', () => {
    expect(ask(world([policy('p', { tier: 'Baseline', ingress: [rule('Pass'), rule('Deny')] })]))).toMatchObject({ verdict: 'Allow', tier: 'Default' });
  });
  it('matches what is the same on both sides, for every value with one rule', () => {
    const same: PartySelector = { ...everybody, same: [{ of: 'party', key: 'env' }] };
    const isolated = [policy('env', { tier: 'Project', isolates: ['ingress'], ingress: [rule('Allow', { peers: [same] })] })];
    const production = party('x/prod', { env: 'production' });
    const none = party('x/none', {});
    const index = world(isolated, { parties: [web, db, production, none] });
    expect([ask(index).verdict, ask(index, production).verdict, ask(index, none).verdict, ask(index, none, party('y/none', {})).verdict]).toEqual(['Allow', 'Deny', 'Deny', 'Deny']);
    const scopes = { scopes: [{ name: 'x', tags: { team: 'a' } }, { name: 'y', tags: { team: 'b' } }] };
    const team = [policy('team', { tier: 'Project', isolates: ['ingress'], ingress: [rule('Allow', { peers: [{ ...everybody, same: [{ of: 'scope', key: 'team' }] }] })] })];
    expect(ask(world(team, scopes)).verdict).toBe('Deny');
    expect(ask(world(team, { scopes: scopes.scopes.map((s) => ({ ...s, tags: { team: 'a' } })) })).verdict).toBe('Allow');
  });
  it('matches a group by the names and by the addresses that are in it', () => {
    const group = (parties: string[], block: string): IndexedWorld => world([policy('g', {
      tier: 'Project', isolates: ['ingress', 'egress'], ...Object.fromEntries((['ingress', 'egress'] as const).map((d) => [d, [rule('Allow', { peers: [{ type: 'group', name: 'g', parties: new Set(parties), blocks: [parseBlock(block)?.block as NonNullable<ReturnType<typeof parseBlock>>['block']] }] })]])),
    })]);
    expect(ask(group(['x/web', 'y/db'], '10.0.0.0/8')).verdict).toBe('Allow');
    expect(ask(group(['x/web'], '10.0.0.0/8'))).toMatchObject({ verdict: 'Deny', egress: { verdict: 'Deny' }, ingress: { verdict: 'Allow' } });
    expect(ask(group([], '203.0.113.0/29'), web, far).verdict).toBe('Allow');
    expect(ask(group([], '203.0.113.8/29'), web, far).verdict).toBe('Deny');
  });
  it('parties of different segments never reach each other', () => {
    const segment = (environment: string, network: string): Pick<Party, 'segment'> => ({ segment: [{ name: environment, why: 'unreachable' }, { name: `${environment}/${network}`, why: 'no-connection' }] });
    const at = (environment: string, network: string): Party => party(`${environment}/${network}`, {}, segment(environment, network));
    const open = world([policy('open', { ingress: [rule('Allow')], egress: [rule('Allow')] })]);
    expect(ask(open, at('a', 'main'), at('b', 'main'))).toMatchObject({ verdict: 'Deny', tier: 'Network', rule: 'unreachable' });
    expect(ask(open, at('a', 'main'), at('a', 'other'))).toMatchObject({ verdict: 'Deny', tier: 'Network', rule: 'no-connection' });
    expect(ask(open, at('a', 'main'), at('a', 'main')).verdict).toBe('Allow');
  });
});

describe('an address', () => {
  const address = parseAddress('10.0.0.7') as Outside['addresses'][number];
  it('is the pod that has it, not one that runs no more; of a node, the node', () => {
    const old = party('x/old', {}, { addresses: [address], ended: true });
    const now = party('x/now', {}, { addresses: [address] });
    const node = { name: 'n', tags: {}, addresses: [address] };
    expect(sideOfAddress(world([], { parties: [now, old] }), 'a', address)).toBe(now);
    expect(sideOfAddress(world([], { parties: [old] }), 'a', address)).toMatchObject({ type: 'outside' });
    expect(sideOfAddress(world([], { parties: [now], nodes: [node] }), 'a', address)).toMatchObject({ type: 'outside', node: { name: 'n' } });
  });
});

describe('what cannot be evaluated', () => {
  const names: Opaque = { type: 'opaque', field: 'spec.egress[0].to[0].domainNames', why: 'it is by name', among: 'outside' };
  const named = (more: Partial<Rule> = {}): Policy => policy('names', { egress: [rule('Allow', { peers: [names], ...more }), rule('Deny')] });

  it('is refused with its field where the decision depends on it', () => {
    expect(() => ask(world([named()]), web, far)).toThrow(Undecidable);
    expect(() => ask(world([named()]), web, far)).toThrow('policy names, spec.egress[0].to[0].domainNames: it is by name');
  });
  it('is passed over where it cannot matter: between parties, on other ports, beside a peer that matches, behind a rule that decides', () => {
    expect(ask(world([named()])).verdict).toBe('Deny');
    expect(ask(world([named({ ports: [{ protocol: 'TCP', first: 81, last: 81 }] })]), web, far).verdict).toBe('Deny');
    const all = parseAddress('203.0.113.7') as Outside['addresses'][number];
    expect(ask(world([named({ peers: [names, { type: 'block', block: { ...all, length: 32 }, except: [] }] })]), web, far).verdict).toBe('Allow');
    expect(ask(world([policy('a', { egress: [rule('Deny')] }), named()]), web, far).verdict).toBe('Deny');
  });
  it('a subject that cannot be evaluated is refused only where a rule of it would match', () => {
    const doubtful = policy('doubtful', { subject: { ...names, field: 'spec.subject', among: everybody }, ingress: [rule('Deny', { ports: [{ protocol: 'UDP' }] })] });
    expect(ask(world([doubtful])).verdict).toBe('Allow');
    expect(() => decide(world([doubtful]), { from: web, to: db, protocol: 'UDP', port: 1, family: undefined })).toThrow('spec.subject');
  });
  const ofStaging: PartySelector = { ...everybody, tags: [{ key: 'env', operator: 'In', values: ['staging'] }] };
  const ofProduction: PartySelector = { ...everybody, tags: [{ key: 'env', operator: 'In', values: ['production'] }] };
  const node = { name: 'n', tags: {}, addresses: [] };
  const hosted = party('x/hosted', { env: 'staging' }, { host: true, node: 'n' });
  it.each<[string, Opaque['among'], Party | Outside, boolean]>([
    ['parties, asked of one that the rest of the selector selects', ofStaging, db, true], ['parties, asked of one that the rest of it does not select', ofProduction, db, false],
    ['parties, asked of an address', everybody, far, false], ['parties, asked of a node', everybody, { ...far, node }, false], ['parties, asked of one in the network of its node', everybody, hosted, false],
    ['nodes, asked of a party', 'nodes', db, false], ['nodes, asked of an address', 'nodes', far, false], ['nodes, asked of a node', 'nodes', { ...far, node }, true], ['nodes, asked of one in the network of its node', 'nodes', hosted, true],
    ['names, asked of a party', 'outside', db, false], ['names, asked of an address', 'outside', far, true],
  ])('could be %s', (_what, among, to, depends) => {
    const index = world([policy('doubtful', { egress: [rule('Deny', { peers: [{ ...names, among }] })] })], { nodes: [node], parties: [web, db, hosted] });
    if (depends) expect(() => ask(index, web, to)).toThrow(Undecidable);
    else expect(ask(index, web, to).verdict).toBe('Allow');
  });
  it.each([[ofStaging, true], [ofProduction, false]])('could be of those that the rest of the subject selects', (among, depends) => {
    const index = world([policy('doubtful', { subject: { ...names, among }, egress: [rule('Deny')] })]);
    if (depends) expect(() => ask(index)).toThrow(Undecidable);
    else expect(ask(index).verdict).toBe('Allow');
  });
});

describe('a party whose address is not known', () => {
  const block = (length: number, except: { family: 4; bytes: number[]; length: number }[] = []): Policy => policy('block', {
    tier: 'NetworkPolicy', isolates: ['ingress'], ingress: [rule('Allow', { peers: [{ type: 'block', block: { family: 4, bytes: [0, 0, 0, 0], length }, except }] })],
  });
  it('is matched by what matches every address, and by no less', () => {
    expect(ask(world([block(0)])).verdict).toBe('Allow');
    expect(ask(world([block(1)])).verdict).toBe('Deny');
    expect(ask(world([block(0, [{ family: 4, bytes: [10, 0, 0, 0], length: 8 }])])).verdict).toBe('Deny');
    expect(decide(world([block(0)]), { from: web, to: db, protocol: 'TCP', port: 80, family: 6 }).verdict).toBe('Deny');
  });
});

describe('the sentence', () => {
  it('says what was decided, by which rule of which policy, in words', () => {
    const isolated = policy('y/db', { tier: 'NetworkPolicy', kind: 'NetworkPolicy', isolates: ['ingress'] });
    expect(ask(world([isolated])).reason).toBe('The ingress of y/db is isolated by NetworkPolicy y/db, and no rule lets in TCP 80 from x/web.');
    const ports = [{ protocol: 'TCP', first: 443, last: 443 }, { protocol: 'UDP', first: 100, last: 102 }, { protocol: 'TCP', name: 'http' }, { name: 'x' }];
    expect(ask(world([{ ...isolated, ingress: [rule('Allow', { name: 'ingress[0]', ports })] }])).reason)
      .toBe('The ingress of y/db is isolated by NetworkPolicy y/db, and no rule lets in TCP 80 from x/web; rule ingress[0] of NetworkPolicy y/db lets in TCP 443, UDP 100-102, TCP http and 1 more.');
    expect(ask(world([isolated, { ...isolated, name: 'y/other' }])).reason).toContain('by NetworkPolicy y/db (and by 1 more)');
    expect(ask(world([policy('a', { egress: [rule('Deny', { name: 'no-db' })] })])).reason).toBe('Rule no-db of policy a denies the egress of x/web to y/db on TCP 80.');
    expect(ask(world([policy('p', { ingress: [rule('Pass', { name: 'to-teams' })] }), isolated])).reason).toContain('from x/web. Rule to-teams of policy p left it to the tiers after its own.');
    expect(ask(world([]), web, web).reason).toBe('x/web always reaches itself: no policy applies to what does not leave it.');
  });
});
