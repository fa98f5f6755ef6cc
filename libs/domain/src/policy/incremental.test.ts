import { describe, expect, it } from '@jest/globals';
import type { Tags } from '@osier/contracts/names';
import { digest, environment, keys, lookUp, numberOf, oracle, policy, protocols, random, randomWorld, values } from '../../test/policies.ts';
import { compileEnvironment } from './environment.ts';
import { type Compiler, createCompiler } from './incremental.ts';
import type { Policy } from './model.ts';

/** What there is at one moment; a change makes one of its entries another, or takes it away. */
interface There { readonly policies: ReadonlyMap<string, Policy>; readonly parties: ReadonlyMap<string, { readonly tags: Tags; readonly local: boolean }> }
type Change =
  | { readonly kind: 'policy'; readonly id: string; readonly to: Policy | undefined }
  | { readonly kind: 'party'; readonly id: string; readonly to: { readonly tags: Tags; readonly local: boolean } | undefined };
const nothing: There = { policies: new Map(), parties: new Map() };

function after(there: There, change: Change): There {
  const put = <T>(map: ReadonlyMap<string, T>, to: T | undefined): ReadonlyMap<string, T> => {
    const next = new Map(map);
    if (to === undefined) next.delete(change.id);
    else next.set(change.id, to);
    return next;
  };
  return change.kind === 'policy' ? { ...there, policies: put(there.policies, change.to) } : { ...there, parties: put(there.parties, change.to) };
}
const undo = (change: Change, before: There): Change =>
  change.kind === 'policy' ? { ...change, to: before.policies.get(change.id) } : { ...change, to: before.parties.get(change.id) };

function apply(compiler: Compiler, change: Change): void {
  if (change.kind === 'policy') {
    if (change.to === undefined) compiler.deletePolicy(change.id);
    else compiler.putPolicy(change.to);
  } else if (change.to === undefined) compiler.deleteParty(change.id);
  else compiler.putParty(change.id, change.to.tags, change.to.local);
}

/** Changes of a few policies and endpoints, so that they meet: most steps change what another has just made. */
function walk(seed: number, steps: number): Change[] {
  const next = random(seed);
  return Array.from({ length: steps }, (): Change => {
    if (next(2) === 0) {
      const drawn = randomWorld(next(1 << 30)).policies[0];
      const name = `p${next(5)}`;
      return { kind: 'policy', id: `id-${name}`, to: drawn === undefined || next(4) === 0 ? undefined : policy(name, drawn.spec) };
    }
    const tags = Object.fromEntries([...keys, 'release'].filter(() => next(3) > 0).map((key) => [key, values[next(values.length)] as string]));
    return { kind: 'party', id: `e${next(7)}`, to: next(4) === 0 ? undefined : { tags, local: next(2) === 0 } };
  });
}

const fromNothing = ({ policies, parties }: There) => {
  const all = [...parties.values()];
  return compileEnvironment(environment, [...policies.values()], all.filter((p) => p.local).map((p) => p.tags), all.map((p) => p.tags), digest);
};
/** Everything that the compiler says of everybody, beside the same from nothing. */
function compared(compiler: Compiler, there: There): { found: unknown; expected: unknown } {
  const full = fromNothing(there);
  const ids = [...there.parties].sort();
  return {
    found: ids.map(([id, { local }]) => [id, compiler.identityOf(id), local ? compiler.programOf(id) : undefined]),
    expected: ids.map(([id, { tags, local }]) => [id, full.identityOf(tags), local ? full.programOf(tags) : undefined]),
  };
}
function disagreements(compiler: Compiler, { policies, parties }: There): string[] {
  const wrong: string[] = [];
  for (const [id, subject] of parties) for (const [peerId, peer] of parties) for (const direction of ['ingress', 'egress'] as const) for (const protocol of protocols) {
    if (!subject.local) continue;
    const said = lookUp(compiler.programOf(id).entries, direction, compiler.identityOf(peerId).digest, numberOf[protocol], 80)?.action;
    if (said !== oracle([...policies.values()], subject.tags, peer.tags, direction, protocol, 80).action) wrong.push(`${id} ${direction} ${peerId} ${protocol}`);
  }
  return wrong;
}

/** Takes the road, and after every `every` steps holds the compiler against a compile from nothing and against the oracle; returns what was told as changed too little. */
function take(road: readonly Change[], every = 1): string[] {
  const compiler = createCompiler(environment, digest);
  const wrong: string[] = [];
  let there = nothing;
  let known = new Map<string, string>();
  road.forEach((change, step) => {
    there = after(there, change);
    apply(compiler, change);
    if (step % every !== every - 1) return;
    const told = compiler.settle();
    const { found, expected } = compared(compiler, there);
    expect({ step, found }).toEqual({ step, found: expected });
    wrong.push(...disagreements(compiler, there).map((line) => `${step}: ${line}`));
    const now = new Map([...there.parties].map(([id, { local }]) => [id, `${compiler.identityOf(id).digest} ${local ? compiler.programOf(id).digest : ''}`]));
    for (const id of new Set([...known.keys(), ...now.keys()])) if (known.get(id) !== now.get(id) && !told.has(id)) wrong.push(`${step}: ${id} became another and was not told`);
    known = now;
  });
  return wrong;
}

describe('a compiler that is told of changes', () => {
  const seeds = Array.from({ length: 60 }, (_, n) => n + 1);
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
      const stale = (): Change => (next(2) === 0 ? { kind: 'policy', id: 'id-gone', to: undefined } : { kind: 'party', id: 'gone', to: undefined });
      expect(take(walk(seed, 40).flatMap((change) => [change, change, stale(), ...(change.to === undefined ? [change] : [])]))).toEqual([]);
    }
  });

  it('tells of nobody when a label changes that no rule reads', () => {
    const compiler = createCompiler(environment, digest);
    compiler.putPolicy(policy('p', { appliesTo: { matchTags: { app: 'a' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'b' } } }] }] }));
    compiler.putParty('e1', { app: 'a' }, true);
    compiler.putParty('e2', { app: 'b' }, false);
    expect([...compiler.settle()].sort()).toEqual(['e1', 'e2']);
    compiler.putParty('e1', { app: 'a', release: '2' }, true);
    compiler.putParty('e2', { app: 'b', release: '2' }, false);
    expect([...compiler.settle()]).toEqual([]);
    compiler.putParty('e2', { app: 'c' }, false);
    expect([...compiler.settle()].sort()).toEqual(['e1', 'e2']);
  });

  it('makes as many identities as there are sets of rules that endpoints fit', () => {
    const next = random(11);
    const conditions = Array.from({ length: 100 }, () => Object.fromEntries(Array.from({ length: 2 }, () => [`label-${next(50)}`, `v${next(4)}`])));
    const compiler = createCompiler(environment, digest);
    const parties = Array.from({ length: 500 }, () => Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`label-${n}`, `v${next(4)}`])));
    parties.forEach((tags, n) => compiler.putParty(`e${n}`, tags, n === 0));
    conditions.forEach((matchTags, n) => compiler.putPolicy(policy(`p${n}`, { ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags } }] }] })));
    compiler.settle();
    const fits = (tags: Record<string, string>): string => [...new Set(conditions.map((c) => JSON.stringify(Object.entries(c).sort())))].map((text) => ((JSON.parse(text) as [string, string][]).every(([k, v]) => tags[k] === v) ? '1' : '0')).join('');
    const identities = new Set(parties.map((_, n) => compiler.identityOf(`e${n}`).digest));
    expect(identities.size).toBe(new Set(parties.map(fits)).size);
    expect(identities.size).toBeGreaterThan(100);
  });
});
