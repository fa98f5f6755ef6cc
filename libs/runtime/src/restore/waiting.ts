import type { Bus } from '@osier/bus/bus';
import { responders } from '../queries.ts';
import { type RestoreDeps, restoreWhileWaiting } from './steps.ts';

/** All that a service does whose database is half restored: it waits for the restore to go on, and says so. Nothing is read, decided or published. */
export async function waitForRestore(deps: RestoreDeps & { readonly bus: Bus }): Promise<{ stop(): Promise<void> }> {
  const { service, store, bus, log } = deps;
  const { answer, close } = restoreWhileWaiting(deps);
  const answers = { [`${service}.restore`]: answer };
  const running: { stop(): Promise<void> }[] = [];
  for (const responder of responders(service, store.read, () => answers, log, 'being-restored')) running.push(await bus.respond(responder.pattern, responder.queue, responder.answer));
  log.error({}, 'A restore of this installation was begun and is not done: nothing is decided. Run `osier restore` with the same file (again) until it says that it is done.');
  return {
    stop: async () => {
      await Promise.all(running.map((one) => one.stop()));
      close();
    },
  };
}
