import { BusUnavailable } from '@osier/bus/bus';
import type { Scope } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import { problemSchema } from '@osier/contracts/problem';
import { queries, type QueryName, queryReplySchema, type QueryRequest, type QueryResponse } from '@osier/contracts/queries';
import { querySubject } from '@osier/contracts/subjects';
import { traceHeaders } from '@osier/telemetry/trace';
import { busAway, Refusal, refusal, statusOf } from './answers.ts';
import type { ApiContext } from './context.ts';

/** Asks a service and checks its answer. Throws a Refusal: 503 when nobody answers, the service's own problem otherwise. */
export async function ask<N extends QueryName>(
  context: ApiContext, name: N, scope: Pick<Scope, 'domain' | 'project'>, request: QueryRequest<N>, timeoutMs = 5000,
): Promise<QueryResponse<N>> {
  const { service, response } = queries[name];
  const subject = querySubject(service, scope.domain, scope.project, name.slice(service.length + 1));
  const reply = await context.bus
    .request(subject, new TextEncoder().encode(JSON.stringify(request)), { timeoutMs, headers: traceHeaders() as Record<string, string> })
    .catch((error: unknown) => {
      if (!(error instanceof BusUnavailable)) throw error;
      if (!context.bus.connected) throw busAway();
      throw refusal(503, 'service-unavailable', '', `The ${service} service does not answer.`, 'Try again in a moment; if it stays so, look whether the service runs and what its log says.');
    });
  const envelope = queryReplySchema.safeParse(JSON.parse(new TextDecoder().decode(reply.data)));
  if (!envelope.success) throw badAnswer(service);
  if (!envelope.data.ok) {
    const problem = problemSchema.safeParse(envelope.data.problem);
    throw problem.success ? new Refusal(statusOf(problem.data.code), problem.data) : badAnswer(service);
  }
  const data = response.safeParse(envelope.data.data);
  if (!data.success) throw badAnswer(service);
  return data.data as QueryResponse<N>;
}

const badAnswer = (service: string): Refusal =>
  refusal(502, 'bad-answer', '', `The ${service} service gave an answer that is not in the contracts.`, 'Make sure that all services run the same version.');

export const platform = { domain: none, project: none } as const;
