import { keyOf, userVerifier } from './keys.ts';

/**
 * What a credential shows at the HTTP door: a JWT (RFC 7519) that its holder signs with the same key with which it answers NATS, so that no secret is ever
 * sent, kept by the server, or shared. `path` names the credential (`acme/ci`, `platform-ops`); times in milliseconds since the epoch.
 */
export interface Bearer { readonly path: string; readonly publicKey: string; readonly issuedAt: number; readonly expiresAt: number }

const audience = 'osier';
/** As NATS calls Ed25519 with a key written as nkey. */
const header = { typ: 'JWT', alg: 'ed25519-nkey' } as const;
/** Characters. Longer is nobody's. */
export const longestBearer = 2_048;

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const decoded = (part: string): Record<string, unknown> => {
  const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
};

export function makeBearer(o: { path: string; seed: string; issuedAt: number; expiresAt: number }): string {
  const key = keyOf(o.seed);
  const claims = { iss: key.getPublicKey(), sub: o.path, aud: audience, iat: Math.floor(o.issuedAt / 1000), exp: Math.ceil(o.expiresAt / 1000) };
  const body = `${encoded(header)}.${encoded(claims)}`;
  return `${body}.${Buffer.from(key.sign(new TextEncoder().encode(body))).toString('base64url')}`;
}

/** What it says, if whoever signed it has the key that it names; undefined for all else. Whether that key counts, and until when, is for others to say. */
export function readBearer(token: string): Bearer | undefined {
  const [head = '', claims = '', signature = '', more] = token.split('.');
  if (token.length > longestBearer || signature === '' || more !== undefined) return undefined;
  try {
    const { typ, alg } = decoded(head);
    const { iss, sub, aud, iat, exp } = decoded(claims);
    if (typ !== header.typ || alg !== header.alg || aud !== audience) return undefined;
    if (typeof iss !== 'string' || typeof sub !== 'string' || !Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return undefined;
    if (!userVerifier(iss)(new TextEncoder().encode(`${head}.${claims}`), Buffer.from(signature, 'base64url'))) return undefined;
    return { path: sub, publicKey: iss, issuedAt: (iat as number) * 1000, expiresAt: (exp as number) * 1000 };
  } catch {
    return undefined;
  }
}
