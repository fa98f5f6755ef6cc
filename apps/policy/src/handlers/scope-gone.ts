import type { AnyDocument } from '@osier/contracts/document';
import { groupKinds } from '@osier/contracts/kinds';
import type { HandlerContext, Reaction } from '@osier/domain/service';
import { remnants } from '@osier/domain/tenancy/remnants';

/** What lives in a scope of each level, policies before the groups that they name. */
const contents = { environment: ['policy'], project: ['project-policy', ...groupKinds], domain: ['domain-policy'] } as const;

/** Policies and groups go with their scope. */
export async function onState(document: AnyDocument, { own, known }: HandlerContext): Promise<Reaction> {
  const { kind, phase, domain, project, environment, name } = document;
  if ((kind !== 'environment' && kind !== 'project' && kind !== 'domain') || phase !== 'deleted') return { puts: [] };
  const scope = { domain, project, environment };
  const left = await Promise.all(contents[kind].map((one) => own.list(one, scope)));
  return { puts: remnants(left.flat() as AnyDocument[], await known.byName(kind, scope, name)) };
}
