import type { UserLogin } from './authority.ts';
import { credsText, parseLogin } from './login.ts';

/** What the holder of a credential keeps: a NATS credentials file that says also which credential of Osier it is, and where. NATS's own tools read the rest of it. */
export interface CredentialFile extends UserLogin {
  /** `acme/ci`, `platform-ops` */
  readonly path: string;
  /** Of the HTTP door. */
  readonly server?: string;
}

const [begin, end] = ['-----BEGIN OSIER CREDENTIAL-----', '------END OSIER CREDENTIAL------'];

export const credentialText = ({ path, server, ...login }: CredentialFile): string =>
  `${credsText(login).trimEnd()}\n\n${begin}\n${JSON.stringify({ path, ...(server === undefined ? {} : { server }) })}\n${end}\n`;

/** Throws where it is none, and never tells what is in it. */
export function parseCredential(text: string): CredentialFile {
  const login = parseLogin(text);
  const about = new RegExp(`${begin}\\s+(\\{.*\\})\\s+${end}`).exec(text)?.[1];
  if (!('jwt' in login) || about === undefined) throw new Error('it is not a credentials file that `osier credentials issue` has written');
  const { path, server } = JSON.parse(about) as { path?: unknown; server?: unknown };
  if (typeof path !== 'string') throw new Error('it does not say which credential it is');
  return { ...login, path, ...(typeof server === 'string' ? { server } : {}) };
}
