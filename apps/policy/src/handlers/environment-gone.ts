import type { AnyDocument } from '@osier/contracts/document';
import type { HandlerContext, Reaction } from '@osier/domain/service';
import { remnants } from '@osier/domain/tenancy/remnants';

/** Policies go with their environment. */
export async function onState(document: AnyDocument, { own, known }: HandlerContext): Promise<Reaction> {
  if (document.kind !== 'environment' || document.phase !== 'deleted') return { puts: [] };
  const { domain, project, environment } = document;
  const scope = { domain, project, environment };
  return { puts: remnants(await own.list('policy', scope), await known.byName('environment', scope, document.name)) };
}
