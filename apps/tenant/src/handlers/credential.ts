import { isUserKey } from '@osier/bus/keys';
import { platformScope, type Scope } from '@osier/contracts/document';
import type { Spec } from '@osier/contracts/kinds';
import { type Decision, refuse } from '@osier/domain/decision';
import { deleted } from '@osier/domain/entity';
import type { Handler } from '@osier/domain/service';
import { appliedCredential } from '@osier/domain/tenancy/credential';
import { missingScope, scopeFacts } from '@osier/domain/tenancy/scope';

/** A key has a checksum, so what was mistyped is found here, and not when its holder is kept out. */
function mistyped(keys: Spec<'credential'>['keys']): Decision | undefined {
  const index = keys.findIndex(({ publicKey }) => !isUserKey(publicKey));
  return index < 0 ? undefined : refuse('invalid', `spec.keys[${index}].publicKey`, 'This is not the public key of a user: its checksum is wrong.', 'Copy it anew from where the key was made.');
}

const inDomain = ({ domain }: Scope): Scope => ({ ...platformScope, domain });

export const applyCredential: Handler<'credential.apply'> = async ({ scope, body }, { own, newId, now }) => {
  const { project } = body.spec;
  const missing = missingScope(scope, await scopeFacts(own, scope));
  if (missing) return missing;
  if (project !== undefined && !(await scopeFacts(own, { ...scope, project })).project) {
    return refuse('unknown-project', 'spec.project', `There is no project ${scope.domain}/${project}.`, 'Make the project first, or correct the name.');
  }
  return mistyped(body.spec.keys) ?? appliedCredential('credential', scope, body, await own.byName('credential', inDomain(scope), body.name), { id: newId, now: now(), others: (await own.list('credential', { domain: scope.domain })).length });
};
export const deleteCredential: Handler<'credential.delete'> = async ({ scope, body }, { own }) => deleted(body, await own.byName('credential', inDomain(scope), body.name));

export const applyPlatformCredential: Handler<'platform-credential.apply'> = async ({ scope, body }, { own, newId, now }) =>
  mistyped(body.spec.keys) ?? appliedCredential('platform-credential', scope, body, await own.byName('platform-credential', platformScope, body.name), { id: newId, now: now() });
export const deletePlatformCredential: Handler<'platform-credential.delete'> = async ({ body }, { own }) => deleted(body, await own.byName('platform-credential', platformScope, body.name));
