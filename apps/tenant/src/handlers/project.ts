import { groupKinds } from '@osier/contracts/kinds';
import { scopeWithin } from '@osier/contracts/document';
import { applied, deleted } from '@osier/domain/entity';
import type { Handler } from '@osier/domain/service';
import { missingScope, scopeFacts } from '@osier/domain/tenancy/scope';

export const applyProject: Handler<'project.apply'> = async ({ scope, body }, { own, newId }) => {
  const missing = missingScope(scope, await scopeFacts(own, scope));
  if (missing) return missing;
  const current = await own.byName('project', scopeWithin('project', scope, body.name), body.name);
  return applied('project', scope, body, current, () => ({ id: newId(), status: {} }));
};

export const deleteProject: Handler<'project.delete'> = async ({ scope, body }, { own, known, catchUp }) => {
  const within = scopeWithin('project', scope, body.name);
  const current = await own.byName('project', within, body.name);
  if (current) await catchUp();
  const contents = await Promise.all((['project-policy', ...groupKinds] as const).map((kind) => known.list(kind, within)));
  const credentials = (await own.list('credential', { domain: scope.domain })).filter((c) => c.spec.project === body.name);
  return deleted(body, current, [...(await own.list('environment', { domain: scope.domain, project: body.name })), ...contents.flat(), ...credentials]);
};
