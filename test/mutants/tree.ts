// Runs seeded breaks of the sources in a copy of the tree.
import { spawn } from 'node:child_process';
import { cpSync, globSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The jest file that must turn red, from the root of the repository. */
  readonly test: string;
}

export const root = resolve(import.meta.dirname, '../..');

/** All but those of the BPF programs, which need a compiler and have a runner of their own (libs/dataplane/test/mutants.ts). */
export const mutants = globSync('{libs,apps}/*/test/mutants.json', { cwd: root, exclude: (name) => name === 'node_modules' })
  .flatMap((list) => JSON.parse(readFileSync(join(root, list), 'utf8')) as Mutant[])
  .filter((mutant) => mutant.test !== undefined);

/** Those of pure code, whose tests take a moment. */
export const isQuick = (mutant: Mutant): boolean => /^libs\/(domain|contracts)\//.test(mutant.test);

/** How often the text that a mutant replaces is there: once, or the mutant no longer fits what it breaks. */
export const fits = (mutant: Mutant): number => readFileSync(join(root, mutant.file), 'utf8').split(mutant.find).length - 1;

/** A copy of the tree whose packages are its own, and whose dependencies are the installed ones. */
export function copyTree(): string {
  const to = mkdtempSync(join(tmpdir(), 'osier-mutants-'));
  for (const entry of ['libs', 'apps', 'test', 'tools', 'package.json', 'jest.config.mjs', 'tsconfig.base.json']) {
    cpSync(join(root, entry), join(to, entry), { recursive: true, filter: (path) => !path.includes('node_modules') });
  }
  mkdirSync(join(to, 'node_modules/@osier'), { recursive: true });
  const installed = join(root, 'node_modules');
  for (const entry of readdirSync(installed)) if (entry !== '@osier') symlinkSync(join(installed, entry), join(to, 'node_modules', entry));
  for (const kind of ['libs', 'apps']) {
    for (const name of readdirSync(join(to, kind))) {
      if (!lstatSync(join(to, kind, name)).isDirectory()) continue;
      const { name: packageName } = JSON.parse(readFileSync(join(to, kind, name, 'package.json'), 'utf8')) as { name: string };
      mkdirSync(dirname(join(to, 'node_modules', packageName)), { recursive: true });
      symlinkSync(join(to, kind, name), join(to, 'node_modules', packageName));
    }
  }
  return to;
}

/** What breaks everything is seen in a few of many random worlds. */
const few = { OSIER_POLICY_SEEDS: '100', OSIER_WALKS: '40' };

/** Runs one test file in the copy; how many tests failed, and how many passed. */
export function runTest(copy: string, file: string): Promise<{ failed: number; passed: number; output: string }> {
  return new Promise((done) => {
    const report = join(copy, 'report.json');
    rmSync(report, { force: true });
    const args = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--config', 'jest.config.mjs', '--rootDir', copy,
      '--json', `--outputFile=${report}`, '--runInBand', '--forceExit', '--runTestsByPath', file];
    const child = spawn(process.execPath, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...few } });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    child.on('close', () => {
      try {
        const result = JSON.parse(readFileSync(report, 'utf8')) as { numFailedTests: number; numPassedTests: number };
        done({ failed: result.numFailedTests, passed: result.numPassedTests, output });
      } catch {
        done({ failed: 0, passed: 0, output });
      }
    });
  });
}

/** Breaks the copy, runs the mutant's test, mends the copy; how many tests noticed. */
export async function seed(copy: string, mutant: Mutant): Promise<number> {
  const path = join(copy, mutant.file);
  const sound = readFileSync(path, 'utf8');
  try {
    writeFileSync(path, sound.replace(mutant.find, () => mutant.replace));
    return (await runTest(copy, mutant.test)).failed;
  } finally {
    writeFileSync(path, sound);
  }
}
