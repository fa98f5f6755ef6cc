import { setTimeout as sleep } from 'node:timers/promises';
import { pathOf } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { failureOf } from '../client.ts';
import { duration } from '../duration.ts';
import { awaitEnforcement, enforcementText } from '../enforcement.ts';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Kind } from '@osier/contracts/kinds';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { completePlace, itemPath, kindOf, shownPath } from '../place.ts';
import { inSteps, type Step } from '../progress.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';
import { find } from './get.ts';

export interface WaitOptions extends CommonOptions { readonly for: 'enforced' | 'deleted'; readonly timeout: string }
interface Waited { readonly code: ExitCode; readonly value: unknown; readonly text: string }

async function forEnforced(session: Session, kind: Kind, name: string, timeoutMs: number, step: Step): Promise<Waited> {
  const items = await find(session, kind, completePlace(kind, session.place), name);
  const changes = items.map(({ document, revision }) => ({ kind, id: document.id, subject: documentSubject(document), revision }));
  const state = await awaitEnforcement(session.client, changes, timeoutMs, (now) => step.say(`${now.nodes.filter((node) => node.enforced).length} of ${now.nodes.length} nodes`));
  const path = items.map((item) => pathOf(item.document)).join(', ');
  return { code: state.state === 'waiting' ? exitCodes.timeout : exitCodes.ok, value: { kind, path, ...state }, text: `${kind} ${path} ${enforcementText(state, timeoutMs)}` };
}

async function forDeleted(session: Session, kind: Kind, name: string, timeoutMs: number): Promise<Waited> {
  const place = completePlace(kind, session.place);
  const path = shownPath(kind, place, name.slice(0, 63));
  const until = performance.now() + timeoutMs;
  for (;;) {
    const reply = await session.client.call('GET', itemPath(kind, place, name));
    if (reply.status !== 200 && reply.status !== 404) throw failureOf(reply, session.client.server);
    const deleted = reply.status === 404;
    const text = `${kind} ${path} ${deleted ? 'is deleted' : `is still there after ${timeoutMs / 1000} s`}`;
    if (deleted || performance.now() >= until) return { code: deleted ? exitCodes.ok : exitCodes.timeout, value: { kind, path, deleted }, text };
    await sleep(300, undefined, { signal: session.io.signal });
  }
}

export async function wait(io: Io, kindText: string, name: string, options: WaitOptions): Promise<ExitCode> {
  const kind = kindOf(kindText);
  const session = sessionOf(io, options);
  const timeoutMs = duration(options.timeout);
  let waited: Waited | undefined;
  await inSteps(io, session.format, [{
    title: `${kind} ${name.slice(0, 63)} ${options.for}`,
    work: async (step) => {
      waited = await (options.for === 'deleted' ? forDeleted : forEnforced)(session, kind, name, timeoutMs, step);
      if (waited.code !== exitCodes.ok) step.failed();
    },
  }]);
  const { code, value, text } = waited as Waited;
  await print(io, session.format, value, [value], () => text);
  return code;
}
