// What a fresh clone depends on: `npm ci` refuses a lock file that disagrees with any package.json.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from '../root.ts';
import { EXTRA, SUITES } from '../test/suites.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type?: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

const read = <T>(file: string): T => JSON.parse(readFileSync(join(root, file), 'utf8')) as T;
const lock = read<{ packages: Record<string, Manifest> }>('package-lock.json');
const top = read<Manifest>('package.json');
const packages = globSync('{libs,apps}/*/package.json', { cwd: root }).map((file) => dirname(file)).sort();
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

describe.each(['', ...packages])('package %p', (folder) => {
  const manifest = read<Manifest>(join(folder, 'package.json'));

  it('asks for what the lock file holds (else: npm install --package-lock-only under Node 24)', () => {
    for (const kind of KINDS) expect({ [kind]: lock.packages[folder]?.[kind] ?? {} }).toEqual({ [kind]: manifest[kind] ?? {} });
  });

  it('has the version of the workspace and is an ES module', () => {
    expect([manifest.version, manifest.type]).toEqual([top.version, 'module']);
  });

  it('asks for the same version of a package as the root does', () => {
    const pinned = { ...top.dependencies, ...top.devDependencies, ...top.optionalDependencies };
    for (const kind of KINDS) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        if (!name.startsWith('@osier/')) expect(`${name} ${version}`).toBe(`${name} ${pinned[name]}`);
      }
    }
  });
});

it('the lock file names no registry', () => {
  const resolved = Object.values(lock.packages).map((entry) => (entry as { resolved?: string }).resolved ?? '');
  expect(resolved.filter((place) => place.includes('://'))).toEqual([]);
});

it('every test file belongs to exactly one suite', () => {
  const all = globSync('{libs,apps,test,tools}/**/*.test.ts', { cwd: root, exclude: (name) => name === 'node_modules' });
  const suites = [...SUITES, ...EXTRA].flatMap((suite) => (suite.files === undefined || suite.again ? [] : [suite.files]));
  const owned = suites.flatMap((pattern) => globSync(pattern, { cwd: root }));
  expect(owned.sort()).toEqual(all.sort());
});
