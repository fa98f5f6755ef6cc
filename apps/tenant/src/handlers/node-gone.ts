import { platformScope, type AnyDocument } from '@osier/contracts/document';
import type { HandlerContext, Reaction } from '@osier/domain/service';
import { orphanedKeys } from '@osier/domain/tenancy/credential';

/** What its agent logged in with goes with a node: on a machine that is kept, it would speak for the next node of that name. */
export async function onState(document: AnyDocument, { own, known }: HandlerContext): Promise<Reaction> {
  if (document.kind !== 'node' || document.phase !== 'deleted') return { puts: [] };
  return { puts: orphanedKeys(document.name, await own.list('platform-credential'), await known.byName('node', platformScope, document.name)) };
}
