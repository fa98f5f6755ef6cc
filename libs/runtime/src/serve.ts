import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '@osier/bus/bus';
import type { Log } from '@osier/telemetry/log';
import type { Service } from './service.ts';

/** Repeats `prepare` until it succeeds: the bus and the services come up in any order. */
export async function prepared(service: Pick<Service, 'prepare'>, log: Log, signal?: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await service.prepare();
    } catch (error) {
      signal?.throwIfAborted();
      // What waiting does not mend.
      if (error instanceof Error && 'fix' in error) throw error;
      if (attempt % 20 === 0) log.warn({ err: error }, 'waiting for the bus');
      await sleep(Math.min(100 * 2 ** attempt, 1_000), undefined, signal ? { signal } : {});
    }
  }
}

/** Runs a service straight on a bus, without Nest: for tests and scenarios. `runService` is for processes. `signal` ends a start that does not get on. */
export async function serve(service: Service, bus: Bus, log: Log, signal?: AbortSignal): Promise<{ stop(): Promise<void> }> {
  const running: { stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    service.letGo();
    await Promise.all(running.map((one) => one.stop()));
    await service.stop();
  };
  try {
    await prepared(service, log, signal);
    for (const { pattern, queue, answer } of service.responders) running.push(await bus.respond(pattern, queue, answer));
    for (const consumer of service.consumers()) running.push(await bus.consume(consumer));
    await service.start();
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
