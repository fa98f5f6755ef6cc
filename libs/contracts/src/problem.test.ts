import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { applySchema } from './catalogue.ts';
import { nameSchema } from './names.ts';
import { parse, type Problem } from './problem.ts';

const refused = (kind: 'network' | 'endpoint', body: unknown): Problem => {
  const parsed = parse(applySchema(kind), body);
  if (parsed.ok) throw new Error('accepted');
  return parsed.problem;
};
const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));

describe('a refusal', () => {
  it('shows what was written', () => {
    expect(refused('network', { name: 'main', spec: { subnets: { a: [1, 'x'] } } }).reason).toBe('"spec.subnets" must be a list, and is {"a":[1,"x"]}.');
    expect(refused('network', { name: 'main', spec: { subnets: 'x'.repeat(100) } }).reason).toContain('(102 characters)');
  });
  it.each([[{ length: [{ toString: 1, valueOf: 1 }] }], [{ length: { toString: 1, valueOf: 1 } }]])('can be made of an object in the place of a text, whose length is no number: %j', (name) => {
    expect(parse(z.strictObject({ name: nameSchema }), { name })).toMatchObject({ ok: false, problem: { code: 'wrong-type' } });
  });
  it('can be made of something nested a hundred thousand deep', () => {
    expect(refused('network', { name: 'main', spec: { subnets: nested(100_000) } }).reason.length).toBeLessThan(200);
    expect(refused('network', nested(100_000)).code).toBe('wrong-type');
  });
  it('stays short, however long the keys are that somebody wrote', () => {
    const spec = { network: 'main', node: 'n', attachment: { containerId: 'c' } };
    for (const tags of [{ ['"'.repeat(100_000)]: 'v' }, { ['a'.repeat(100_000)]: 'v' }, { ok: { ['b'.repeat(100_000)]: 1 } }]) {
      expect(JSON.stringify(refused('endpoint', { name: 'e', spec: { ...spec, tags } })).length).toBeLessThan(1_500);
    }
    expect(JSON.stringify(refused('endpoint', { name: 'e', spec, ['c'.repeat(100_000)]: 1 })).length).toBeLessThan(1_500);
  });
});
