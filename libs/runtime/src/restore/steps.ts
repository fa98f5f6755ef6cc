import type { RestoreAnswer } from '@osier/contracts/backup';
import type { Service } from '@osier/contracts/kinds';
import { type Problem, problem } from '@osier/contracts/problem';
import type { QueryRequest } from '@osier/contracts/queries';
import { restoreMark } from '@osier/store/dump';
import type { Store } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import { isWhole, look, setStanding, standingOf, standingText } from './phase.ts';
import { Received } from './receive.ts';

type Request = QueryRequest<'tenant.restore'>;
export interface RestoreDeps {
  readonly service: Service;
  readonly store: Store;
  readonly log: Log;
  /** Where files may be put that are removed again. */
  readonly folder: string;
  /** Ends this life of the service after the answer is out; the next one looks at the database anew. Absent: it cannot be restored. */
  readonly restart?: ((why: string) => void) | undefined;
}

/** The steps of a restore while the service works: it can be asked, and can be told to stop working. */
export function restoreWhileWorking({ service, store, log, restart }: RestoreDeps, ready: () => boolean): (request: Request) => Promise<RestoreAnswer | Problem> {
  return async ({ action, archive }) => {
    const now = await look(service, store, true, ready());
    if (action === 'look') return now;
    if (action === 'finish' && now.phase === 'done' && now.archive === archive) return now;
    if (action !== 'begin' || archive === undefined) return problem('not-begun', 'action', `${service} has not begun to be restored.`, 'Run osier restore again.');
    if (now.holds !== undefined) return notEmpty(service, now.holds);
    if (!restart) return problem('cannot-restart', '', `${service} cannot be started anew by itself.`, 'Run it under a supervisor.');
    await setStanding(store, { phase: 'begun', archive });
    log.warn({ archive }, 'this service is being restored from a backup: it decides nothing until that is done');
    const begun = await look(service, store, false, false);
    restart('a restore was begun');
    return begun;
  };
}

export const notEmpty = (service: string, holds: string): Problem =>
  problem('not-empty', '', `This installation is not empty: ${service} has ${holds}. A restore would lose it.`, 'Restore into an installation that was just made, with nothing in it but nodes, domains and credentials.');

/** The steps of a restore while the service does nothing else. */
export function restoreWhileWaiting({ service, store, log, folder, restart }: RestoreDeps): { answer: (request: Request) => Promise<RestoreAnswer | Problem>; close(): void } {
  let received: Received | undefined;
  const close = (): void => {
    received?.remove();
    received = undefined;
  };
  const load = async (archive: string, schema: string, sha256: string): Promise<Problem | undefined> => {
    if (!received || (await received.sha256()) !== sha256) return problem('dump-incomplete', 'sha256', `${service} has not got all of its dump.`, 'Run osier restore again.');
    const rows = await store.load(received.rows(schema), new Map([[restoreMark, standingText({ phase: 'loaded', archive })]]));
    log.warn({ archive, rows }, 'the database was loaded from a backup');
    close();
    return undefined;
  };
  const answer = async (request: Request): Promise<RestoreAnswer | Problem> => {
    const { action, archive, offset = 0, data = '', schema = '', sha256 = '' } = request;
    const { phase, archive: begun } = await standingOf(store);
    const now = () => look(service, store, false, false);
    if (action === 'look') return now();
    if (archive === undefined) return problem('required', 'archive', 'Which backup is meant is not said.', 'Run osier restore again.');
    if (action === 'begin') {
      close();
      await setStanding(store, { phase: 'begun', archive });
      return now();
    }
    if (begun !== archive) return problem('another-archive', 'archive', `${service} is being restored from another backup, ${begun?.slice(0, 12)}….`, 'Let one restore end before another begins.');
    if (action === 'write') {
      received ??= new Received(folder, service);
      await received.write(offset, Buffer.from(data, 'base64'));
    } else if (action === 'load') {
      const failed = phase === 'loaded' ? undefined : await load(archive, schema, sha256);
      if (failed) return failed;
    } else if (phase === 'begun') return problem('not-loaded', 'action', `${service} is not loaded yet.`, 'Run osier restore again.');
    else if (!isWhole({ phase })) {
      await setStanding(store, { phase: 'done', archive });
      log.warn({ archive }, 'restored from a backup: starting anew with it');
      const done = await now();
      restart?.('a restore is done');
      return done;
    }
    return now();
  };
  return { answer, close };
}
