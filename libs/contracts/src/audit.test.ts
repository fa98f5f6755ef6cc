import { describe, expect, it } from '@jest/globals';
import { auditSubject } from './audit.ts';

describe('where a record of the door is kept', () => {
  const subjects = [
    { credential: 'ci', home: 'acme' }, { credential: 'ci', home: 'rival' }, { credential: 'platform-ci' }, { credential: '_' }, { credential: 'ci-done', home: 'acme' }, { credential: 'acme-ci' },
  ].flatMap((who) => (['refused', 'accepted'] as const).map((result) => auditSubject({ ...who, result })));
  it('is a subject for each credential, and another for what it did, so that neither pushes out the other', () => {
    expect(new Set(subjects).size).toBe(subjects.length);
    expect(subjects.slice(0, 2)).toEqual(['osier.audit.acme_ci', 'osier.audit.acme_ci_done']);
  });
  it('which the stream takes', () => {
    for (const subject of subjects) expect(subject).toMatch(/^osier\.audit\.[A-Za-z0-9_-]+$/);
  });
});
