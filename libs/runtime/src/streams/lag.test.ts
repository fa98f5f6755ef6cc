import { describe, expect, it } from '@jest/globals';
import type { StreamState } from '@osier/bus/bus';
import { streams } from '@osier/contracts/streams';
import { rowsAtOnce } from '../relay.ts';
import { mayLag, MirrorBehind, MirrorLag, mostLag, rowsPerLook } from './lag.ts';

const at = (lastSequence: number, firstSequence = 1): StreamState => ({ incarnation: 'one', firstSequence, lastSequence, messages: 1, rebuilt: false, replicas: 3 });
function streamsAt(state: number, changes: number) {
  const given = { STATE: state, CHANGES: changes, looks: 0 };
  return { given, lag: new MirrorLag({ stream: async (name) => (given.looks++, at(given[name as 'STATE' | 'CHANGES'])) }) };
}

describe('how far CHANGES may be ahead of STATE', () => {
  it('no version of an object goes from CHANGES before STATE has it, whichever services publish when', () => {
    expect(mostLag(rowsAtOnce)).toBeLessThan(streams.CHANGES.maxPerSubject);
  });
  it('given a mirror that is near, publishes, and looks again only now and then', async () => {
    const { given, lag } = streamsAt(1_000, 1_000 + mayLag);
    for (let row = 0; row < rowsPerLook; row++) await lag.allow(1);
    expect(given.looks).toBe(2);
    await lag.allow(1);
    expect(given.looks).toBe(4);
  });
  it('given streams that were made anew, of which the mirror has nothing yet, publishes', async () => {
    const lag = new MirrorLag({ stream: async (name) => (name === 'STATE' ? at(0, 0) : at(3_000_000, 3_000_001)) });
    await lag.allow(1);
  });
  it('given one that stands still, waits until it is nearer', async () => {
    const { given, lag } = streamsAt(1_000, 1_001 + mayLag);
    await expect(lag.allow(1)).rejects.toBeInstanceOf(MirrorBehind);
    given.STATE += 1;
    await lag.allow(1);
  });
});
