// The command itself, from files in both notations to the answer, against an oracle that shares no code with it; between the questions labels change and objects go.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { Oracle } from '../../libs/domain/test/reach/oracle.ts';
import { randomOf } from '../../libs/domain/test/reach/random.ts';
import { change, cluster, probe } from '../../libs/domain/test/reach/worlds.ts';

const root = join(import.meta.dirname, '../..');
const [seeds, steps, probesPerStep] = [8, 3, 60];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'osier-reach-conformance-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('osier reach', () => {
  it('answers as the oracle does, from YAML and from JSON, while a cluster changes', () => {
    for (let seed = 9001; seed < 9001 + seeds; seed++) {
      const random = randomOf(seed);
      let objects = cluster(random);
      for (let step = 0; step <= steps; step++) {
        if (step > 0) objects = change(random, objects, step).after;
        const manifests = join(folder, step % 2 === 0 ? 'cluster.yaml' : 'cluster.json');
        writeFileSync(manifests, step % 2 === 0 ? objects.map((object) => stringify(object)).join('---\n') : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
        const probes = Array.from({ length: probesPerStep }, () => probe(random, objects));
        writeFileSync(join(folder, 'probes.json'), JSON.stringify(probes));
        const out = execFileSync(process.execPath, ['apps/cli/src/main.ts', 'reach', '-f', manifests, '--probes', join(folder, 'probes.json'), '--output', 'json'], { cwd: root, env: { PATH: process.env['PATH'] }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
        const { verdicts } = JSON.parse(out) as { verdicts: { verdict: string }[] };
        const oracle = new Oracle(objects);
        expect({ seed, step, verdicts: verdicts.map(({ verdict }, i) => ({ ...probes[i], verdict })) }).toEqual({ seed, step, verdicts: probes.map((one) => ({ ...one, verdict: oracle.ask(one).verdict })) });
      }
    }
  }, 120_000);
});
