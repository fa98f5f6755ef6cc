import { scopeWithin } from '@osier/contracts/document';
import { applied, deleted } from '@osier/domain/entity';
import type { Handler } from '@osier/domain/service';
import { missingScope, scopeFacts } from '@osier/domain/tenancy/scope';

export const applyEnvironment: Handler<'environment.apply'> = async ({ scope, body }, { own, newId }) => {
  const missing = missingScope(scope, await scopeFacts(own, scope));
  if (missing) return missing;
  const current = await own.byName('environment', scopeWithin('environment', scope, body.name), body.name);
  return applied('environment', scope, body, current, () => ({ id: newId(), status: {} }));
};

/** Endpoints need no look: none is without its network. */
export const deleteEnvironment: Handler<'environment.delete'> = async ({ scope, body }, { own, known, catchUp }) => {
  const within = scopeWithin('environment', scope, body.name);
  const current = await own.byName('environment', within, body.name);
  if (current) await catchUp();
  return deleted(body, current, [...(await known.list('network', within)), ...(await known.list('policy', within))]);
};
