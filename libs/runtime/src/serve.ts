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
      if (attempt % 20 === 0) log.warn({ err: error }, 'waiting for the bus');
      await sleep(Math.min(100 * 2 ** attempt, 1_000), undefined, { signal });
    }
  }
}

/** Runs a service straight on a bus, without Nest: for tests and scenarios. `runService` is for processes. */
export async function serve(service: Service, bus: Bus, log: Log): Promise<{ stop(): Promise<void> }> {
  await prepared(service, log);
  const responding = await Promise.all(service.responders.map((r) => bus.respond(r.pattern, r.queue, r.answer)));
  const consuming = await Promise.all(service.consumers().map((c) => bus.consume(c)));
  await service.start();
  return {
    async stop() {
      await Promise.all([...responding, ...consuming].map((running) => running.stop()));
      await service.stop();
    },
  };
}
