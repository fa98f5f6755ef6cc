import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readBearer } from '@osier/bus/bearer';
import { isReservedCredential } from '@osier/contracts/kinds';
import { nameSchema, none } from '@osier/contracts/names';
import { fieldPath } from '@osier/contracts/problem';
import { platformPrefix, roles, servicePrefix } from '@osier/contracts/roles';
import { z } from 'zod';
import { refusal } from './answers.ts';
import type { Credentials } from './credentials.ts';
import { type Principal, principalOf } from './principal.ts';

const fileSchema = z.strictObject({
  tokens: z.array(z.strictObject({
    token: z.string().min(16, 'must have at least 16 characters'),
    // Credentials of the services are theirs alone: whoever could speak as one could publish internal intents.
    credential: nameSchema.refine((id) => !id.startsWith(servicePrefix), 'must not begin with "osier-", which names services'),
    role: z.enum(roles).optional(),
    domain: nameSchema.optional(),
    project: nameSchema.optional(),
  }).refine((t) => t.project === undefined || t.domain !== undefined, { error: 'needs a domain beside it', path: ['project'] })
    .refine((t) => t.domain === undefined || !isReservedCredential(t.credential), { error: 'must not begin with "platform-" within a domain', path: ['credential'] })).min(1),
});
export type StaticToken = z.input<typeof fileSchema>['tokens'][number];

/**
 * From the header Authorization to who that is. Throws a Refusal while that cannot be known. `shownAt`: milliseconds since the epoch, absent: now. A token has to
 * count when it is shown; the key that signed it, as long as it is answered.
 */
export type Authenticate = (authorization: string | undefined, shownAt?: number) => Principal | undefined;

const digest = (text: string): string => createHash('sha256').update(text).digest('base64');
const bearer = (authorization: string | undefined): string | undefined => /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];

/** Tokens that are known by themselves. They are looked up by their digest, so that the time it takes tells nothing of how much of a guess was right. */
export function authenticator(tokens: readonly StaticToken[]): Authenticate {
  const holders = new Map(tokens.map(({ token, credential, role = 'admin', domain = none, project = none }) => {
    const name = domain === none && credential.startsWith(platformPrefix) ? credential.slice(platformPrefix.length) : credential;
    return [digest(token), principalOf({ domain, project }, name, role)];
  }));
  return (authorization) => {
    const token = bearer(authorization);
    return token === undefined ? undefined : holders.get(digest(token));
  };
}

/** Milliseconds that the clock of whoever signed may be ahead. */
const skew = 60_000;

/** Tokens that their holders have signed, beside those that are known by themselves. */
export function withSigned(known: Authenticate, credentials: Credentials, now: () => number = Date.now): Authenticate {
  return (authorization, shownAt = now()) => {
    const found = known(authorization);
    const shown = found === undefined ? readBearer(bearer(authorization) ?? '') : undefined;
    if (shown === undefined) return found;
    if (!credentials.complete) {
      throw refusal(503, 'not-ready', '', 'Which credentials there are is not known yet: the message bus cannot be reached, or its streams are missing.', 'Try again in a moment.');
    }
    const holder = credentials.holder(shown.path, shown.publicKey);
    if (holder === undefined || shown.expiresAt <= shownAt || holder.expiresAt <= now() || shown.issuedAt > shownAt + skew) return undefined;
    return holder.principal;
  };
}

/** Reads `{"tokens": [{"token", "credential"}]}`. Throws an Error that names the file, the field and the fix. */
export function readTokens(file: string): Authenticate {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`cannot read the tokens file ${file}: ${(error as Error).message}; OSIER_TOKENS_FILE must name a JSON file {"tokens": [{"token", "credential"}]}`);
  }
  const checked = fileSchema.safeParse(content);
  // Without the values: one of them may be a token.
  if (!checked.success) throw new Error(`the tokens file ${file} is not valid: ${checked.error.issues.map((issue) => `${fieldPath(issue.path)} ${issue.message}`).join('; ')}`);
  return authenticator(checked.data.tokens);
}
