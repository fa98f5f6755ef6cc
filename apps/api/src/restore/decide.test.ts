import { describe, expect, it } from '@jest/globals';
import type { Manifest, RestoreAnswer } from '@osier/contracts/backup';
import { planRestore } from './decide.ts';

const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
const names = ['tenant', 'ipam', 'topology', 'policy'] as const;
const manifest: Manifest = {
  format: 1, osier: '0.1.0', madeAt: '2026-01-01T00:00:00Z', revision: 1, pauseMs: 0, begins: {},
  parts: names.map((service) => ({ type: 'database', service, name: service, schema: '0002-holds', rows: {}, bytes: 0, sha256: a })),
};
const empty: RestoreAnswer = { phase: 'none', working: true, ready: true, schemas: ['0001-initial', '0002-holds'] };
const begun: RestoreAnswer = { ...empty, phase: 'begun', archive: a, working: false };
const loaded: RestoreAnswer = { ...begun, phase: 'loaded' };
const done: RestoreAnswer = { ...empty, phase: 'done', archive: a, holds: 'domain "acme"' };
const looks = (...all: RestoreAnswer[]) => new Map(names.map((name, index) => [name as string, all[index] ?? (all.at(-1) as RestoreAnswer)]));
const plan = (archive: string, ...all: RestoreAnswer[]) => {
  const made = planRestore(manifest, archive, looks(...all));
  return made.do === 'refuse' ? made.problem.code : made.do;
};

describe('what becomes of a restore', () => {
  it.each([
    ['an empty installation', a, [empty], 'begin'],
    ['one service has something', a, [empty, empty, { ...empty, holds: 'network "main"' }, empty], 'not-empty'],
    ['one was restored before and emptied since', b, [{ ...done, holds: undefined } as unknown as RestoreAnswer], 'begin'],
    ['interrupted before any service had begun', a, [begun, empty, empty, empty], 'begin'],
    ['interrupted while loading', a, [loaded, begun, begun, begun], 'begin'],
    ['interrupted while loading, another backup now', b, [loaded, begun, begun, begun], 'begin'],
    ['interrupted when all were loaded', a, [loaded], 'finish'],
    ['interrupted while finishing', a, [done, done, loaded, loaded], 'finish'],
    ['interrupted while finishing, another backup now', b, [done, done, loaded, loaded], 'another-archive'],
    ['done', a, [done], 'restored-already'],
    ['done, another backup now', b, [done], 'not-empty'],
    ['one service does not know the schema', a, [empty, { ...empty, schemas: ['0001-initial'] }], 'newer-schema'],
  ])('%s: %s', (_what, archive, all, expected) => {
    expect(plan(archive, ...all)).toBe(expected);
  });
});
