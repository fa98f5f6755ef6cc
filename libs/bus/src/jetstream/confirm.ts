import { randomUUID } from 'node:crypto';
import { BusUnavailable } from '../bus.ts';
import { type Api, apiCodes, hasCode } from './api.ts';

/**
 * In a cluster, a server answers for a stream that it leads, and goes on doing so for up to ten seconds after it was cut off; one that has just been elected
 * answers before it has worked off what was accepted under the one before. Neither is wrong about what it says, only behind.
 *
 * What goes through a log is behind nothing: it is answered when most servers have it, by one that has done everything before it.
 */

/** Returns when something that changes nothing has gone through the log of the stream: what its leader says now is all that was accepted before. A stream that is not there is no error. */
export async function passThrough(api: Api, stream: string): Promise<void> {
  try {
    // No message has the sequence 0; that there is none is found out by each copy for itself.
    await api(`STREAM.MSG.DELETE.${stream}`, { seq: 0, no_erase: true });
  } catch (error) {
    // Streams that nothing may be taken out of refuse it before it gets there.
    if (!hasCode(error, apiCodes.deleteFailed) && !hasCode(error, apiCodes.streamNotFound)) throw error;
  }
}

const probeSubject = 'osier.probe';
/** Few and known, so that a service can be allowed to remove them and no other stream. */
export const probeNames: readonly string[] = Array.from({ length: 16 }, (_, index) => `PROBE-${index}`);
const tries = 5;

/** The same for the log of the cluster itself, in which it says which streams there are: a stream in memory is made and removed. */
export async function confirmAbsence(api: Api): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const name = probeNames[Math.floor(Math.random() * probeNames.length)] ?? '';
    try {
      // Marked, since one that is there and just the same would be answered for without the log.
      await api(`STREAM.CREATE.${name}`, { name, subjects: [`${probeSubject}.${name}`], storage: 'memory', retention: 'limits', num_replicas: 1, max_msgs: 1, max_bytes: 1_024, metadata: { mark: randomUUID() } });
      return;
    } catch (error) {
      // Another service's, or one that was left behind.
      if (hasCode(error, apiCodes.streamNameInUse) && attempt < tries) continue;
      throw new BusUnavailable(`a stream seems to be missing, and the server cannot confirm it: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await api(`STREAM.DELETE.${name}`).catch(() => undefined);
    }
  }
}
