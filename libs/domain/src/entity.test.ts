import { describe, expect, it } from '@jest/globals';
import { changesOf, document, expectRefusal, id, ids, project, staging } from '../test/documents.ts';
import { applied, deleted, same } from './entity.ts';

describe('equal by value', () => {
  it.each<[unknown, unknown, boolean]>([
    [{ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }, true], [{ a: 1 }, { a: 1, b: undefined }, true], [{ a: 1 }, { a: 1, b: null }, false],
    [[1, 2], [2, 1], false], [[], {}, false], [{ 0: 1 }, [1], false], ['1', 1, false], [null, undefined, false], [null, {}, false],
  ])('%j and %j: %s', (a, b, expected) => expect([same(a, b), same(b, a)]).toEqual([expected, expected]));
});

describe('apply', () => {
  const scope = { domain: 'acme', project: '_', environment: '_' };
  const current = project();
  const apply = (body: { name: string; spec: { description?: string }; expectedVersion?: number }, there = true) =>
    applied('project', scope, body, there ? current : undefined, () => ({ id: ids()(), status: {} }));

  it('makes what is not there, in the scope that is the thing itself', () => {
    expect(apply({ name: 'shop', spec: {} }, false)).toEqual({
      result: 'accepted', puts: [{ kind: 'project', id: id(1), name: 'shop', parent: '_', phase: 'active', domain: 'acme', project: 'shop', environment: '_', spec: {}, status: {} }],
    });
  });
  it('changes nothing where nothing is different', () => expect(apply({ name: 'shop', spec: {} })).toEqual({ result: 'accepted', puts: [] }));
  it('keeps the id of what it changes', () => expect(apply({ name: 'shop', spec: { description: 'x' } })).toMatchObject({ puts: [{ id: current.id, spec: { description: 'x' } }] }));
  it('refuses another version than its author expected', () => {
    expectRefusal(apply({ name: 'shop', spec: {}, expectedVersion: 2 }), 'version-conflict', 'expectedVersion');
    expectRefusal(apply({ name: 'shop', spec: {}, expectedVersion: 0 }), 'version-conflict', 'expectedVersion');
    expectRefusal(apply({ name: 'shop', spec: {}, expectedVersion: 1 }, false), 'version-conflict', 'expectedVersion');
    expect(changesOf(apply({ name: 'shop', spec: { description: 'x' }, expectedVersion: 1 }))).toHaveLength(1);
    expect(changesOf(apply({ name: 'shop', spec: {}, expectedVersion: 0 }, false))).toHaveLength(1);
  });
});

describe('delete', () => {
  it('leaves a tombstone, and nothing of what was not there', () => {
    expect(changesOf(deleted({ name: 'shop' }, project()))).toEqual([{ kind: 'project', name: 'shop', phase: 'deleted' }]);
    expect(changesOf(deleted({ name: 'shop' }, undefined))).toEqual([]);
  });
  it('refuses what is in use, and names by what', () => {
    const users = [1, 2, 3, 4, 5].map((n) => document('environment', `e${n}`, {}, {}, staging));
    const decision = deleted({ name: 'shop' }, project(), users);
    expectRefusal(decision, 'in-use', 'name');
    expect(decision).toMatchObject({ problem: { reason: expect.stringMatching(/acme\/shop\/e1.*and 2 more/) } });
  });
  it('refuses another version', () => expectRefusal(deleted({ name: 'shop', expectedVersion: 7 }, project()), 'version-conflict', 'expectedVersion'));
});
