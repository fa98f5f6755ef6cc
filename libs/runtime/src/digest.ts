import { createHash } from 'node:crypto';
import type { Scope } from '@osier/contracts/document';

/** SHA-256, in hexadecimal, of what an intent wishes: where, which, and the bytes of its body; not of who wished it, nor under which id. */
export const wishDigest = (name: string, scope: Scope, data: Uint8Array): string =>
  createHash('sha256').update(`${scope.domain}/${scope.project}/${scope.environment} ${name}\n`).update(data).digest('hex');
