import { deleted } from '@osier/domain/entity';
import type { Handler, HandlerContext } from '@osier/domain/service';
import { missingScopeElsewhere } from '@osier/domain/tenancy/scope';
import { decideNetwork, type Numbers } from '@osier/domain/topology/network';

export const numbersOf = ({ newId, next }: Pick<HandlerContext, 'newId' | 'next'>): Numbers => ({ newId, nextVni: () => next('vni'), nextNetwork: () => next('network') });

export const applyNetwork: Handler<'network.apply'> = async ({ scope, body }, context) => {
  const { own, known, catchUp } = context;
  const missing = await missingScopeElsewhere(scope, known, catchUp);
  if (missing) return missing;
  const current = await own.byName('network', scope, body.name);
  const facts = {
    current,
    networks: await own.list('network', scope),
    endpoints: current ? await own.list('endpoint', { parent: current.id }) : [],
    routingDomain: (await own.list('routing-domain', scope))[0],
  };
  return decideNetwork(scope, body, facts, numbersOf(context));
};

export const deleteNetwork: Handler<'network.delete'> = async ({ scope, body }, { own }) => {
  const current = await own.byName('network', scope, body.name);
  return deleted(body, current, current ? await own.list('endpoint', { parent: current.id }) : []);
};
