import { describe, expect, it } from '@jest/globals';
import { groupKinds, policyKinds } from '@osier/contracts/kinds';
import { asked, digest, endpoint, type Endpoint, environment, groupOf, type GroupDocument, lookUp, memberOf, modelOf, numberOf, policy, type PolicyDocument, random, randomEndpoint, randomPolicy, room, type World } from '../../test/policies.ts';
import { oracle } from '../../test/policy-oracle.ts';
import { randomOf } from '../../test/reach/random.ts';
import { groupsNamed } from '../rules/groups.ts';
import { compileEnvironment } from './environment.ts';
import { type Compiler, createCompiler } from './incremental.ts';

/** What there is at one moment; a change makes one of its entries another, or takes it away. */
interface Local { readonly endpoint: Endpoint; readonly local: boolean }
interface There { readonly policies: ReadonlyMap<string, PolicyDocument>; readonly groups: ReadonlyMap<string, GroupDocument>; readonly parties: ReadonlyMap<string, Local> }
type Change =
  | { readonly of: 'policies'; readonly id: string; readonly to: PolicyDocument | undefined }
  | { readonly of: 'groups'; readonly id: string; readonly to: GroupDocument | undefined }
  | { readonly of: 'parties'; readonly id: string; readonly to: Local | undefined };
const nothing: There = { policies: new Map(), groups: new Map(), parties: new Map() };

function after(there: There, { of, id, to }: Change): There {
  const next = new Map<string, unknown>(there[of]);
  if (to === undefined) next.delete(id);
  else next.set(id, to);
  return { ...there, [of]: next };
}
const undo = (change: Change, before: There): Change => ({ ...change, to: before[change.of].get(change.id) }) as Change;
const worldOf = ({ policies, groups, parties }: There): World => ({ policies: [...policies.values()], groups: [...groups.values()], endpoints: [...parties.values()].map((p) => p.endpoint) });

/** `there`: after the change. Whoever tells a compiler of policies tells it of all that name a group which has become another. */
function apply(compiler: Compiler, change: Change, there: There): void {
  const tell = (id: string): void => {
    const document = there.policies.get(id);
    const [model] = document ? modelOf({ policies: [document], groups: [...there.groups.values()] }) : [];
    if (model === undefined) compiler.deletePolicy(id);
    else compiler.putPolicy(model);
  };
  if (change.of === 'policies') tell(change.id);
  else if (change.of === 'groups') for (const { id, spec } of there.policies.values()) if (groupsNamed(spec).some(({ kind, name }) => `${kind} ${name}` === change.id)) tell(id);
  if (change.of !== 'parties') return;
  if (change.to === undefined) compiler.deleteParty(change.id);
  else compiler.putParty(change.id, memberOf(change.to.endpoint), change.to.local);
}

/** Changes of a few policies, groups and endpoints, so that they meet: most steps change what another has just made. */
function walk(seed: number, steps: number): Change[] {
  const r = randomOf(seed);
  return Array.from({ length: steps }, (): Change => {
    const gone = r.chance(25);
    if (r.chance(45)) {
      const n = r.int(6);
      const made = randomPolicy(r, n < 3 ? 'policy' : policyKinds[n - 2] as (typeof policyKinds)[number], `p${n}`);
      return { of: 'policies', id: made.id, to: gone ? undefined : made };
    }
    if (r.chance(25)) {
      const made = groupOf(r, r.pick(groupKinds), r.pick(['g1', 'g2']));
      return { of: 'groups', id: `${made.kind} ${made.name}`, to: gone ? undefined : made };
    }
    const id = `e${r.int(7)}`;
    const made = randomEndpoint(r, id);
    return { of: 'parties', id, to: gone ? undefined : { endpoint: { ...made, spec: { ...made.spec, tags: { ...made.spec.tags, release: r.pick(['1', '2']) } } }, local: r.chance(50) } };
  });
}

const fromNothing = (there: There) => {
  const all = [...there.parties.values()];
  return compileEnvironment(environment, modelOf(worldOf(there)), all.filter((p) => p.local).map((p) => memberOf(p.endpoint)), all.map((p) => memberOf(p.endpoint)), digest, room);
};
/** Everything that the compiler says of everybody, beside the same from nothing. */
function compared(compiler: Compiler, there: There): { found: unknown; expected: unknown } {
  const full = fromNothing(there);
  const ids = [...there.parties].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    found: ids.map(([id, { local }]) => [id, compiler.identityOf(id), local ? [compiler.programOf(id), compiler.shadowOf(id)].map((program) => program && { program, layers: program.slots.map((slot) => compiler.layerOf(slot)) }) : undefined]),
    expected: ids.map(([id, { endpoint: e, local }]) => [id, full.identityOf(memberOf(e)), local ? [full.programOf(memberOf(e)), full.shadowOf(memberOf(e))].map((program) => program && { program, layers: program.slots.map((slot) => full.layers.get(slot)) }) : undefined]),
  };
}
function disagreements(compiler: Compiler, there: There): string[] {
  const wrong: string[] = [];
  const world = worldOf(there);
  for (const [id, subject] of there.parties) for (const [peerId, peer] of there.parties) for (const direction of ['ingress', 'egress'] as const) for (const [protocol, port] of asked) {
    if (!subject.local || id === peerId) continue;
    const said = lookUp(compiler.programOf(id).slots.map((slot) => compiler.layerOf(slot)), direction, compiler.identityOf(peerId).digest, numberOf[protocol], port)?.action;
    if (said !== oracle(world, subject.endpoint, peer.endpoint, direction, protocol, port).action) wrong.push(`${id} ${direction} ${peerId} ${protocol}/${port}`);
  }
  return wrong;
}

/** Takes the road, and after every `every` steps holds the compiler against a compile from nothing and against the oracle; returns what was told as changed too little. */
function take(road: readonly Change[], every = 1): string[] {
  const compiler = createCompiler(environment, digest, room);
  const wrong: string[] = [];
  let there = nothing;
  let known = new Map<string, string>();
  let meant = new Map<string, string | undefined>();
  road.forEach((change, step) => {
    there = after(there, change);
    apply(compiler, change, there);
    if (step % every !== every - 1) return;
    const { parties: told, slots } = compiler.settle();
    const { found, expected } = compared(compiler, there);
    expect({ step, found }).toEqual({ step, found: expected });
    if (step % 3 === 0) wrong.push(...disagreements(compiler, there).map((line) => `${step}: ${line}`));
    const now = new Map([...there.parties].map(([id, { local }]) => [id, `${compiler.identityOf(id).digest} ${local ? `${compiler.programOf(id).digest} ${compiler.shadowOf(id)?.digest ?? ''}` : ''}`]));
    for (const id of new Set([...known.keys(), ...now.keys()])) if (known.get(id) !== now.get(id) && !told.has(id)) wrong.push(`${step}: ${id} became another and was not told`);
    known = now;
    const means = new Map<string, string | undefined>();
    for (const [id, { local }] of there.parties) for (const program of local ? [compiler.programOf(id), compiler.shadowOf(id)] : []) for (const slot of program?.slots ?? []) means.set(slot, compiler.layerOf(slot)?.digest);
    for (const slot of new Set([...meant.keys(), ...means.keys()])) if (meant.get(slot) !== means.get(slot) && !slots.has(slot)) wrong.push(`${step}: the layer of ${slot} became another and was not told`);
    meant = means;
  });
  return wrong;
}

describe('a compiler that is told of changes', () => {
  const seeds = Array.from({ length: Number(process.env['OSIER_WALKS'] ?? 60) }, (_, n) => n + 1);
  it('is after every change where a compile from nothing is, and says what the oracle says', () => {
    expect(seeds.flatMap((seed) => take(walk(seed, 60)))).toEqual([]);
  });

  it('is so when several changes come at once', () => {
    expect(seeds.flatMap((seed) => take(walk(seed, 90), 2 + (seed % 7)))).toEqual([]);
  });

  it('goes every way back, and nothing is left of it', () => {
    for (const seed of seeds) {
      const [road, back]: [Change[], Change[]] = [walk(seed, 40), []];
      let there = nothing;
      for (const change of road) {
        back.unshift(undo(change, there));
        there = after(there, change);
      }
      expect(take([...road, ...back])).toEqual([]);
    }
  });

  it('takes a change twice, and the deletion of what is not there or not there any more', () => {
    for (const seed of seeds) {
      const next = random(seed);
      const stale = (): Change => (next(2) === 0 ? { of: 'policies', id: 'id-gone', to: undefined } : { of: 'parties', id: 'gone', to: undefined });
      expect(take(walk(seed, 40).flatMap((change) => [change, change, stale(), ...(change.to === undefined ? [change] : [])]))).toEqual([]);
    }
  });

  const put = (compiler: Compiler, document: PolicyDocument): void => modelOf({ policies: [document], groups: [] }).forEach((model) => compiler.putPolicy(model));

  it('tells of nobody when a label changes that no rule reads', () => {
    const compiler = createCompiler(environment, digest, room);
    put(compiler, policy('p', { appliesTo: { matchTags: { app: 'a' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'b' } } }] }] }));
    compiler.putParty('e1', memberOf(endpoint('e1', { app: 'a' })), true);
    compiler.putParty('e2', memberOf(endpoint('e2', { app: 'b' })), false);
    expect([...compiler.settle().parties].sort()).toEqual(['e1', 'e2']);
    compiler.putParty('e1', memberOf(endpoint('e1', { app: 'a', release: '2' })), true);
    compiler.putParty('e2', memberOf(endpoint('e2', { app: 'b', release: '2' })), false);
    expect([...compiler.settle().parties]).toEqual([]);
    compiler.putParty('e2', memberOf(endpoint('e2', { app: 'c' })), false);
    expect([...compiler.settle().parties].sort()).toEqual(['e2']);
  });

  it('makes as many identities as there are sets of rules that endpoints fit', () => {
    const next = random(11);
    const conditions = Array.from({ length: 100 }, () => Object.fromEntries(Array.from({ length: 2 }, () => [`label-${next(50)}`, `v${next(4)}`])));
    const compiler = createCompiler(environment, digest, room);
    const parties = Array.from({ length: 500 }, () => Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`label-${n}`, `v${next(4)}`])));
    parties.forEach((tags, n) => compiler.putParty(`e${n}`, { ...memberOf(endpoint(`e${n}`, {})), tags }, n === 0));
    conditions.forEach((matchTags, n) => put(compiler, policy(`p${n}`, { ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags } }] }] })));
    compiler.settle();
    const fits = (tags: Record<string, string>): string => [...new Set(conditions.map((c) => JSON.stringify(Object.entries(c).sort())))].map((text) => ((JSON.parse(text) as [string, string][]).every(([k, v]) => tags[k] === v) ? '1' : '0')).join('');
    const identities = new Set(parties.map((_, n) => compiler.identityOf(`e${n}`).digest));
    expect(identities.size).toBe(new Set(parties.map(fits)).size);
    expect(identities.size).toBeGreaterThan(100);
  });
});
