import { describe, expect, it } from '@jest/globals';
import type { StreamState } from '@osier/bus/bus';
import { beginAfter, decide, type Found, type Remembered, stuckAfterMs, type Verdict } from './decide.ts';

const stream = (over: Partial<StreamState> = {}): StreamState => ({ incarnation: 'one', firstSequence: 1, lastSequence: 50, messages: 50, rebuilt: false, replicas: 1, ...over });
const remembered: Remembered = { incarnation: 'one', highest: 50, witness: { subject: 'osier.state.a', sequence: 40 }, state: 'mirror' };
const mirror = (over: Partial<StreamState> = {}) => stream({ incarnation: 'mirror', ...over });
const sound: Found = { changes: stream(), state: mirror(), witnessAt: 40, stuckMs: 0 };

describe('what to do about the streams', () => {
  const cases: readonly [string, Remembered, Found, Verdict['do']][] = [
    ['all is as it was', remembered, sound, 'go-on'],
    ['there is more than was known', remembered, { ...sound, changes: stream({ lastSequence: 90 }), state: mirror({ lastSequence: 90 }) }, 'go-on'],
    ['a database that never saw a stream finds none', { highest: 0 }, { stuckMs: 0 }, 'rebuild'],
    ['a database that never saw a stream finds those of others', { highest: 0 }, sound, 'adopt'],
    ['CHANGES is gone', remembered, { ...sound, changes: undefined }, 'rebuild'],
    ['all is gone', remembered, { stuckMs: 0 }, 'rebuild'],
    ['CHANGES is empty', remembered, { ...sound, changes: stream({ lastSequence: 0, messages: 0 }), witnessAt: undefined }, 'rebuild'],
    ['CHANGES ends before what was seen, though the own message is there', remembered, { ...sound, changes: stream({ lastSequence: 49 }), state: mirror({ lastSequence: 49 }) }, 'rebuild'],
    ['CHANGES was set back, and others have published beyond what was seen since', remembered, { ...sound, changes: stream({ lastSequence: 70 }), state: mirror({ lastSequence: 70 }), witnessAt: 12 }, 'rebuild'],
    ['CHANGES was set back to before the own message', remembered, { ...sound, witnessAt: undefined }, 'rebuild'],
    ['CHANGES has lost all that it had, and counts on', remembered, { ...sound, changes: stream({ firstSequence: 51, messages: 0 }), witnessAt: undefined }, 'rebuild'],
    ['CHANGES has lost its beginning, and with it the own message', remembered, { ...sound, changes: stream({ firstSequence: 41, messages: 10 }), witnessAt: undefined }, 'rebuild'],
    ['STATE is gone, and CHANGES no longer has every version', remembered, { ...sound, changes: stream({ messages: 49 }), state: undefined }, 'rebuild'],
    ['STATE is gone, and CHANGES no longer has its first', remembered, { ...sound, changes: stream({ firstSequence: 2, messages: 49 }), state: undefined }, 'rebuild'],
    ['there is a newer message on the subject of the own one', remembered, { ...sound, witnessAt: 47 }, 'go-on'],
    ['another service has made CHANGES anew, above all that is known here', remembered, { ...sound, changes: stream({ incarnation: 'two', firstSequence: 51, lastSequence: 60 }) }, 'republish'],
    ['another service has made CHANGES anew, and it is still empty', remembered, { ...sound, changes: stream({ incarnation: 'two', firstSequence: 101, lastSequence: 100, messages: 0 }), witnessAt: undefined }, 'republish'],
    ['it was made anew by one who knew less', remembered, { ...sound, changes: stream({ incarnation: 'two', firstSequence: 50, lastSequence: 60 }) }, 'rebuild'],
    ['it was made anew from 1, and has grown beyond what was known', remembered, { ...sound, changes: stream({ incarnation: 'two', lastSequence: 900 }) }, 'rebuild'],
    ['STATE is gone', remembered, { ...sound, state: undefined }, 'mirror'],
    ['STATE is beyond CHANGES', remembered, { ...sound, state: mirror({ lastSequence: 51 }) }, 'mirror'],
    ['STATE is behind, and gets on', remembered, { ...sound, state: mirror({ lastSequence: 10 }), stuckMs: stuckAfterMs.single - 1 }, 'go-on'],
    ['STATE is behind, and does not get on', remembered, { ...sound, state: mirror({ lastSequence: 10 }), stuckMs: stuckAfterMs.single }, 'mirror'],
    ['STATE is behind while the servers of a cluster elect who mirrors it', remembered, { ...sound, state: mirror({ lastSequence: 10, replicas: 3 }), stuckMs: stuckAfterMs.replicated - 1 }, 'go-on'],
    ['STATE is behind in a cluster, and does not get on after all', remembered, { ...sound, state: mirror({ lastSequence: 10, replicas: 3 }), stuckMs: stuckAfterMs.replicated }, 'mirror'],
    ['another service has made STATE anew', remembered, { ...sound, state: mirror({ incarnation: 'another' }) }, 'compare'],
  ];
  it.each(cases)('%s', (_what, before, now, verdict) => expect(decide(before, now)).toMatchObject({ do: verdict }));
});

describe('where a stream begins anew', () => {
  it.each([[0, 1_000_000], [50, 1_000_000], [899_999, 1_000_000], [900_000, 2_000_000], [1_000_007, 2_000_000], [1_950_000, 3_000_000]])('after %i was known: after %i', (highest, after) => {
    expect(beginAfter(highest)).toBe(after);
    expect(after).toBeGreaterThanOrEqual(highest + 100_000);
  });
});
