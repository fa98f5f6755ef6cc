import { describe, expect, it } from '@jest/globals';
import { digest, environment, lookUp, numberOf, oracle, party, policy, protocols, randomWorld } from '../../test/policies.ts';
import { compileEnvironment } from './environment.ts';
import { verdict } from './verdict.ts';

describe('a compiled program', () => {
  it('says in the kernel what the explanation says and what an oracle says, over random worlds', () => {
    let asked = 0;
    const mismatches: string[] = [];
    for (let seed = 1; seed <= 400; seed++) {
      const { policies, parties } = randomWorld(seed);
      const all = parties.map((p) => p.tags);
      const compiled = compileEnvironment(environment, policies, all, all, digest);
      for (const from of parties) for (const to of parties) for (const protocol of protocols) for (const port of [80, 5432, 9]) {
        const n = numberOf[protocol];
        const out = lookUp(compiled.programOf(from.tags).entries, 'egress', compiled.identityOf(to.tags).digest, n, port);
        const into = lookUp(compiled.programOf(to.tags).entries, 'ingress', compiled.identityOf(from.tags).digest, n, port);
        const [expectedOut, expectedIn] = [oracle(policies, from.tags, to.tags, 'egress', protocol, port), oracle(policies, to.tags, from.tags, 'ingress', protocol, port)];
        asked++;
        const said = verdict(policies, from, to, n, port);
        const kernel = out?.action === 'Allow' && into?.action === 'Allow' ? 'allowed' : 'denied';
        const same = from.network === to.network;
        const first = said.decisions[0];
        const wrong = [
          out?.action !== expectedOut.action || into?.action !== expectedIn.action ? 'entries differ from the oracle' : '',
          said.verdict !== (same ? kernel : 'denied') || (said.reason === 'no_connection') === same ? 'explanation differs from entries' : '',
          same && (first?.policyId !== out?.rule.split('/')[0] || (first?.index !== 0xffff && `${first?.policyId}#${first?.index}` !== expectedOut.rule)) ? 'another rule is named' : '',
          (out?.rule.includes('/65535/') ?? false) !== expectedOut.rule.endsWith('#default') ? 'default taken for a rule' : '',
        ].filter((text) => text !== '');
        if (wrong.length > 0) mismatches.push(`seed ${seed} ${from.path}→${to.path} ${protocol}/${port}: ${wrong.join(', ')}`);
      }
    }
    expect(mismatches).toEqual([]);
    expect(asked).toBeGreaterThan(40_000);
  });

  it('always ends in a default, so that the kernel never lacks an entry', () => {
    const { programOf, identityOf } = compileEnvironment(environment, [], [{}], [{}], digest);
    expect(programOf({}).entries).toEqual([
      { direction: 'egress', peer: undefined, region: { protocol: undefined, port: undefined }, action: 'Allow', precedence: 1, rule: '/egress/65535/Allow' },
      { direction: 'ingress', peer: undefined, region: { protocol: undefined, port: undefined }, action: 'Allow', precedence: 1, rule: '/ingress/65535/Allow' },
    ]);
    expect(identityOf({}).selectors).toEqual([]);
  });

  it('keeps its digest while rules and endpoints that do not concern it come and go', () => {
    const database = policy('database', { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }] }] });
    const other = policy('other', { appliesTo: { matchTags: { app: 'web' } }, ingress: [{ action: 'Deny', from: [{ endpoints: { matchTags: { zone: 'x' } } }] }] });
    const db = { app: 'db' };
    const before = compileEnvironment(environment, [database], [db], [db, { app: 'api' }], digest);
    const after = compileEnvironment(environment, [database, other], [db, { app: 'web' }], [db, { app: 'api' }, { app: 'web' }, { app: 'web', zone: 'x' }], digest);
    expect(after.programOf(db).digest).toBe(before.programOf(db).digest);
    expect(after.identityOf({ app: 'api' }).digest).toBe(before.identityOf({ app: 'api' }).digest);
  });

  it('makes no identity of a tag that no rule in force reads', () => {
    const rules = policy('rules', { appliesTo: {}, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }] }] });
    const { identityOf } = compileEnvironment(environment, [rules], [{}], [{}], digest);
    expect(identityOf({ app: 'api', release: '1' })).toBe(identityOf({ app: 'api', release: '2' }));
    expect(identityOf({ app: 'web' })).toBe(identityOf({ app: 'db', release: '9' }));
  });

  it('names different environments by different identities and programs', () => {
    const a = compileEnvironment('acme/shop/staging', [], [{}], [{}], digest);
    const b = compileEnvironment('acme/shop/production', [], [{}], [{}], digest);
    expect(a.identityOf({}).digest).not.toBe(b.identityOf({}).digest);
    expect(a.programOf({}).digest).not.toBe(b.programOf({}).digest);
  });
});

describe('a verdict', () => {
  it('names the default of the first isolating policy by path', () => {
    const [b, a] = [policy('b', { isolates: ['ingress'] }), policy('a', { isolates: ['ingress'] })];
    const said = verdict([b, a], party('x', {}), party('y', {}), 6, 80);
    expect(said).toMatchObject({ verdict: 'denied', reason: 'policy_denied' });
    expect(said.decisions.map((d) => [d.policyPath, d.name])).toEqual([['default', 'default-allow'], [`${environment}/a`, 'default-deny']]);
  });

  it('never joins two environments, whatever the rules', () => {
    const everything = policy('all', { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] });
    expect(verdict([everything], party('x', {}), party('y', {}, 'n1', 'acme/shop/production'), 6, 80)).toEqual({ verdict: 'denied', reason: 'unreachable', decisions: [] });
  });

  it('reads no inherited property as a tag', () => {
    const odd = policy('odd', { appliesTo: { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, isolates: ['ingress'] });
    expect(verdict([odd], party('x', {}), party('y', {}), 6, 80).verdict).toBe('allowed');
  });
});
