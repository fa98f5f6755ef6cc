import { readFileSync } from 'node:fs';
import { fmtCreds } from '@nats-io/jwt';
import type { Authenticator } from '@nats-io/nats-core';
import type { UserLogin } from './authority.ts';
import { keyOf } from './keys.ts';

/** How a program says who it is: by a signed key, or, on a bus whose accounts are a static file (0.1.0), by a password. */
export type Login = UserLogin | { readonly user: string; readonly password: string };

const block = (title: string): RegExp => new RegExp(`-{3,} *BEGIN ${title} *-{3,}\\s+(\\S+)\\s+-{3,} *END ${title} *-{3,}`);
const [jwtBlock, seedBlock] = [block('NATS USER JWT'), block('USER NKEY SEED')];

/** The text of a credentials file: that of NATS itself (`.creds`: JWT and seed), or JSON `{"user", "password"}`. Throws, never naming a secret. */
export function parseLogin(text: string): Login {
  const [jwt, seed] = [jwtBlock.exec(text)?.[1], seedBlock.exec(text)?.[1]];
  if (jwt !== undefined && seed !== undefined) return { jwt, seed };
  const { user, password } = JSON.parse(text) as { user?: unknown; password?: unknown };
  if (typeof user !== 'string' || typeof password !== 'string' || user === '') throw new Error('no user and password');
  return { user, password };
}

/** Reads a credentials file. Its error is for the person who has to mend it. */
export function readLogin(file: string): Login {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`The credentials file ${file} cannot be used: ${(error as NodeJS.ErrnoException).code ?? 'it cannot be read'}.`);
  }
  try {
    return parseLogin(text);
  } catch {
    throw new Error(`The credentials file ${file} cannot be used: it is neither a NATS credentials file (as \`osier credentials issue\` writes it) nor JSON of the form {"user", "password"}.`);
  }
}

/** As NATS's own tools read it. */
export function credsText({ jwt, seed }: UserLogin): string {
  return new TextDecoder().decode(fmtCreds(jwt, keyOf(seed)));
}

/** What a client of NATS answers a server's challenge with; asks for the login each time. */
export function authenticatorOf(login: () => Login): Authenticator {
  return (nonce) => {
    const now = login();
    if (!('jwt' in now)) return { user: now.user, pass: now.password };
    const key = keyOf(now.seed);
    return { jwt: now.jwt, nkey: key.getPublicKey(), sig: Buffer.from(key.sign(new TextEncoder().encode(nonce ?? ''))).toString('base64') };
  };
}
