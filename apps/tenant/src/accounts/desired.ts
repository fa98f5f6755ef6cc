import type { Guest, Revocations } from '@osier/bus/authority';
import type { AnyDocument, Document } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';

export type CredentialDocument = Document<'credential'> | Document<'platform-credential'>;
export const isCredential = (document: AnyDocument): document is CredentialDocument => document.kind === 'credential' || document.kind === 'platform-credential';

/** Whose account a credential's is. */
export function guestOf(document: CredentialDocument): Guest {
  const { id, name, domain } = document;
  if (document.kind === 'credential') return { id, name, domain, project: document.spec.project ?? none, role: document.spec.role };
  const { node, role = 'viewer' } = document.spec;
  return node === undefined ? { id, name, domain: none, project: none, role } : { id, node };
}

/** What was signed for these keys counts no more, whenever it was. */
export const revocationsOf = ({ status }: CredentialDocument): Revocations => Object.fromEntries(status.revoked.map(({ publicKey, expiresAt }) => [publicKey, Math.ceil(Date.parse(expiresAt) / 1000)]));
