import { describe, expect, it } from '@jest/globals';
import { Oracle, type Asked, type Opinion } from '../../test/reach/oracle.ts';
import { randomOf } from '../../test/reach/random.ts';
import { change, cluster, type Obj, probe } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { parseAddress } from '../net/address.ts';
import { decide } from './decide.ts';
import type { Decided } from './explain.ts';
import { type IndexedWorld, indexWorld, sideOfAddress } from './index-world.ts';
import type { Side } from './model.ts';

/** Twice as many seeds: OSIER_REACH_SEEDS=200. */
const seeds = Number(process.env['OSIER_REACH_SEEDS'] ?? 90);
const firstSeed = Number(process.env['OSIER_REACH_FIRST_SEED'] ?? 1);
const [steps, probesPerStep] = [6, 25];

function indexOf(objects: readonly Obj[]): IndexedWorld {
  const checked = objects.map((object) => checkObject(JSON.parse(JSON.stringify(object))));
  const refused = checked.flatMap(({ manifest, problems }) => problems.filter(({ warning }) => warning !== true).map(({ path, reason }) => `${manifest.kind} ${manifest.name}: ${path}: ${reason}`));
  if (refused.length > 0) throw new Error(`a valid object is refused: ${refused.join('; ')}`);
  return indexWorld(worldOf(checked.map(({ manifest }) => manifest)));
}

function sideOf(index: IndexedWorld, text: string): Side {
  if (!text.startsWith('ip:')) {
    const party = index.party(text);
    if (party === undefined) throw new Error(`no ${text}`);
    return party;
  }
  const address = parseAddress(text.slice(3));
  if (address === undefined) throw new Error(`no address ${text}`);
  return sideOfAddress(index, text, address);
}

const by = (decided: Decided | undefined): Opinion['egress'] =>
  decided && { verdict: decided.verdict, by: decided.policy === null ? decided.tier : `${decided.kind} ${decided.policy} ${decided.rule}` };

function answer(index: IndexedWorld, asked: Asked): Opinion {
  const implied = [asked.from, asked.to].find((text) => text.startsWith('ip:'));
  const family = asked.family ?? (implied === undefined ? undefined : implied.includes(':', 3) ? 6 : 4);
  const decision = decide(index, { from: sideOf(index, asked.from), to: sideOf(index, asked.to), protocol: asked.protocol, port: asked.port, family });
  return { verdict: decision.verdict, egress: by(decision.egress), ingress: by(decision.ingress) };
}

const differ = (objects: readonly Obj[], asked: Asked): boolean => JSON.stringify(answer(indexOf(objects), asked)) !== JSON.stringify(new Oracle([...objects]).ask(asked));

/** What a person needs to see the mistake again: the seed, the question, and the fewest objects that still show it. */
function mismatch(seed: number, what: string, asked: Asked, objects: readonly Obj[]): Error {
  const isAsked = (o: Obj): boolean => [asked.from, asked.to].includes(`${o.metadata.namespace}/${o.metadata.name}`);
  const fewest = objects.reduce<readonly Obj[]>((left, one) => {
    const without = left.filter((other) => other !== one);
    return !isAsked(one) && differ(without, asked) ? without : left;
  }, objects);
  const [ours, theirs] = [answer(indexOf(fewest), asked), new Oracle([...fewest]).ask(asked)];
  return new Error([`seed ${seed}, ${what}: ${JSON.stringify(asked)}`, `  model:  ${JSON.stringify(ours)}`, `  oracle: ${JSON.stringify(theirs)}`, ...fewest.map((o) => `  ${JSON.stringify(o)}`)].join('\n'));
}

describe('the model and an oracle that shares no code with it', () => {
  it('give the same verdict, by the same rule, over random clusters and walks of changes, there and back', () => {
    let [asked, denied] = [0, 0];
    const deciding = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const random = randomOf(seed);
      let objects = cluster(random);
      const walk: { objects: Obj[]; probes: Asked[]; answers: Opinion[] }[] = [];
      for (let step = 0; step <= steps; step++) {
        const made = step === 0 ? undefined : change(random, objects, step);
        objects = made?.after ?? objects;
        const [index, oracle] = [indexOf(objects), new Oracle(objects)];
        const probes = Array.from({ length: probesPerStep }, () => probe(random, objects));
        const answers = probes.map((one) => answer(index, one));
        probes.forEach((one, i) => {
          const [ours, theirs] = [answers[i] as Opinion, oracle.ask(one)];
          asked++;
          if (ours.verdict === 'Deny') denied++;
          for (const side of [ours.egress, ours.ingress]) if (side !== undefined) deciding.set(side.by.split(' ')[0] ?? '', (deciding.get(side.by.split(' ')[0] ?? '') ?? 0) + 1);
          if (JSON.stringify(ours) !== JSON.stringify(theirs)) throw mismatch(seed, made?.what ?? 'at first', one, objects);
        });
        walk.push({ objects, probes, answers });
      }
      // Back: the same objects in another order, as changes taken back leave them.
      for (const { objects: then, probes, answers } of walk.reverse()) {
        const index = indexOf([...then].reverse());
        expect({ seed, answers: probes.map((one) => answer(index, one)) }).toEqual({ seed, answers });
      }
    }
    // A generator that never denies, or never reaches a kind, would prove nothing.
    expect(asked).toBe(seeds * (steps + 1) * probesPerStep);
    expect(denied / asked).toBeGreaterThan(0.1);
    for (const kind of ['Default', 'NetworkPolicy', 'AdminNetworkPolicy', 'BaselineAdminNetworkPolicy', 'ClusterNetworkPolicy']) expect([kind, (deciding.get(kind) ?? 0) > asked / 100]).toEqual([kind, true]);
  });
});
