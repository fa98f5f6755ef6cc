import type { Service } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import type { QueryRequest, QueryResponse } from '@osier/contracts/queries';
import { refusal } from '../answers.ts';
import { ask, platform } from '../ask.ts';
import type { ApiContext } from '../context.ts';

export const services = Object.keys({ tenant: 1, ipam: 1, topology: 1, policy: 1 } satisfies Record<Service, 1>) as Service[];

/** Milliseconds: longer than a service gives itself to come to rest. */
const stillWithin = 60_000;
const releaseWithin = 5_000;
const renewEvery = limits.holdLeaseMs / 4;

export const askHold = (context: ApiContext, service: Service, request: QueryRequest<'tenant.hold'>, timeoutMs: number): Promise<QueryResponse<'tenant.hold'>> =>
  ask(context, `${service}.hold` as 'tenant.hold', platform, request, timeoutMs);

const broken = (service: string) =>
  refusal(503, 'hold-broken', '', `${service} did not hold still until everything was taken; it was started anew, or the api was too slow.`, 'Make the backup again.');

/**
 * Has all services hold still while `work` is done, and go on afterwards, whatever happens. Throws a Refusal where one does not answer, or did not hold still
 * all the time: then what was taken does not belong together.
 */
export async function whileStill<T>(context: ApiContext, id: string, signal: AbortSignal, work: () => Promise<T>, longestMs: number = limits.holdLongestMs): Promise<{ result: T; pauseMs: number }> {
  const since = performance.now();
  const over = AbortSignal.any([signal, AbortSignal.timeout(longestMs)]);
  const renewal = setInterval(() => {
    for (const service of services) askHold(context, service, { hold: id, action: 'hold' }, stillWithin).catch(() => undefined);
  }, renewEvery);
  const release = () => Promise.all(services.map(async (service) => ({ service, ...(await askHold(context, service, { hold: id, action: 'release' }, releaseWithin).catch(() => ({ held: false }))) })));
  try {
    const result = await until(over, signal, async () => {
      await Promise.all(services.map(async (service) => {
        if (!(await askHold(context, service, { hold: id, action: 'hold' }, stillWithin)).held) throw broken(service);
      }));
      return work();
    });
    clearInterval(renewal);
    const lost = (await release()).find(({ held }) => !held);
    if (lost) throw broken(lost.service);
    return { result, pauseMs: Math.round(performance.now() - since) };
  } catch (error) {
    clearInterval(renewal);
    await release();
    throw error;
  }
}

/** What `work` makes, unless the time is over first, or nobody wants it any more. */
function until<T>(over: AbortSignal, gone: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(gone.aborted
      ? refusal(503, 'stopped', '', 'The backup was broken off.', 'Make it again.')
      : refusal(503, 'pause-too-long', '', 'The services would have had to hold still for too long.', 'Make it again on a quicker disk, or when there is less load.'));
    if (over.aborted) return stop();
    over.addEventListener('abort', stop, { once: true });
    work().then(resolve, reject).finally(() => over.removeEventListener('abort', stop));
  });
}
