// The mutants of pure code are run here, those of everything else by `npm run test:mutants`; that all of them still fit what they break is checked for each.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree, fits, isQuick, mutants, root, seed } from '../mutants/tree.ts';

describe('a mutant', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('still fits what it breaks: %s', (_name, mutant) => {
    expect({ fits: fits(mutant), test: existsSync(join(root, mutant.test)) }).toEqual({ fits: 1, test: true });
  });
});

describe('a seeded break of a decision is caught', () => {
  let copy: string;
  beforeAll(() => {
    copy = copyTree();
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it.each(mutants.filter(isQuick).map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, mutant) => {
    expect(await seed(copy, mutant)).toBeGreaterThan(0);
  }, 60_000);
});
