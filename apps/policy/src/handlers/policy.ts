import type { Document, Scope } from '@osier/contracts/document';
import { type PolicyKind, type Spec } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { type Decision, refuse } from '@osier/domain/decision';
import { applied, deleted } from '@osier/domain/entity';
import { policyProblem } from '@osier/domain/policy/validate';
import { groupsNamed } from '@osier/domain/rules/groups';
import type { Handler, Reader } from '@osier/domain/service';
import { missingScopeElsewhere } from '@osier/domain/tenancy/scope';

/** Policies of every scope are decided alike. */
const applyOf = <K extends PolicyKind>(kind: K): Handler<`${K}.apply`> => (async ({ scope, body }: { scope: Scope; body: { name: string; spec: Spec<K> } }, { own, known, newId, catchUp }) => {
  const refused = (await missingScopeElsewhere(scope, known, catchUp)) ?? policyProblem(kind, body.spec) ?? (await unknownGroup(body.spec, scope, own));
  if (refused) return refused;
  const current = await own.byName(kind, scope, body.name);
  return applied(kind, scope, body, current as Document<K> | undefined, () => ({ id: newId(), status: {} }) as never);
}) as Handler<`${K}.apply`>;
const deleteOf = <K extends PolicyKind>(kind: K): Handler<`${K}.delete`> =>
  (async ({ scope, body }: { scope: Scope; body: { name: string } }, { own }) => deleted(body, await own.byName(kind, scope, body.name))) as Handler<`${K}.delete`>;

/** A policy that names nobody knows whom would allow less than its author meant, in silence. */
async function unknownGroup(spec: Spec<PolicyKind>, { domain, project }: Scope, own: Reader): Promise<Decision | undefined> {
  const looked = new Set<string>();
  for (const { kind, name, field } of groupsNamed(spec)) {
    if (looked.has(`${kind} ${name}`)) continue;
    looked.add(`${kind} ${name}`);
    if (await own.byName(kind, { domain, project, environment: none }, name)) continue;
    return refuse('unknown-group', field, `There is no ${kind} ${domain}/${project}/${name}.`, `Make it first with "osier apply -f", or correct the name.`);
  }
  return undefined;
}

export const policyHandlers = {
  'policy.apply': applyOf('policy'), 'policy.delete': deleteOf('policy'),
  'project-policy.apply': applyOf('project-policy'), 'project-policy.delete': deleteOf('project-policy'),
  'domain-policy.apply': applyOf('domain-policy'), 'domain-policy.delete': deleteOf('domain-policy'),
  'platform-policy.apply': applyOf('platform-policy'), 'platform-policy.delete': deleteOf('platform-policy'),
};
