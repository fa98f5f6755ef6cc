import type { Enforcement } from '@osier/contracts/queries';
import { type Change, change, inParallel, type Result } from '../change.ts';
import { type Faulty, order, readSources, type Wish } from '../documents.ts';
import { duration } from '../duration.ts';
import { awaitEnforcement, enforcementText } from '../enforcement.ts';
import { exitCodes, type ExitCode, Failure } from '../failure.ts';
import { itemPath } from '../place.ts';
import { inSteps } from '../progress.ts';
import { faultyReport, report, type ReportLine } from '../report.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';
import { toJson, toYaml } from '../output.ts';
import type { Io } from '../io.ts';
import { documentSubject } from '@osier/contracts/subjects';

export interface ApplyOptions extends CommonOptions { readonly file?: readonly string[]; readonly wait?: boolean; readonly timeout: string; readonly dryRun?: boolean }

/** As many as a service decides in one transaction, halved. */
const atOnce = 32;
const sendAgain = 'Run the command again when Osier answers; what is in place already stays as it is.';

/** The change that an unchanged object last was, so that `--wait` can ask for it as well. */
async function standing(session: Session, wish: Wish): Promise<Change[]> {
  const reply = await session.client.call('GET', itemPath(wish.kind, wish.place, wish.name));
  const { document, revision } = (reply.body ?? {}) as { document?: Parameters<typeof documentSubject>[0] & { id: string }; revision?: number };
  return reply.status === 200 && document && revision ? [{ kind: document.kind, id: document.id, subject: documentSubject(document), revision }] : [];
}

async function send(session: Session, wishes: readonly Wish[], method: 'PUT' | 'DELETE', timeoutMs: number): Promise<Map<Wish, Result>> {
  const results = new Map<Wish, Result>();
  /** Once the server is given up, nothing more is sent. */
  let gone: Result | undefined;
  const kinds = method === 'PUT' ? order : [...order].reverse();
  const groups = kinds.map((kind) => ({ kind, wishes: wishes.filter((wish) => wish.kind === kind) })).filter((group) => group.wishes.length > 0);
  await inSteps(session.io, session.format, groups.map((group) => ({
    title: group.kind,
    work: async (step) => {
      let done = 0;
      step.say(`0 of ${group.wishes.length}`);
      await inParallel(group.wishes, atOnce, async (wish) => {
        const { kind, place, name, spec, expectedVersion } = wish;
        const result = gone ?? await change(session.client, {
          method, kind, place, name, spec, timeoutMs, signal: session.io.signal, ...(expectedVersion === undefined ? {} : { expectedVersion }),
        });
        if (result.result === 'unreachable' && result.failure.code === 'unreachable') gone = result;
        results.set(wish, result);
        step.say(`${++done} of ${group.wishes.length}`);
      });
      const good = group.wishes.filter((wish) => ['accepted', 'unchanged'].includes(results.get(wish)?.result ?? '')).length;
      step.say(`${good} of ${group.wishes.length}`);
      if (good < group.wishes.length) step.failed();
    },
  })));
  return results;
}

async function enforce(session: Session, results: ReadonlyMap<Wish, Result>, method: 'PUT' | 'DELETE', timeoutMs: number): Promise<Enforcement | undefined> {
  const changes: Change[] = [];
  await inParallel([...results], atOnce, async ([wish, result]) => {
    if (result.result === 'accepted') changes.push(...result.changes);
    else if (result.result === 'unchanged' && method === 'PUT') changes.push(...await standing(session, wish));
  });
  if (changes.length === 0) return undefined;
  let state: Enforcement | undefined;
  await inSteps(session.io, session.format, [{
    title: 'enforced by',
    work: async (step) => {
      state = await awaitEnforcement(session.client, changes, timeoutMs, (now) => step.say(`${now.nodes.filter((node) => node.enforced).length} of ${now.nodes.length} nodes`));
      if (state.state === 'waiting') step.failed();
    },
  }]);
  return state;
}

function exitCodeOf(lines: readonly ReportLine[], state: Enforcement | undefined): ExitCode {
  if (lines.some((line) => line.result === 'unreachable')) return exitCodes.unreachable;
  if (lines.some((line) => line.result === 'refused')) return exitCodes.refused;
  if (lines.some((line) => line.result === 'pending') || state?.state === 'waiting') return exitCodes.timeout;
  return exitCodes.ok;
}

async function refuseAll(io: Io, options: ApplyOptions, faulty: readonly Faulty[], wishes: readonly Wish[]): Promise<ExitCode> {
  const lines = faultyReport(faulty);
  if (options.output === 'json') io.out(toJson({ results: lines, enforcement: null }));
  else if (options.output === 'yaml') io.out(await toYaml([{ results: lines, enforcement: null }]));
  else {
    io.err(report(lines));
    io.err(`nothing was sent: ${faulty.length} of ${faulty.length + wishes.length} documents ${faulty.length === 1 ? 'is' : 'are'} not valid`);
  }
  return exitCodes.refused;
}

/** `apply -f` and `delete -f`: checks every document before the first is sent, then sends them kind by kind. */
export async function applyFiles(io: Io, options: ApplyOptions, method: 'PUT' | 'DELETE'): Promise<ExitCode> {
  const timeoutMs = duration(options.timeout);
  const session = sessionOf(io, options);
  const { wishes, faulty } = await readSources(options.file ?? [], io, session.asked, session.connection.defaults);
  if (faulty.length > 0) return refuseAll(io, options, faulty, wishes);
  if (wishes.length === 0) throw new Failure(exitCodes.usage, 'nothing', 'there is no document in what -f names', 'Write at least one: kind, name, spec.');
  return finish(session, await send(session, wishes, method, timeoutMs), method, { wait: options.wait === true, timeoutMs });
}

/** Waits for enforcement if asked to, and tells what became of each wish. */
export async function finish(session: Session, results: ReadonlyMap<Wish, Result>, method: 'PUT' | 'DELETE', o: { wait: boolean; timeoutMs: number }): Promise<ExitCode> {
  const { io, format } = session;
  const lines = [...results].map(([wish, result]): ReportLine => lineOf(wish, result, method));
  if (format === 'table') io.out(report(lines));
  const missing = summary(lines, method);
  if (missing !== undefined) io.err(missing);
  const lost = lines.some((line) => line.result === 'unreachable');
  const state = o.wait && !lost ? await enforce(session, results, method, o.timeoutMs) : undefined;
  const whole = { results: lines, enforcement: state ?? null };
  if (format === 'json') io.out(toJson(whole));
  else if (format === 'yaml') io.out(await toYaml([whole]));
  else if (state !== undefined) (state.state === 'waiting' ? io.err : io.out)(enforcementText(state, o.timeoutMs));
  return exitCodeOf(lines, state);
}

/** What was done and what was not, where the server was lost or did not decide. */
function summary(lines: readonly ReportLine[], method: 'PUT' | 'DELETE'): string | undefined {
  const count = (...results: ReportLine['result'][]): number => lines.filter((line) => results.includes(line.result)).length;
  const [done, refused, waiting, lost] = [count('accepted', 'unchanged', 'deleted'), count('refused'), count('pending'), count('unreachable')];
  if (waiting + lost === 0) return undefined;
  const parts = [`${done} ${method === 'PUT' ? 'in place' : 'gone'}`, ...(refused > 0 ? [`${refused} refused`] : []), ...(waiting > 0 ? [`${waiting} not decided in time`] : []), ...(lost > 0 ? [`${lost} without an answer`] : [])];
  const why = lines.find((line) => line.result === 'unreachable')?.problem?.reason;
  return [`of ${lines.length} documents: ${parts.join(', ')}`, ...(why === undefined ? [] : [`osier: ${why}`]), `  fix: ${sendAgain}`].join('\n');
}

function lineOf(wish: Wish, result: Result, method: 'PUT' | 'DELETE'): ReportLine {
  const common = { kind: wish.kind, path: wish.path, ...(wish.at.file === '' ? {} : { file: wish.at.file }) };
  switch (result.result) {
    case 'accepted':
    case 'unchanged':
      return { ...common, result: method === 'DELETE' && result.result === 'accepted' ? 'deleted' : result.result, revision: result.revision, intentId: result.intentId };
    case 'pending':
      return { ...common, result: 'pending', intentId: result.intentId };
    case 'refused':
      return { ...common, result: 'refused', problem: result.problem, ...(wish.at.file === '' ? {} : { line: wish.at.lineOf(result.problem.path) }) };
    case 'unreachable':
      return { kind: wish.kind, path: wish.path, result: 'unreachable', problem: { code: result.failure.code, reason: result.failure.message, path: '', fix: sendAgain } };
  }
}
