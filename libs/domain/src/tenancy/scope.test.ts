import { describe, expect, it } from '@jest/globals';
import type { AnyDocument, Document, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { document, domain, environment, expectRefusal, project, staging } from '../../test/documents.ts';
import type { Reader } from '../service.ts';
import { remnants } from './remnants.ts';
import { missingScope, missingScopeElsewhere, scopeFacts } from './scope.ts';

/** A reader over what `documents()` returns at the time of asking. */
const reader = (documents: () => readonly AnyDocument[]): Reader => ({
  get: () => Promise.reject(new Error('not asked for here')),
  list: () => Promise.reject(new Error('not asked for here')),
  byName: <K extends Kind>(kind: K, scope: Scope, name: string) =>
    Promise.resolve(documents().find((d) => d.kind === kind && d.name === name && d.domain === scope.domain && d.project === scope.project && d.environment === scope.environment) as Document<K> | undefined),
});

describe('a scope whose levels must exist', () => {
  const all = [domain(), project(), environment()];

  it.each<[string, AnyDocument[], string]>([
    ['domain', [], 'domain'], ['project', [domain()], 'project'], ['environment', [domain(), project()], 'environment'],
  ])('names the %s that is missing', async (level, there, path) => {
    expectRefusal(missingScope(staging, await scopeFacts(reader(() => there), staging)), `unknown-${level}`, path);
  });
  it('is fine when all are there', async () => expect(missingScope(staging, await scopeFacts(reader(() => all), staging))).toBeUndefined());
  it("does not take another domain's project for its own", async () => {
    const foreign = [domain(), project('shop', 'rival'), domain('rival')];
    expectRefusal(missingScope(staging, await scopeFacts(reader(() => foreign), staging)), 'unknown-project', 'project');
  });
  it('asks only for the levels that the scope names', async () => {
    const scope = { domain: 'acme', project: '_', environment: '_' };
    expect(missingScope(scope, await scopeFacts(reader(() => [domain()]), scope))).toBeUndefined();
  });
  it('is looked at again after catching up, before anything is refused', async () => {
    let there: readonly AnyDocument[] = [domain()];
    let asked = 0;
    const catchUp = async (): Promise<void> => {
      asked++;
      there = all;
    };
    expect(await missingScopeElsewhere(staging, reader(() => there), catchUp)).toBeUndefined();
    expect(await missingScopeElsewhere(staging, reader(() => there), catchUp)).toBeUndefined();
    expect(asked).toBe(1);
  });
});

describe('what an environment leaves behind', () => {
  const at = (name: string, createdAt: string): AnyDocument => document('policy', name, { appliesTo: {}, priority: 1 }, {}, { ...staging, createdAt });
  const old = at('old', '2026-01-01T00:00:00.000Z');
  const young = at('young', '2026-01-03T00:00:00.000Z');

  it('goes with it', () => expect(remnants([old, young], undefined).map((p) => [p.name, p.phase])).toEqual([['old', 'deleted'], ['young', 'deleted']]));
  it('does not include what belongs to a successor of the same name', () => {
    const successor = environment(staging, { createdAt: '2026-01-02T00:00:00.000Z' });
    expect(remnants([old, young], successor).map((p) => p.name)).toEqual(['old']);
  });
});
