import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { HandlerContext, Reaction } from '@osier/domain/service';
import { remnants } from '@osier/domain/tenancy/remnants';
import { ensureRoutingDomain } from '@osier/domain/topology/network';
import { numbersOf } from './network.ts';

/** An environment has one routing domain, which comes and goes with it. */
export async function onState(document: AnyDocument, context: HandlerContext): Promise<Reaction> {
  if (document.kind !== 'environment') return { puts: [] };
  const { domain, project, environment } = document;
  const scope = { domain, project, environment };
  return { puts: document.phase === 'active' ? await begin(scope, context) : await end(scope, document.name, context) };
}

async function begin(scope: Scope, context: HandlerContext): Promise<Reaction['puts']> {
  const [, puts] = await ensureRoutingDomain(scope, (await context.own.list('routing-domain', scope))[0], numbersOf(context));
  return puts;
}

async function end(scope: Scope, name: string, { own, known }: HandlerContext): Promise<Reaction['puts']> {
  const contents = [...(await own.list('endpoint', scope)), ...(await own.list('network', scope)), ...(await own.list('routing-domain', scope))];
  return remnants(contents, await known.byName('environment', scope, name));
}
