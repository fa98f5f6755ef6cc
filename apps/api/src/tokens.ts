import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tokenSchema } from '@osier/contracts/names';
import { fieldPath } from '@osier/contracts/problem';
import { z } from 'zod';

/** Credentials of the services are theirs alone: whoever could speak as one could publish internal intents. */
const reserved = /^osier-/;
const fileSchema = z.strictObject({
  tokens: z.array(z.strictObject({
    token: z.string().min(16, 'must have at least 16 characters'),
    credential: tokenSchema.refine((id) => !reserved.test(id), 'must not begin with "osier-", which names services'),
  })).min(1),
});

/** From a bearer token to the credential that it stands for. */
export type Authenticate = (authorization: string | undefined) => string | undefined;

const digest = (text: string): string => createHash('sha256').update(text).digest('base64');

/** Tokens are looked up by their digest, so that the time it takes tells nothing of how much of a guess was right. */
export function authenticator(tokens: readonly { token: string; credential: string }[]): Authenticate {
  const credentials = new Map(tokens.map(({ token, credential }) => [digest(token), credential]));
  return (authorization) => {
    const match = /^Bearer +(\S+)$/i.exec(authorization ?? '');
    return match?.[1] === undefined ? undefined : credentials.get(digest(match[1]));
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
