import { describe, expect, it } from '@jest/globals';
import { asked, digest, endpoint, type Endpoint, environment, inForce, lookUp, memberOf, modelOf, numberOf, partyOf, policy, policyOfKind, promoted, randomWorld, room, type World } from '../../test/policies.ts';
import { oracle } from '../../test/policy-oracle.ts';
import { decide } from '../rules/decide.ts';
import { indexWorld } from '../rules/index-world.ts';
import { scopeTagsOf } from '../rules/osier.ts';
import type { Program } from './compile.ts';
import { compileEnvironment } from './environment.ts';
import { defaultIndex } from './model.ts';

/** Twice as many worlds: OSIER_POLICY_SEEDS=800. */
const seeds = Number(process.env['OSIER_POLICY_SEEDS'] ?? 400);
const compiledOf = (world: Pick<World, 'policies' | 'groups'>, endpoints: readonly Endpoint[]) => {
  const all = endpoints.map(memberOf);
  const compiled = compileEnvironment(environment, modelOf(world), all, all, digest, room);
  const layersOf = (program: Program) => program.slots.map((slot) => compiled.layers.get(slot));
  const shadowOf = (e: Endpoint) => {
    const shadow = compiled.shadowOf(memberOf(e));
    return shadow && layersOf(shadow);
  };
  return { layersOf: (e: Endpoint) => layersOf(compiled.programOf(memberOf(e))), shadowOf, identityOf: (e: Endpoint) => compiled.identityOf(memberOf(e)) };
};
const indexOf = (world: World) => {
  const parties = world.endpoints.map((e) => partyOf(e));
  return { parties, index: indexWorld({ scopes: [{ name: environment, tags: scopeTagsOf(environment) }], nodes: [], parties, policies: inForce(modelOf(world)) }) };
};

/** Whether a policy selects an endpoint, seen in that it would isolate it. */
const selectsAll = (world: World, id: string, subject: Endpoint): boolean => {
  const only = world.policies.filter((one) => one.id === id).map((one) => ({ ...one, spec: { ...one.spec, mode: 'enforced', ingress: [{ action: 'Deny' }] } }) as (typeof world.policies)[number]);
  return oracle({ policies: only, groups: [] }, subject, subject, 'ingress', 'TCP', 80).action === 'Deny';
};

describe('a compiled program', () => {
  it('says in the kernel what osier reach says and what an oracle says, by the same rule, over random worlds of every kind of policy', () => {
    const mismatches: string[] = [];
    const deciding = new Map<string, number>();
    let count = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const world = randomWorld(seed);
      const { layersOf, identityOf } = compiledOf(world, world.endpoints);
      const { parties, index } = indexOf(world);
      const rules = new Map(modelOf(world).map((model) => [model.id, model]));
      world.endpoints.forEach((from, f) => world.endpoints.forEach((to, t) => {
        if (from === to) return;
        const [source, target] = [layersOf(from), layersOf(to)];
        for (const [protocol, port] of asked) {
          const sides = [
            [lookUp(source, 'egress', identityOf(to).digest, numberOf[protocol], port), oracle(world, from, to, 'egress', protocol, port)],
            [lookUp(target, 'ingress', identityOf(from).digest, numberOf[protocol], port), oracle(world, to, from, 'ingress', protocol, port)],
          ] as const;
          count++;
          const wrong = sides.flatMap(([entry, opinion]) => {
            const [policyId = '', , place = ''] = entry?.rule.split('/') ?? [];
            const rule = Number(place) === defaultIndex ? `${rules.get(policyId)?.name ?? ''}#default` : `${policyId}#${place}`;
            deciding.set(opinion.rule.endsWith('#default') ? opinion.rule.length > 8 ? 'isolated' : 'default' : rules.get(policyId)?.tier ?? '', 1 + (deciding.get(opinion.rule.endsWith('#default') ? opinion.rule.length > 8 ? 'isolated' : 'default' : rules.get(policyId)?.tier ?? '') ?? 0));
            return entry?.action === opinion.action && rule === opinion.rule ? [] : [`kernel ${entry?.action} ${rule}, oracle ${opinion.action} ${opinion.rule}`];
          });
          const said = decide(index, { from: parties[f] as (typeof parties)[number], to: parties[t] as (typeof parties)[number], protocol, port, family: undefined });
          const [out, into] = sides.map(([entry]) => entry?.action);
          const apart = from.spec.network !== to.spec.network;
          if ((said.verdict === 'Allow') !== (!apart && out === 'Allow' && into === 'Allow')) wrong.push(`reach says ${said.verdict}`);
          if (!apart) for (const [i, one] of [said.egress, said.ingress].entries()) {
            const opinion = (sides[i] as (typeof sides)[number])[1];
            const named = one?.rule === 'default-deny' ? `${one.policy}#default` : one?.policy === null ? '#default' : opinion.rule.endsWith('#default') ? 'a rule' : opinion.rule;
            if (one !== undefined && (one.verdict !== opinion.action || named !== opinion.rule)) wrong.push(`reach ${one.verdict} ${one.policy} ${one.rule}, oracle ${opinion.action} ${opinion.rule}`);
          }
          if (wrong.length > 0) mismatches.push(`seed ${seed} ${from.name}→${to.name} ${protocol}/${port}: ${wrong.join(', ')}`);
        }
      }));
    }
    expect(mismatches.slice(0, 20)).toEqual([]);
    expect(count).toBe(seeds * 30 * asked.length);
    for (const tier of ['Admin', 'DomainAdmin', 'ProjectAdmin', 'Project', 'ProjectBaseline', 'DomainBaseline', 'Baseline', 'isolated', 'default']) expect([tier, (deciding.get(tier) ?? 0) > count / 500]).toEqual([tier, true]);
  });

  it('has a shadow where a shadow policy selects, which says what would be if that were in force', () => {
    const mismatches: string[] = [];
    let shadows = 0;
    for (let seed = 1; seed <= seeds / 2; seed++) {
      const world = randomWorld(seed);
      const wished = promoted(world);
      const { shadowOf, identityOf } = compiledOf(world, world.endpoints);
      for (const subject of world.endpoints) {
        const shadow = shadowOf(subject);
        const isSelected = world.policies.some(({ id, spec }) => spec.mode === 'shadow' && modelOf(world).some((model) => model.id === id) && selectsAll(world, id, subject));
        if ((shadow !== undefined) !== isSelected) mismatches.push(`seed ${seed} ${subject.name}: ${shadow === undefined ? 'no shadow' : 'a shadow'}`);
        if (shadow === undefined) continue;
        shadows++;
        for (const peer of world.endpoints) for (const [protocol, port] of asked) for (const direction of ['ingress', 'egress'] as const) {
          if (peer === subject) continue;
          const [said, expected] = [lookUp(shadow, direction, identityOf(peer).digest, numberOf[protocol], port)?.action, oracle(wished, subject, peer, direction, protocol, port).action];
          if (said !== expected) mismatches.push(`seed ${seed} ${subject.name} ${direction} ${peer.name} ${protocol}/${port}: shadow ${said}, oracle ${expected}`);
        }
      }
    }
    expect(mismatches.slice(0, 20)).toEqual([]);
    expect(shadows).toBeGreaterThan(seeds / 4);
  });

  it.each([['keep', {}, 'endless'], ['drain', {}, 60_000], ['drain', { drainSeconds: 5 }, 5_000], ['cut', {}, undefined]] as const)('says of denials, and of nothing else, what becomes of live connections: %s %j', (liveConnections, more, grace) => {
    const alone = endpoint('e', {});
    const rules = [{ name: 'allow', action: 'Allow' as const }, { name: 'deny', action: 'Deny' as const }, { name: 'pass', action: 'Pass' as const }].map((rule, i) => ({ ...rule, ports: [{ protocol: 'TCP' as const, port: 80 + i }] }));
    const world = { policies: [policy('p', { liveConnections, ...more, ingress: rules }), policy('q', { egress: [] })], groups: [] };
    const said = compiledOf(world, [alone]).layersOf(alone).flatMap((layer) => [...layer?.rules.values() ?? []].map((rule) => [rule.policyId, rule.name, rule.grace]));
    expect(said.sort()).toEqual([
      ['', 'default-allow', undefined], ['', 'default-allow', undefined],
      ['id-p', 'allow', undefined], ['id-p', 'default-deny', grace], ['id-p', 'deny', grace], ['id-p', 'pass', undefined], ['id-q', 'default-deny', undefined],
    ].sort());
  });

  it('always ends in a default, so that the kernel never lacks an entry', () => {
    const alone = endpoint('e', {});
    const { layersOf, identityOf } = compiledOf({ policies: [], groups: [] }, [alone]);
    expect(layersOf(alone).flatMap((layer) => layer?.entries.map(({ turn: _, ...entry }) => entry) ?? [])).toEqual([
      { direction: 'egress', peer: undefined, region: { protocol: undefined, port: undefined }, action: 'Allow', place: 65535, rule: '/egress/65535/Allow' },
      { direction: 'ingress', peer: undefined, region: { protocol: undefined, port: undefined }, action: 'Allow', place: 65535, rule: '/ingress/65535/Allow' },
    ]);
    expect(identityOf(alone).matchers).toEqual([]);
  });

  it('keeps its digest while rules and endpoints that do not concern it come and go', () => {
    const database = policy('database', { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }] }] });
    const other = policy('other', { appliesTo: { matchTags: { app: 'web' } }, ingress: [{ action: 'Deny', from: [{ endpoints: { matchTags: { zone: 'x' } } }] }] });
    const [db, api] = [endpoint('db', { app: 'db' }), endpoint('api', { app: 'api' })];
    const local = (policies: World['policies'], here: Endpoint[], all: Endpoint[]) => compileEnvironment(environment, modelOf({ policies, groups: [] }), here.map(memberOf), all.map(memberOf), digest, room);
    const before = local([database], [db], [db, api]);
    const after = local([database, other], [db, endpoint('w', { app: 'web' })], [db, api, endpoint('w', { app: 'web' }), endpoint('x', { app: 'web', zone: 'x' })]);
    const [then, now] = [before, after].map((of) => of.programOf(memberOf(db)));
    expect(now).toEqual(then);
    for (const slot of now?.slots ?? []) expect(after.layers.get(slot)).toEqual(before.layers.get(slot));
    expect(after.identityOf(memberOf(api)).digest).toBe(before.identityOf(memberOf(api)).digest);
  });

  it('makes no identity of a tag that no rule in force reads', () => {
    const rules = policy('rules', { appliesTo: {}, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }] }] });
    const of = (tags: Record<string, string>) => compiledOf({ policies: [rules], groups: [] }, [endpoint('e', {})]).identityOf(endpoint('x', tags)).digest;
    expect(of({ app: 'api', release: '1' })).toBe(of({ app: 'api', release: '2' }));
    expect(of({ app: 'web' })).toBe(of({ app: 'db', release: '9' }));
  });

  it('names different environments by different identities and programs', () => {
    const e = memberOf(endpoint('e', {}));
    const [a, b] = ['acme/shop/staging', 'acme/shop/production'].map((name) => compileEnvironment(name, [], [e], [e], digest, room)) as [ReturnType<typeof compileEnvironment>, ReturnType<typeof compileEnvironment>];
    expect(a.identityOf(e).digest).not.toBe(b.identityOf(e).digest);
    expect(a.programOf(e).digest).not.toBe(b.programOf(e).digest);
  });

  it('is another layer where a policy is another, and the same program for whoever runs it', () => {
    const of = (port: number) => compileEnvironment(environment, modelOf({ policies: [policy('p', { ingress: [{ action: 'Allow', ports: [{ protocol: 'TCP', port }] }] })], groups: [] }), [memberOf(e)], [memberOf(e)], digest, room);
    const e = endpoint('e', {});
    const [a, b] = [of(80), of(81)];
    expect(b.programOf(memberOf(e))).toEqual(a.programOf(memberOf(e)));
    expect(a.programOf(memberOf(e)).slots.map((slot) => a.layers.get(slot)?.digest === b.layers.get(slot)?.digest).sort()).toEqual([false, true]);
  });

  it('has no more slots than there is room for: then policies of one tier share one', () => {
    const many = Array.from({ length: 40 }, (_, n) => policyOfKind(n % 2 === 0 ? 'policy' : 'domain-policy', `p${n}`, { ...(n % 2 === 0 ? {} : { tier: 'Baseline' }), appliesTo: {}, ingress: [{ action: n % 3 === 0 ? 'Deny' : 'Allow', ports: [{ protocol: 'TCP', port: 1000 + n }] }] }));
    const [e, other] = [endpoint('e', {}), endpoint('o', {})];
    const few = compiledOf({ policies: many.slice(0, room - 1), groups: [] }, [e, other]);
    const all = compiledOf({ policies: many, groups: [] }, [e, other]);
    const full = compiledOf({ policies: many.slice(0, room), groups: [] }, [e, other]);
    expect([few, full, all].map((one) => one.layersOf(e).length)).toEqual([room, 3, 3]);
    for (let n = 0; n < 40; n++) expect(lookUp(all.layersOf(e), 'ingress', all.identityOf(other).digest, 6, 1000 + n)?.rule).toBe(oracle({ policies: many, groups: [] }, e, other, 'ingress', 'TCP', 1000 + n).rule.replace(/#(\d+)$/, (_, index: string) => `/ingress/${index}/${n % 3 === 0 ? 'Deny' : 'Allow'}`).replace(/^.*#default$/, `id-p0/ingress/${defaultIndex}/Deny`));
  });

  it('stays small: a range of ports is a few prefixes, and one rule for every value of a tag is one entry for each endpoint that runs it', () => {
    const range = policy('range', { appliesTo: {}, ingress: [{ action: 'Allow', ports: [{ protocol: 'TCP', port: 1, endPort: 65535 }] }] });
    const e = endpoint('e', { stage: 'a' });
    expect(compiledOf({ policies: [range], groups: [] }, [e]).layersOf(e).flatMap((layer) => layer?.entries ?? [])).toHaveLength(17 + 2);
    const same = policyOfKind('domain-policy', 'same', { tier: 'Baseline', appliesTo: {}, ingress: [{ from: [{ matchSame: ['stage'] }] }, { action: 'Deny' }] });
    const many = ['a', 'b', 'c', 'd'].map((stage) => endpoint(stage, { stage }));
    const { layersOf, identityOf } = compiledOf({ policies: [same], groups: [] }, many);
    for (const one of many) expect(layersOf(one).flatMap((layer) => layer?.entries.flatMap(({ peer }) => peer ?? []) ?? [])).toEqual([identityOf(one).digest]);
  });
});

describe('a rule that names a group which is not known', () => {
  const [web, db] = [endpoint('web', { app: 'web' }), endpoint('db', { app: 'db' })];
  it.each([['Allow', 'Deny'], ['Deny', 'Deny'], ['Pass', 'Deny']] as const)('%s: lets nobody through', (action, expected) => {
    for (const peer of [{ endpointGroup: 'gone' }, { addressGroup: 'gone' }]) {
      const world = { policies: [policy('p', { ingress: [{ action, from: [peer] }] }), policyOfKind('domain-policy', 'all', { tier: 'Baseline', appliesTo: {}, ingress: [{ action: 'Allow' }] })], groups: [] };
      const { layersOf, identityOf } = compiledOf(world, [web, db]);
      expect(lookUp(layersOf(db), 'ingress', identityOf(web).digest, 6, 80)?.action).toBe(expected);
    }
  });
});

describe('what osier reach says', () => {
  const ask = (policies: World['policies'], from: string, to: string) => {
    const parties = [partyOf(endpoint('x', {})), partyOf(endpoint('y', {})), partyOf(endpoint('z', {}), 'acme/shop/production')];
    const index = indexWorld({ scopes: [environment, 'acme/shop/production'].map((name) => ({ name, tags: scopeTagsOf(name) })), nodes: [], parties, policies: [...new Map([environment, 'acme/shop/production'].flatMap((e) => modelOf({ policies, groups: [] }, e)).map((p) => [p.id, p])).values()] });
    return decide(index, { from: index.party(from) as (typeof parties)[number], to: index.party(to) as (typeof parties)[number], protocol: 'TCP', port: 80, family: undefined });
  };
  const [x, y, z] = [`${environment}/x`, `${environment}/y`, 'acme/shop/production/z'];

  it('names the default of the first isolating policy by path', () => {
    expect(ask([policy('b', { isolates: ['ingress'] }), policy('a', { isolates: ['ingress'] })], x, y)).toMatchObject({ verdict: 'Deny', policy: `${environment}/a`, rule: 'default-deny', egress: { policy: null } });
  });

  it('never joins two environments, whatever the rules', () => {
    const everything = { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] };
    expect(ask([policy('all', everything as never), policyOfKind('platform-policy', 'all', { tier: 'Admin', appliesTo: {}, ...everything }, 'id-wide')], x, z)).toMatchObject({ verdict: 'Deny', tier: 'Network', rule: 'unreachable' });
  });

  it('reads no inherited property as a tag', () => {
    expect(ask([policy('odd', { appliesTo: { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, isolates: ['ingress'] })], x, y).verdict).toBe('Allow');
  });
});
