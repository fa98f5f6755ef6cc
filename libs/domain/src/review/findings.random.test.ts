import { describe, expect, it } from '@jest/globals';
import { asAsked, families, held, isParty, nodeAddresses, partyNames, protocols, type Question, somePorts } from '../../test/reach/brute.ts';
import { type Opinion, Oracle } from '../../test/reach/oracle.ts';
import { type Random, randomOf } from '../../test/reach/random.ts';
import { cluster, type Obj, policy } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { type IndexedWorld, indexWorld } from '../rules/index-world.ts';
import { blocksFor, everybody } from './alike.ts';
import { type Finding, findings } from './findings.ts';

const seeds = Number(process.env['OSIER_REACH_SEEDS'] ?? 24);
const firstSeed = Number(process.env['OSIER_REACH_FIRST_SEED'] ?? 1);

/* eslint-disable @typescript-eslint/no-explicit-any -- manifests are read as they were written */
const indexOf = (objects: readonly Obj[]): IndexedWorld => indexWorld(worldOf(objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest)));
const nameOf = (object: Obj): string => (object.kind === 'NetworkPolicy' ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name);

/** The place of a rule in its manifest; undefined where its name stands twice. */
function placeOf(index: IndexedWorld, { kind, policy: name, direction, rule }: Finding): number | undefined {
  const found = index.world.policies.find((one) => one.kind === kind && one.name === name);
  const both = [...(found?.ingress ?? []), ...(found?.egress ?? [])];
  if (direction === undefined || both.filter((one) => one.name === rule).length !== 1) return undefined;
  return found?.[direction].findIndex((one) => one.name === rule);
}
interface At { readonly finding: Finding; readonly at: number }
const withoutRules = (objects: readonly Obj[], gone: readonly At[]): Obj[] => objects.map((object: any) => {
  const left = (direction: 'ingress' | 'egress'): object => (object.spec?.[direction] === undefined ? {} : {
    [direction]: object.spec[direction].filter((_: unknown, i: number) => !gone.some(({ finding, at }) => finding.kind === object.kind && finding.policy === nameOf(object) && finding.direction === direction && at === i)),
  });
  return gone.some(({ finding }) => finding.kind === object.kind && finding.policy === nameOf(object)) ? { ...object, spec: { ...object.spec, ...left('ingress'), ...left('egress') } } : object;
});
/** Replicas of one workload meet as well, and so does each of these with its twin. */
const twins = (objects: readonly Obj[]): Obj[] => objects.filter(isParty).map((object) => ({ ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-twin` } }));

interface Asking { readonly question: Question; readonly opinion: Opinion }
/** Every pair there is, on boundary ports and others. */
function everything(random: Random, objects: readonly Obj[], index: IndexedWorld): Asking[] {
  const taken = held(objects);
  const free = everybody([index], blocksFor([index])).map(({ name }) => name).filter((name) => name.startsWith('ip:') && !taken.has(name));
  const sides = [...partyNames(objects), ...nodeAddresses(objects), ...free];
  const [oracle, ports] = [new Oracle([...objects]), somePorts(random, objects)];
  return sides.flatMap((from) => sides.flatMap((to) => (from === to || (from.startsWith('ip:') && to.startsWith('ip:')) ? []
    : families(objects, from, to).flatMap((family) => protocols.flatMap((protocol) => ports.map((port): Asking => {
      const question = { from, to, family, protocol, port };
      return { question, opinion: oracle.ask(asAsked(question)) };
    }))))));
}

describe('what is found about the rules of random clusters', () => {
  it('is so: an unreachable or dead rule never decides, a redundant one can go; and nothing of the kind is passed over', () => {
    const seen = { dead: 0, unreachable: 0, redundant: 0, needed: 0 };
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const random = randomOf(seed);
      const all = cluster(random);
      // Few parties, many policies: rules that come into each other's way.
      const few = all.filter(({ kind }, i) => kind === 'Namespace' || kind === 'Node' || kind.endsWith('Policy') || i % 2 === 0);
      const made = Array.from({ length: 2 }, (_, i) => policy(random, `more-${i}`)).filter(({ metadata }) => metadata.name !== 'default');
      const objects = [...few, ...twins(few), ...made];
      const index = indexOf(objects);
      const found = findings(index);
      const asked = everything(random, objects, index);
      const deciding = new Set(asked.flatMap(({ opinion }) => [opinion.egress?.by ?? '', opinion.ingress?.by ?? '']));
      const unchanged = (gone: readonly At[]): boolean => {
        const then = new Oracle(withoutRules(objects, gone));
        return asked.every(({ question, opinion }) => then.ask(asAsked(question)).verdict === opinion.verdict);
      };
      const placed = found.flatMap((finding): At[] => {
        const at = placeOf(index, finding);
        return at === undefined ? [] : [{ finding, at }];
      });
      for (const { finding: { finding: what } } of placed) seen[what]++;
      for (const one of placed) {
        const { finding } = one;
        if (finding.finding === 'redundant') expect({ seed, finding, unchanged: unchanged([one]) }).toEqual({ seed, finding, unchanged: true });
        else expect({ seed, finding, decides: deciding.has(`${finding.kind} ${finding.policy} ${finding.rule}`) }).toEqual({ seed, finding, decides: false });
      }
      const isolatesByRules = (kind: string, name: string): boolean => objects.some((object: any) => object.kind === kind && kind === 'NetworkPolicy' && nameOf(object) === name && (object.spec.policyTypes ?? []).length === 0);
      const silent = placed.filter(({ finding }) => finding.finding !== 'redundant' && !(finding.direction === 'egress' && isolatesByRules(finding.kind, finding.policy)));
      const told = new Set(found.map(({ kind, policy: name, direction, rule }) => `${kind} ${name} ${direction} ${rule}`));
      for (const one of index.world.policies) for (const direction of ['ingress', 'egress'] as const) for (const { name: rule } of one[direction]) {
        const finding: Finding = { finding: 'redundant', kind: one.kind, policy: one.name, direction, rule, by: [] };
        const at = placeOf(index, finding);
        if (at === undefined || !deciding.has(`${one.kind} ${one.name} ${rule}`) || told.has(`${one.kind} ${one.name} ${direction} ${rule}`)) continue;
        seen.needed++;
        const isRedundant = unchanged([{ finding, at }]) && unchanged([...silent, { finding, at }]);
        expect({ seed, finding, isRedundant }).toEqual({ seed, finding, isRedundant: false });
      }
    }
    for (const kind of ['dead', 'unreachable', 'redundant', 'needed'] as const) expect([kind, seen[kind] > seeds / 4]).toEqual([kind, true]);
  }, 180_000);
});
