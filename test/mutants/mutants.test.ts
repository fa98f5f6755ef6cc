// Every border and invariant has a mutant: a seeded break of the sources that a named test must catch. A mutant that survives means
// that the border is not watched. Mutants stand beside what they break, in `libs/*/test/mutants.json` and `apps/*/test/mutants.json`.
// This runs all of them and takes minutes: npm run test:mutants.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rmSync } from 'node:fs';
import { copyTree, fits, mutants, runTest, seed } from './tree.ts';

describe('a seeded break of a border is caught', () => {
  let copy: string;
  beforeAll(() => {
    copy = copyTree();
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it('there are mutants', () => expect(mutants.length).toBeGreaterThan(0));

  it.each([...new Set(mutants.map((mutant) => mutant.test))])('without a break %s is green', async (test) => {
    const sound = await runTest(copy, test);
    expect(sound.output + (sound.failed === 0 && sound.passed > 0 ? 'GREEN' : 'RED')).toMatch(/GREEN$/);
  }, 180_000);

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, mutant) => {
    expect(fits(mutant)).toBe(1);
    expect(await seed(copy, mutant)).toBeGreaterThan(0);
  }, 180_000);
});
