// The locks between the layers must bite: each seed is wrong on purpose, and the check must say so.
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import { makeGraph } from './graph.ts';
import { checkTypes, typeProjects } from './types.ts';
import { root } from '../root.ts';

/** Name under which others would import a room of a package, such as @osier/domain/net. */
function room(folder: string): string {
  const { name, exports } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { name: string; exports?: object };
  if (exports === undefined) return `${name}/src/${file(folder)}`;
  return join(name, (Object.keys(exports)[0] ?? '').replace('*', file(folder).replace(/\.ts$/, '')));
}

/** Some source file of a package, relative to its src; a package that has none yet gets an invented one. */
const file = (folder: string): string => globSync('**/*.ts', { cwd: join(root, folder, 'src') }).filter((name) => !name.endsWith('.test.ts')).sort()[0] ?? 'invented.ts';

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
    ['a library that imports an app', 'libs/bus', 'apps/ipam'],
    ['an app that imports an app', 'apps/tenant', 'apps/ipam'],
    ['contracts that import the domain', 'libs/contracts', 'libs/domain'],
    ['domain that imports the store', 'libs/domain', 'libs/store'],
    ['domain that imports the bus', 'libs/domain', 'libs/bus'],
    ['a bus that imports the runtime', 'libs/bus', 'libs/runtime'],
    ['shipped code that imports the testing library', 'apps/tenant', 'libs/testing'],
  ])('finds %s, by name and by path', async (_name, from, to) => {
    expect(await findings(`${from}/src/seeded.ts`, `import '${room(to)}';`)).toContain('@nx/enforce-module-boundaries');
    expect(await findings(`${from}/src/seeded.ts`, `import '../../../${to}/src/${file(to)}';`)).toContain('@nx/enforce-module-boundaries');
  });

  it('finds a package from npm in the domain', async () => {
    expect(await findings('libs/domain/src/seeded.ts', "import 'rxjs';")).toContain('@nx/enforce-module-boundaries');
  });

  it.each([
    ['a service that imports the domain', 'apps/ipam/src/seeded.ts', room('libs/domain')],
    ['a test that imports the testing library', 'apps/ipam/src/seeded.test.ts', room('libs/testing')],
    ['contracts that import the schema library', 'libs/contracts/src/seeded.ts', 'zod'],
  ])('allows %s', async (_name, filePath, name) => {
    expect(await findings(filePath, `import '${name}';`)).toEqual([]);
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

describe('promises', () => {
  it('that nobody awaits are found', async () => {
    const eslint = new ESLint({ cwd: root, overrideConfigFile: join(root, 'tools/check/promises.config.mjs') });
    const filePath = join(root, 'libs/domain/src', file('libs/domain'));
    const [result] = await eslint.lintText('Promise.resolve(1);\nexport {};\n', { filePath });
    expect(result?.messages.map((message) => message.ruleId)).toEqual(['@typescript-eslint/no-floating-promises']);
  }, 60_000);
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

  it('are checked under their own settings', () => {
    expect(typeProjects()).toEqual(expect.arrayContaining(['.', 'libs/contracts', 'libs/domain']));
  });

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
