import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkObject } from './cluster.ts';

/** Objects, most of them broken at random, and what the code of a Kubernetes API server said of each: test/reach/recorder. */
interface Recorded { readonly accepted: boolean; readonly fields?: readonly string[]; readonly object: unknown }
const recorded = readFileSync(join(import.meta.dirname, '../../test/reach/recorded.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Recorded);

describe('what the code of an API server said', () => {
  it('of objects of every kind is what is said here, of the same fields', () => {
    const differing = recorded.flatMap(({ accepted, fields, object }) => {
      const problems = checkObject(object).problems.filter(({ warning }) => warning !== true);
      const ours = [...new Set(problems.map(({ path }) => path))].sort();
      return (problems.length === 0) === accepted && (fields === undefined || JSON.stringify(fields) === JSON.stringify(ours)) ? [] : [{ object, accepted, fields, problems }];
    });
    expect(differing).toEqual([]);
    expect(recorded.filter(({ accepted }) => accepted).length).toBeGreaterThan(150);
    expect(recorded.filter(({ accepted }) => !accepted).length).toBeGreaterThan(400);
  });
});
