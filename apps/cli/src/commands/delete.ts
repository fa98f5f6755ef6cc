import { writableKinds } from '@osier/contracts/kinds';
import { change } from '../change.ts';
import type { Wish } from '../documents.ts';
import { duration } from '../duration.ts';
import { type ExitCode, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { completePlace, kindOf, shownPath } from '../place.ts';
import { sessionOf } from '../session.ts';
import { type ApplyOptions, applyFiles, finish } from './apply.ts';

export async function remove(io: Io, kindText: string | undefined, name: string | undefined, options: ApplyOptions): Promise<ExitCode> {
  if (options.file !== undefined) {
    if (kindText !== undefined) throw usage('give either KIND and NAME, or -f, not both.');
    return applyFiles(io, options, 'DELETE');
  }
  if (kindText === undefined || name === undefined) throw usage('what is to be deleted?', 'osier delete KIND NAME, or osier delete -f FILE');
  const found = kindOf(kindText);
  const kind = writableKinds.find((k) => k === found);
  if (kind === undefined) throw usage(`a ${found} is made and removed by Osier itself.`, `Kinds that can be deleted: ${writableKinds.join(', ')}.`);
  const session = sessionOf(io, options);
  const place = completePlace(kind, session.place);
  const timeoutMs = duration(options.timeout);
  const result = await change(session.client, { method: 'DELETE', kind, place, name, timeoutMs, signal: io.signal });
  const nowhere = { file: '', value: undefined, error: undefined, lineOf: () => 0 };
  const wish: Wish = { kind, place, name, spec: undefined, path: shownPath(kind, place, name.slice(0, 63)), at: nowhere };
  return finish(session, new Map([[wish, result]]), 'DELETE', { wait: options.wait === true, timeoutMs });
}
