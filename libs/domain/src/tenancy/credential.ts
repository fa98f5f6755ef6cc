import type { ApplyBody } from '@osier/contracts/catalogue';
import type { Document, Scope } from '@osier/contracts/document';
import { isReservedCredential, type Spec } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import { type AnyProposed, accept, type Decision, propose, refuse, versionConflict } from '../decision.ts';
import { newborn, same } from '../entity.ts';
import { remnants } from './remnants.ts';

type CredentialKind = 'credential' | 'platform-credential';
type Key = Spec<CredentialKind>['keys'][number];

const day = 24 * 60 * 60 * 1000;

/** The keys that count at this time (milliseconds since the epoch). */
export const keysInForce = (document: Pick<Document<CredentialKind>, 'spec'>, now: number): readonly Key[] => document.spec.keys.filter((key) => Date.parse(key.expiresAt) > now);

function keyProblem(keys: readonly Key[], current: Document<CredentialKind> | undefined, now: number): Decision | undefined {
  for (const [index, key] of keys.entries()) {
    if (current?.status.revoked.some(({ publicKey }) => publicKey === key.publicKey)) {
      return refuse('revoked-key', `spec.keys[${index}].publicKey`, 'This key was taken out of the credential, and does not come back.', 'Make a new key (osier credentials issue), and give that.');
    }
    if (current?.spec.keys.some((known) => same(known, key))) continue;
    const left = Date.parse(key.expiresAt) - now;
    if (left <= 0) return refuse('expired', `spec.keys[${index}].expiresAt`, `"${key.expiresAt}" has passed.`, 'Give a time to come.');
    const signed = current?.spec.keys.find(({ publicKey }) => publicKey === key.publicKey);
    if (signed !== undefined && Date.parse(key.expiresAt) < Date.parse(signed.expiresAt)) {
      return refuse('immutable', `spec.keys[${index}].expiresAt`, `This key has been signed until ${signed.expiresAt}, and would go on counting until then.`, 'Leave its time as it is, or take the key out, which revokes it at once.');
    }
    if (left > limits.keyDays * day) return refuse('out-of-range', `spec.keys[${index}].expiresAt`, `"${key.expiresAt}" is more than ${limits.keyDays} days away.`, `Give a time within ${limits.keyDays} days, and replace the key before then.`);
  }
  return undefined;
}

/** What was taken out and would still count, had it not been. */
function revokedAfter(keys: readonly Key[], current: Document<CredentialKind> | undefined, now: number): readonly Key[] {
  const before = [...(current?.status.revoked ?? []), ...(current?.spec.keys ?? []).filter((old) => !keys.some(({ publicKey }) => publicKey === old.publicKey))];
  return before.filter(({ expiresAt }) => Date.parse(expiresAt) > now);
}

/** The credentials of a node that is no more. What was issued after a successor of the same name appeared belongs to that one. */
export const orphanedKeys = (node: string, credentials: readonly Document<'platform-credential'>[], successor: Document<'node'> | undefined): AnyProposed[] =>
  remnants(credentials.filter((credential) => credential.spec.node === node), successor);

/** Makes a credential, changes it, replaces its keys. `others`: how many there are in its domain besides. */
export function appliedCredential<K extends CredentialKind>(kind: K, scope: Scope, body: ApplyBody<K>, current: Document<K> | undefined, o: { id: () => string; now: number; others?: number }): Decision {
  const conflict = versionConflict(body, current);
  if (conflict) return conflict;
  if (isReservedCredential(body.name)) {
    return refuse('reserved-name', 'name', `Names that begin with "osier-" or "platform-" are kept for Osier itself, and "${body.name}" does.`, 'Choose another name.');
  }
  if (current === undefined && (o.others ?? 0) >= limits.credentialsPerDomain) {
    return refuse('too-many', 'name', `There are ${limits.credentialsPerDomain} credentials in this domain already, and there may be no more.`, 'Delete those that nobody needs: osier credentials list.');
  }
  const wrong = keyProblem(body.spec.keys, current, o.now);
  if (wrong) return wrong;
  const revoked = revokedAfter(body.spec.keys, current, o.now);
  if (revoked.length > limits.revokedKeysPerCredential) {
    return refuse('too-many-revoked', 'spec.keys', `${limits.revokedKeysPerCredential} keys of this credential were taken out before they expired; no more can be kept in mind.`, 'Delete the credential, and issue it anew.');
  }
  const status = { revoked: [...revoked] };
  if (current === undefined) return accept(newborn(kind, scope, body.name, body.spec, { id: o.id(), status: status as never }));
  if (same(current.spec, body.spec)) return accept();
  return accept({ ...propose(current), spec: body.spec, status } as unknown as AnyProposed);
}
