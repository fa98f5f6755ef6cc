import { none } from '@osier/contracts/names';
import { type FlowBatch, flowBatchSchema } from '@osier/contracts/telemetry';
import type { Message } from '@osier/bus/bus';
import { type Answer, type ApiRequest, busAway } from './answers.ts';
import type { ApiContext } from './context.ts';
import { flag, sinceOf, token } from './parameters.ts';
import { within } from './principal.ts';

interface Wanted { readonly environment: string | undefined; readonly denied: boolean; readonly since: number | undefined }

/** The lines of one batch: its flows that are wanted, and a line of its own when the node has lost some since its last batch. */
function* linesOf(message: Message, batch: FlowBatch, wanted: Wanted, lost: Map<string, number>): Generator<unknown> {
  const [, , domain, project] = message.subject.split('.');
  const key = `${domain}.${project}.${batch.node}`;
  const before = lost.get(key);
  lost.set(key, batch.lost);
  if (before !== undefined && batch.lost > before) yield { domain, project, node: batch.node, lost: batch.lost - before };
  for (const flow of batch.flows) {
    if (wanted.environment !== undefined && flow.environment !== wanted.environment) continue;
    if (wanted.denied && flow.verdict !== 'denied') continue;
    if (wanted.since !== undefined && Date.parse(flow.at) < wanted.since) continue;
    yield { domain, project, node: batch.node, ...flow };
  }
}

async function* records(context: ApiContext, request: ApiRequest, filter: string, follow: boolean, wanted: Wanted): AsyncGenerator<unknown> {
  const lost = new Map<string, number>();
  const from = follow && wanted.since === undefined ? 'new' : 'all';
  for await (const message of context.bus.read({ stream: 'FLOWS', filters: [filter], from, follow, signal: request.signal })) {
    if (wanted.since !== undefined && message.storedAt < wanted.since) continue;
    let batch: FlowBatch | undefined;
    try {
      batch = flowBatchSchema.safeParse(JSON.parse(new TextDecoder().decode(message.data))).data;
    } catch {
      batch = undefined;
    }
    // The subject says whose it is: a node's account lets it publish on its own only.
    if (batch && batch.node === message.subject.split('.')[4]) yield* linesOf(message, batch, wanted, lost);
    else context.log.warn({ subject: message.subject, sequence: message.sequence }, 'a flow batch that cannot be read, or is of another node than its subject says, was left out');
  }
}

export async function flows(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const { query } = request;
  const { domain, project } = within(request.who, { domain: token(query, 'domain') ?? none, project: token(query, 'project') ?? none });
  const filter = `osier.flow.${domain === none ? '*' : domain}.${project === none ? '*' : project}.*`;
  const wanted = { environment: token(query, 'environment'), denied: flag(query, 'denied'), since: sinceOf(query) };
  const lines = records(context, request, filter, flag(query, 'follow'), wanted);
  // Once the first byte is out, a failure can only cut the connection.
  if (!context.bus.connected) throw busAway();
  return { status: 200, lines };
}
