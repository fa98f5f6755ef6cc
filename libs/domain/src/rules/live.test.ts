import { describe, expect, it } from '@jest/globals';
import { policy, policyOfKind } from '../../test/policies.ts';
import { type Fate, whatBecomes } from './live.ts';
import { osierPolicy } from './osier.ts';

describe('a connection that a policy denies since a change', () => {
  it.each<[string, Parameters<typeof policy>[1], Fate]>([
    ['is cut where the policy says nothing', {}, { ends: 'now' }],
    ['is cut', { liveConnections: 'cut' }, { ends: 'now' }],
    ['has a minute to drain', { liveConnections: 'drain' }, { ends: 'within', seconds: 60 }],
    ['has as long as the policy says', { liveConnections: 'drain', drainSeconds: 2 }, { ends: 'within', seconds: 2 }],
    ['is kept', { liveConnections: 'keep' }, { ends: 'by itself' }],
  ])('%s', (_what, spec, fate) => expect(whatBecomes(osierPolicy(policy('p', spec)))).toEqual(fate));

  it.each(['project-policy', 'domain-policy', 'platform-policy'] as const)('is kept by a %s as well', (kind) =>
    expect(whatBecomes(osierPolicy(policyOfKind(kind, 'p', { tier: 'Admin', appliesTo: {}, liveConnections: 'keep' })))).toEqual({ ends: 'by itself' }));
});
