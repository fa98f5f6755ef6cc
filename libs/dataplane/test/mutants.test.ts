/** The list of mutants fits the sources and the tests; `node test/mutants.ts` (needs clang) runs them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MUTANTS, mutate } from './mutants.ts';

const library = join(import.meta.dirname, '..');

describe.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('the mutant "%s"', (_name, mutant) => {
  it('changes its source', () => {
    const source = readFileSync(join(library, mutant.file), 'utf8');
    expect(mutate(source, mutant)).not.toBe(source);
  });

  it('names a test that exists', () => {
    expect(readFileSync(join(library, 'test', `${mutant.caughtBy.file}.test.ts`), 'utf8')).toContain(mutant.caughtBy.test);
  });
});

it('covers every border', () => {
  const names = MUTANTS.map((mutant) => mutant.name).join('\n');
  for (const border of ['source address', 'tunnel', 'routing domain', 'no policy', 'recheck', 'networks']) expect(names).toContain(border);
});
