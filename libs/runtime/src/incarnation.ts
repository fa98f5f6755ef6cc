import type { Bus } from '@osier/bus/bus';
import type { Store } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import type { Projection } from './projection.ts';
import { maxRevisionMark } from './relay.ts';

const incarnationMark = 'incarnation';

/**
 * Compares CHANGES with what this database remembers of it. A stream that was made anew, or that has come back shorter, is not
 * believed: lag would look like nothing to do. The database is the truth, so all of it is published again. Returns whether that was needed.
 */
export async function checkIncarnation(bus: Bus, store: Store, projection: Projection, log: Log): Promise<boolean> {
  if (!(await bus.stream('CHANGES'))) await bus.ensureStreams();
  const stream = await bus.stream('CHANGES');
  if (!stream) throw new Error('there is no stream CHANGES');
  const incarnation = await store.mark(incarnationMark);
  const highest = Number((await store.mark(maxRevisionMark)) ?? 0);
  const same = incarnation === undefined || (incarnation === stream.incarnation && stream.lastSequence >= highest);
  if (!same) {
    const entities = await store.republishAll();
    await projection.forget();
    await store.setMark(maxRevisionMark, '0');
    log.error(
      { remembered: { incarnation, highest }, found: { incarnation: stream.incarnation, lastSequence: stream.lastSequence }, entities },
      'CHANGES is not the stream that this database published to, or has lost its end; publishing every document anew. '
      + 'If STATE lags behind CHANGES for ever, stop the services, delete the stream STATE and start them: it is rebuilt from CHANGES.',
    );
  }
  if (incarnation !== stream.incarnation) await store.setMark(incarnationMark, stream.incarnation);
  return !same;
}
