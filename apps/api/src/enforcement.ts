import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from '@osier/contracts/problem';
import { queries } from '@osier/contracts/queries';
import { type Answer, type ApiRequest, Refusal } from './answers.ts';
import { ask } from './ask.ts';
import { json } from './body.ts';
import type { ApiContext } from './context.ts';
import { timeoutOf } from './duration.ts';

const askEveryMs = 200;

/** Long-poll: answers as soon as every node concerned has confirmed, or with how far it got when the time is over. */
export async function enforcement(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const body = parse(queries['topology.enforcement'].request, json(request.body));
  if (!body.ok) throw new Refusal(422, body.problem);
  const until = performance.now() + timeoutOf(request.query, 10_000);
  for (;;) {
    const state = await ask(context, 'topology.enforcement', request.who, body.value);
    if (state.state !== 'waiting' || performance.now() >= until || request.signal.aborted) return { status: 200, body: state };
    await sleep(Math.min(askEveryMs, Math.max(1, until - performance.now())), undefined, { signal: request.signal }).catch(() => undefined);
  }
}
