/**
 * Breaks the programs on purpose, one border at a time, and expects the named test to notice. Needs root and clang.
 * `node test/mutants.ts [part of a name]`; exits 1 if a mutant survives.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, LIBRARY } from '../tools/object.ts';

export interface Mutant {
  name: string;
  file: string;
  find: string;
  replace: string;
  caughtBy: { file: string; test: string };
}

export const MUTANTS = JSON.parse(readFileSync(join(import.meta.dirname, 'mutants.json'), 'utf8')) as Mutant[];

/** The source with the mutant in it; throws unless the place is found exactly once. */
export function mutate(source: string, mutant: Mutant): string {
  if (source.split(mutant.find).length !== 2) throw new Error(`"${mutant.name}": its place is not found exactly once in ${mutant.file}`);
  return source.replace(mutant.find, () => mutant.replace);
}

const CLANG = process.env['CLANG'] ?? 'clang-14';
const MODULES = join(LIBRARY, '../../node_modules');

function copyLibrary(folder: string): string {
  const library = join(folder, 'libs/dataplane');
  mkdirSync(library, { recursive: true });
  for (const part of ['bpf', 'src', 'test', 'tools', 'package.json']) cpSync(join(LIBRARY, part), join(library, part), { recursive: true });
  symlinkSync(MODULES, join(folder, 'node_modules'));
  // what was released, for the tests that begin there
  symlinkSync(join(LIBRARY, '../../test'), join(folder, 'test'));
  const transform = { '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023', transform: { verbatimModuleSyntax: true } }, module: { type: 'es6' } }] };
  const config = { rootDir: folder, testEnvironment: 'node', extensionsToTreatAsEsm: ['.ts'], transform, testMatch: ['**/*.test.ts'] };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'jest.json'), JSON.stringify(config));
  return library;
}

function testsPass(folder: string, file: string, test: string): boolean {
  const jest = join(MODULES, 'jest/bin/jest.js');
  const args = ['--experimental-vm-modules', '--no-warnings', jest, '--config', join(folder, 'jest.json'), `test/${file}.test.ts`, '-t', test];
  try {
    execFileSync(process.execPath, args, { cwd: folder, stdio: 'pipe' });
    return true;
  } catch (error) {
    const output = String((error as { stderr?: Buffer }).stderr);
    // a red test is wanted, not a run that never came so far
    if (!/✕|●/.test(output) || /Test suite failed to run|load-failed/.test(output)) throw new Error(output, { cause: error });
    return false;
  }
}

function survives(mutant: Mutant): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'osier-mutant-'));
  try {
    const library = copyLibrary(folder);
    if (!testsPass(folder, mutant.caughtBy.file, mutant.caughtBy.test)) throw new Error(`"${mutant.name}": its test is red without it`);
    const path = join(library, mutant.file);
    writeFileSync(path, mutate(readFileSync(path, 'utf8'), mutant));
    compile(library, join(library, 'bpf/osier.bpf.o'), CLANG);
    return testsPass(folder, mutant.caughtBy.file, mutant.caughtBy.test);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const wanted = MUTANTS.filter((mutant) => mutant.name.includes(process.argv[2] ?? ''));
  const alive = wanted.filter((mutant) => {
    const survived = survives(mutant);
    console.log(`${survived ? 'SURVIVED' : 'caught  '}  ${mutant.name}`);
    return survived;
  });
  if (alive.length > 0) process.exitCode = 1;
}
