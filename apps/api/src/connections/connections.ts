import { pathOf } from '@osier/contracts/document';
import type { Document } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import { type Answer, type ApiRequest, busAway } from '../answers.ts';
import type { ApiContext } from '../context.ts';
import { token } from '../parameters.ts';
import { within } from '../principal.ts';
import { tooOften } from '../rate.ts';
import { items } from '../reading.ts';

/** Questions of each credential that are being answered: every one has kernels walked through. */
const asking = new WeakMap<ApiContext, Map<string, number>>();

/** The connections that the kernels hold now, of what is asked about and within reach. */
export async function connections(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const { query, who } = request;
  const reach = within(who, { domain: token(query, 'domain') ?? none, project: token(query, 'project') ?? none });
  const scope = { ...reach, environment: token(query, 'environment') ?? none };
  if (!context.bus.connected) throw busAway();
  return oneOfFew(context, who.path, async () => {
    const holdings = new Map<string, Set<string>>();
    for (const { document } of await items(context, 'endpoint', scope)) {
      const endpoint = document as unknown as Document<'endpoint'>;
      const held = holdings.get(endpoint.spec.node) ?? new Set();
      holdings.set(endpoint.spec.node, held.add(pathOf(endpoint)));
    }
    return { status: 200, body: await context.connections.ask(scope, holdings, request.signal) };
  });
}

async function oneOfFew<T>(context: ApiContext, who: string, work: () => Promise<T>): Promise<T> {
  const counts = asking.get(context) ?? new Map<string, number>();
  asking.set(context, counts);
  const now = counts.get(who) ?? 0;
  if (now >= limits.connectionsAsked) throw tooOften(`The credential ${who}, about connections,`, Math.ceil(limits.connectionsAnswerMs / 1000));
  counts.set(who, now + 1);
  try {
    return await work();
  } finally {
    const left = (counts.get(who) ?? 1) - 1;
    if (left === 0) counts.delete(who);
    else counts.set(who, left);
  }
}
