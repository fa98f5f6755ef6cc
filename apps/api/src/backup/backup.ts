import { writeArchive } from '@osier/runtime/archive';
import { type Answer, type ApiRequest, refusal } from '../answers.ts';
import type { ApiContext } from '../context.ts';
import { doorRecord, insist } from '../record.ts';
import type { Route } from '../routes.ts';
import { takeBackup } from './take.ts';

/** The whole installation as one archive. Nothing is sent before all of it is taken, so that what goes wrong has an answer of its own. */
export const backup = (route: Route) => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  if (context.installation.busy !== undefined) throw busy(context.installation.busy);
  context.installation.busy = 'backed up';
  try {
    await insist(context, doorRecord({ route, params: {}, method: 'POST', path: route.path, who: request.who }, { status: 200, result: 'accepted' }));
    const taken = await takeBackup(context, request.signal);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      try {
        yield* writeArchive(taken.manifest, (part) => taken.content(part));
      } finally {
        taken.remove();
      }
    }
    return { status: 200, type: 'application/x-tar', pieces: pieces() };
  } finally {
    context.installation.busy = undefined;
  }
};

export const busy = (what: string) => refusal(409, 'busy', '', `This installation is being ${what} right now.`, 'Wait until that is done.');
