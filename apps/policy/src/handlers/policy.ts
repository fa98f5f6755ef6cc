import { applied, deleted } from '@osier/domain/entity';
import { policyProblem } from '@osier/domain/policy/validate';
import type { Handler } from '@osier/domain/service';
import { missingScopeElsewhere } from '@osier/domain/tenancy/scope';

export const applyPolicy: Handler<'policy.apply'> = async ({ scope, body }, { own, known, newId, catchUp }) => {
  const refused = (await missingScopeElsewhere(scope, known, catchUp)) ?? policyProblem(body.spec);
  if (refused) return refused;
  return applied('policy', scope, body, await own.byName('policy', scope, body.name), () => ({ id: newId(), status: {} }));
};

export const deletePolicy: Handler<'policy.delete'> = async ({ scope, body }, { own }) => deleted(body, await own.byName('policy', scope, body.name));
