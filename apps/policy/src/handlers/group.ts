import type { Document, Scope } from '@osier/contracts/document';
import type { GroupKind, Spec } from '@osier/contracts/kinds';
import { applied, deleted } from '@osier/domain/entity';
import { portsProblem } from '@osier/domain/policy/validate';
import { groupsNamed } from '@osier/domain/rules/groups';
import type { Handler, Reader } from '@osier/domain/service';
import { missingScopeElsewhere } from '@osier/domain/tenancy/scope';

const applyOf = <K extends GroupKind>(kind: K): Handler<`${K}.apply`> => (async ({ scope, body }: { scope: Scope; body: { name: string; spec: Spec<K> } }, { own, known, newId, catchUp }) => {
  const refused = (await missingScopeElsewhere(scope, known, catchUp)) ?? ('ports' in body.spec ? portsProblem(body.spec.ports, 'spec.ports') : undefined);
  if (refused) return refused;
  const current = await own.byName(kind, scope, body.name);
  return applied(kind, scope, body, current as Document<K> | undefined, () => ({ id: newId(), status: {} }) as never);
}) as Handler<`${K}.apply`>;

const deleteOf = <K extends GroupKind>(kind: K): Handler<`${K}.delete`> => (async ({ scope, body }: { scope: Scope; body: { name: string } }, { own }) => {
  const current = await own.byName(kind, scope, body.name);
  return deleted(body, current, current ? await naming(kind, body.name, scope, own) : []);
}) as Handler<`${K}.delete`>;

/** The policies of its project, and of the environments in it, that name a group. */
async function naming(kind: GroupKind, name: string, { domain, project }: Scope, own: Reader): Promise<Document[]> {
  const all = [...(await own.list('policy', { domain, project })), ...(await own.list('project-policy', { domain, project }))];
  return all.filter(({ spec }) => groupsNamed(spec).some((group) => group.kind === kind && group.name === name));
}

export const groupHandlers = {
  'endpoint-group.apply': applyOf('endpoint-group'), 'endpoint-group.delete': deleteOf('endpoint-group'),
  'address-group.apply': applyOf('address-group'), 'address-group.delete': deleteOf('address-group'),
  'service-group.apply': applyOf('service-group'), 'service-group.delete': deleteOf('service-group'),
};
