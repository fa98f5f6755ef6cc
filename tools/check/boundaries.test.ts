// The locks between the layers must bite: each seed is wrong on purpose, and the check must say so.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import { makeGraph } from './graph.ts';
import { checkTypes } from './types.ts';
import { root } from '../root.ts';

describe('layer boundaries', () => {
  let eslint: ESLint;
  beforeAll(async () => {
    const projects = await makeGraph();
    expect(projects).toContain('@osier/domain');
    eslint = new ESLint({ cwd: root });
  }, 120_000);

  const findings = async (filePath: string, code: string): Promise<(string | null)[]> => {
    const [result] = await eslint.lintText(code, { filePath: join(root, filePath) });
    return (result?.messages ?? []).map((message) => message.ruleId);
  };

  it.each([
    ['a library that imports an app', 'libs/bus/src/seeded.ts', "import '@osier/ipam/handlers';"],
    ['an app that imports an app', 'apps/tenant/src/seeded.ts', "import '@osier/ipam/handlers';"],
    ['an app that reaches into an app by path', 'apps/tenant/src/seeded.ts', "import '../../ipam/src/main.ts';"],
    ['contracts that import the domain', 'libs/contracts/src/seeded.ts', "import '@osier/domain/net';"],
    ['domain that imports the store', 'libs/domain/src/seeded.ts', "import '@osier/store/unit';"],
    ['a bus that imports the runtime', 'libs/bus/src/seeded.ts', "import '@osier/runtime/service';"],
    ['shipped code that imports the testing library', 'apps/tenant/src/seeded.ts', "import '@osier/testing/clock';"],
    ['domain that imports a package from npm', 'libs/domain/src/seeded.ts', "import 'rxjs';"],
  ])('finds %s', async (_name, filePath, code) => {
    expect(await findings(filePath, code)).toContain('@nx/enforce-module-boundaries');
  });

  it.each([
    ['a service that imports the domain', 'apps/ipam/src/seeded.ts', "import '@osier/domain/net';"],
    ['a test that imports the testing library', 'apps/ipam/src/seeded.test.ts', "import '@osier/testing/clock';"],
    ['contracts that import the schema library', 'libs/contracts/src/seeded.ts', "import 'zod';"],
  ])('allows %s', async (_name, filePath, code) => {
    expect(await findings(filePath, code)).toEqual([]);
  });

  it.each([
    ['the clock by Date.now', 'export const t = Date.now();', 'no-restricted-syntax'],
    ['the clock by new Date', 'export const t = new Date();', 'no-restricted-syntax'],
    ['random', 'export const r = Math.random();', 'no-restricted-syntax'],
    ['performance', 'export const p = performance.now();', 'no-restricted-globals'],
    ['crypto', 'export const id = crypto.randomUUID();', 'no-restricted-globals'],
    ['Node', "import 'node:fs';", 'no-restricted-imports'],
    ['a barrel', "export * from './net.ts';", 'no-restricted-syntax'],
  ])('keeps %s out of the domain', async (_name, code, rule) => {
    expect(await findings('libs/domain/src/seeded.ts', code)).toContain(rule);
  });

  it('lets the domain make a date from a number', async () => {
    expect(await findings('libs/domain/src/seeded.ts', 'export const day = new Date(0);')).toEqual([]);
  });

  it('refuses an index.ts anywhere', async () => {
    expect(await findings('libs/bus/src/index.ts', 'export const a = 1;')).toContain('no-restricted-syntax');
  });
});

describe('types of the pure layers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'osier-types-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeAll(() => writeFileSync(join(folder, 'package.json'), '{"type":"module"}'));

  const compile = async (layer: string, code: string): Promise<string> => {
    writeFileSync(join(folder, 'seeded.ts'), code);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: join(root, layer, 'tsconfig.json'), include: [join(folder, 'seeded.ts')] }));
    const result = await checkTypes(folder);
    return result.ok ? 'clean' : result.output;
  };

  for (const layer of ['libs/contracts', 'libs/domain']) {
    it.each([
      ['process', 'export const home = process.env;', "'process'"],
      ['fetch', "export const page = fetch('http://localhost');", "'fetch'"],
      ['setTimeout', 'setTimeout(() => undefined, 1);', "'setTimeout'"],
      ['node:fs', "import { readFileSync } from 'node:fs'; export const read = readFileSync;", "'node:fs'"],
    ])(`${layer} does not know %s`, async (_name, code, word) => {
      expect(await compile(layer, code)).toContain(word);
    }, 30_000);

    it(`${layer} compiles plain code`, async () => {
      expect(await compile(layer, 'export const one: number = 1;')).toBe('clean');
    }, 30_000);
  }
});
