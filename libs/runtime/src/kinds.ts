import { type Scope, scopeWithin } from '@osier/contracts/document';
import { type WritableKind, writableKinds } from '@osier/contracts/kinds';
import type { Intent } from '@osier/domain/decision';

export const isWritable = (noun: string): noun is WritableKind => (writableKinds as readonly string[]).includes(noun);

/** The object that an intent is about, where it names one. */
export function targetOf(intent: Pick<Intent, 'name' | 'scope' | 'body'>): { readonly kind: WritableKind; readonly scope: Scope; readonly name: string } | undefined {
  const noun = intent.name.slice(0, intent.name.lastIndexOf('.'));
  const { name } = intent.body as { name?: unknown };
  if (!isWritable(noun) || typeof name !== 'string') return undefined;
  const { domain, project, environment } = scopeWithin(noun, intent.scope, name);
  return { kind: noun, scope: { domain, project, environment }, name };
}
