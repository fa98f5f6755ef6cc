import { describe, expect, it } from '@jest/globals';
import { asked as ports, digest, lookUp, numberOf, room } from '../../test/policies.ts';
import { Oracle } from '../../test/reach/oracle.ts';
import { randomOf } from '../../test/reach/random.ts';
import { change, cluster } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { hasOpaque } from '../rules/index-world.ts';
import type { Party, World } from '../rules/model.ts';
import { type Compiler, createCompiler } from './incremental.ts';
import type { Policy } from './model.ts';

const families = [4, 6] as const;
/** Rules see a party by its address of one family at a time, as a packet does. */
const idOf = (party: Party, family: 4 | 6): string => `${party.name} ${family}`;
function tell(compiler: Compiler, before: World | undefined, world: World): void {
  const policyId = ({ kind, name }: World['policies'][number]): string => `${kind} ${name}`;
  const scopeTags = new Map(world.scopes.map(({ name, tags }) => [name, tags]));
  for (const policy of world.policies) compiler.putPolicy({ ...policy, id: policyId(policy) } satisfies Policy);
  for (const policy of before?.policies ?? []) if (!world.policies.some((other) => policyId(other) === policyId(policy))) compiler.deletePolicy(policyId(policy));
  for (const family of families) {
    for (const party of world.parties) compiler.putParty(idOf(party, family), { ...party, scopeTags: scopeTags.get(party.scope) ?? {}, addresses: party.addresses.filter((a) => a.family === family).slice(0, 1) }, true);
    for (const party of before?.parties ?? []) if (!world.parties.some((other) => other.name === party.name)) compiler.deleteParty(idOf(party, family));
  }
  compiler.settle();
}

describe('a compiler that is given the policies of Kubernetes', () => {
  it('says what an oracle says that reads the manifests, of both families, over random clusters and walks of changes', () => {
    let [count, denied] = [0, 0];
    const wrong: string[] = [];
    for (let seed = 1; seed <= 60; seed++) {
      const r = randomOf(seed);
      const compiler = createCompiler('cluster', digest, room);
      let objects = cluster(r);
      let before: World | undefined;
      for (let step = 0; step <= 5; step++) {
        if (step > 0) objects = change(r, objects, step).after;
        const world = worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest));
        if (hasOpaque(world)) continue;
        tell(compiler, before, world);
        before = world;
        const oracle = new Oracle(objects);
        // Of a pod in the network of its node, rules see the node.
        const pods = world.parties.filter(({ host }) => host !== true);
        for (let n = 0; n < 60 && pods.length > 1; n++) {
          const [from, to, family] = [r.pick(pods), r.pick(pods), r.pick(families)];
          if (from === to || [from, to].some(({ addresses }) => !addresses.some((a) => a.family === family))) continue;
          const [protocol, port] = r.pick(ports);
          const opinion = oracle.ask({ from: from.name, to: to.name, protocol, port, family });
          const entry = (subject: Party, peer: Party, direction: 'ingress' | 'egress') => lookUp(compiler.programOf(idOf(subject, family)).slots.map((slot) => compiler.layerOf(slot)), direction, compiler.identityOf(idOf(peer, family)).digest, numberOf[protocol], port)?.action;
          const said = [entry(from, to, 'egress'), entry(to, from, 'ingress')];
          count++;
          if (opinion.verdict === 'Deny') denied++;
          if (said[0] !== opinion.egress?.verdict || said[1] !== opinion.ingress?.verdict) wrong.push(`seed ${seed} step ${step}: ${from.name} → ${to.name} ${protocol} ${port} IPv${family}: kernel ${said.join()}, oracle ${JSON.stringify(opinion)}`);
        }
      }
    }
    expect(wrong.slice(0, 10)).toEqual([]);
    expect(count).toBeGreaterThan(3_000);
    expect(denied / count).toBeGreaterThan(0.1);
  });
});
