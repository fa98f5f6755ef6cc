import { platformScope, type Scope } from '@osier/contracts/document';
import type { Intent } from '@osier/domain/decision';
import { deleted } from '@osier/domain/entity';
import type { Handler, HandlerContext, ServiceDefinition } from '@osier/domain/service';
import { missingScopeElsewhere } from '@osier/domain/tenancy/scope';
import { namespaceKey } from '@osier/domain/topology/attachment';
import { continueEndpoint, decideEndpoint, type EndpointFacts, type Note } from '@osier/domain/topology/endpoint';

export const applyEndpoint: Handler<'endpoint.apply'> = async (intent, context) => {
  const missing = await missingScopeElsewhere(intent.scope, context.known, context.catchUp);
  return missing ?? decideEndpoint(intent.scope, intent.body, await factsOf(intent, context), context.newId);
};

export const deleteEndpoint: Handler<'endpoint.delete'> = async ({ scope, body }, { own }) => deleted(body, await own.byName('endpoint', scope, body.name));

/** Goes on with an endpoint that waits for its address. */
export const onOutcome: NonNullable<ServiceDefinition<'topology'>['onOutcome']> = async (waiting, outcome, context) => {
  const intent = waiting.intent as Intent<'endpoint.apply'>;
  const facts = { ...(await factsOf(intent, context)), ...(outcome?.result === 'refused' ? { holder: await holderOf(intent.scope, intent.body.spec.address, context) } : {}) };
  return continueEndpoint({ scope: intent.scope, body: intent.body, note: waiting.note as Note, outcome }, facts);
};

const factsOf = async ({ scope, body }: Intent<'endpoint.apply'>, { own }: HandlerContext): Promise<EndpointFacts> => ({
  current: await own.byName('endpoint', scope, body.name),
  network: await own.byName('network', scope, body.spec.network),
  node: await own.byName('node', platformScope, body.spec.node),
  holders: await own.list('endpoint', { holds: namespaceKey(body.spec) }),
});

async function holderOf(scope: Scope, address: string | undefined, { own }: HandlerContext) {
  return address === undefined ? undefined : (await own.list('endpoint', scope)).find((endpoint) => endpoint.status.address === address);
}
