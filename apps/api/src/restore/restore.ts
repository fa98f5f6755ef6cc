import { tokenSchema } from '@osier/contracts/names';
import { limits } from '@osier/contracts/limits';
import type { Problem } from '@osier/contracts/problem';
import { ArchiveProblem } from '@osier/runtime/archive-problem';
import { type Verified, verifyArchive } from '@osier/runtime/archive';
import { type Answer, type ApiRequest, busAway, Refusal, refusal } from '../answers.ts';
import { busy } from '../backup/backup.ts';
import type { ApiContext } from '../context.ts';
import { doorRecord, insist, remember } from '../record.ts';
import type { Route } from '../routes.ts';
import { carryOut, lookAll, nodesAhead, type Progress } from './carry-out.ts';
import { planRestore } from './decide.ts';

const idOf = (request: ApiRequest): string => {
  const id = request.params['restore'] ?? '';
  if (!tokenSchema.safeParse(id).success) throw refusal(404, 'unknown-restore', 'restore', 'There is no such restore.', 'Run osier restore again.');
  return id;
};

export async function openRestore(context: ApiContext): Promise<Answer> {
  if (context.installation.busy !== undefined) throw busy(context.installation.busy);
  const id = context.newId();
  context.installation.uploads.begin(id);
  return { status: 201, body: { restore: id, pieceBytes: limits.restoreChunkBytes } };
}

export async function sendRestore(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const offset = Number(request.params['offset']);
  if (!/^\d{1,15}$/.test(request.params['offset'] ?? '')) throw refusal(400, 'bad-parameter', 'offset', 'The offset is not a number of bytes.', 'Write how many bytes of the archive come before this piece.');
  await context.installation.uploads.write(idOf(request), offset, request.body);
  return { status: 200, body: { received: offset + request.body.length } };
}

export async function dropRestore(context: ApiContext, request: ApiRequest): Promise<Answer> {
  context.installation.uploads.drop(idOf(request));
  return { status: 200, body: { dropped: idOf(request) } };
}

/** Verifies all of it and looks whether it may be done before anything is touched; what goes wrong later is the last line. */
export const startRestore = (route: Route) => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  if (context.installation.busy !== undefined) throw busy(context.installation.busy);
  context.installation.busy = 'restored';
  const record = doorRecord({ route, params: request.params, method: 'POST', path: route.path, who: request.who }, { status: 200, result: 'accepted' });
  let begun: (lines: Lines) => void = () => undefined;
  const lines = new Promise<Lines>((resolve) => (begun = resolve));
  // Goes on when its author goes away: half restored is worse than restored.
  const working = context.installation.uploads.use(idOf(request), async ({ read }) => {
    const archive = await verified(read());
    const plan = planRestore(archive.manifest, archive.digest, await lookAll(context));
    if (plan.do === 'refuse') throw new Refusal(['not-empty', 'restored-already', 'another-archive'].includes(plan.problem.code) ? 409 : 422, plan.problem);
    await insist(context, record);
    const lines = new Lines();
    begun(lines);
    try {
      await work(context, archive, read, plan.do, lines);
      // The one above is in a stream that is no more.
      await remember(context, record);
    } catch (error) {
      context.log.error({ err: error }, 'a restore was interrupted');
      lines.say({ problem: problemOf(error) });
    } finally {
      lines.end();
    }
  }).finally(() => (context.installation.busy = undefined));
  const first = await Promise.race([lines, working]);
  return { status: 200, lines: first ?? (await lines) };
};

async function work(context: ApiContext, archive: Verified, read: (from?: number, bytes?: number) => AsyncIterable<Uint8Array>, plan: 'begin' | 'finish', lines: Lines): Promise<void> {
  const { revision, madeAt } = archive.manifest;
  lines.say({ verified: archive.digest, madeAt, revision, bytes: archive.bytes });
  const ahead = await nodesAhead(context, revision).catch(() => []);
  await carryOut(context, archive, read, plan, (progress: Progress) => lines.say(progress));
  lines.say({ restored: archive.digest, revision, ...(ahead.length === 0 ? {} : { ahead }) });
}

async function verified(archive: AsyncIterable<Uint8Array>): Promise<Verified> {
  try {
    return await verifyArchive(archive);
  } catch (error) {
    if (error instanceof ArchiveProblem) throw new Refusal(422, error.problem);
    throw error;
  }
}

function problemOf(error: unknown): Problem {
  const { problem } = error instanceof Refusal ? error : busAway();
  return { ...problem, fix: `${problem.fix} The installation decides nothing until it is restored: run osier restore with the same file again.` };
}

/** What was said, for one reader, whenever he comes. */
class Lines implements AsyncIterable<unknown> {
  readonly #said: unknown[] = [];
  #ended = false;
  #wake: () => void = () => undefined;
  say(line: unknown): void {
    this.#said.push(line);
    this.#wake();
  }
  end(): void {
    this.#ended = true;
    this.#wake();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      while (this.#said.length > 0) yield this.#said.shift();
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
