import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { type KeyPair, Prefix } from '@nats-io/nkeys';
import { Codec } from '@nats-io/nkeys/lib/codec.js';

/**
 * Key pairs as NATS writes them (nkeys: Ed25519, base 32 with a checksum), signing and checking with the machine's own cryptography: some hundred times
 * faster than in JavaScript, which counts where a connection or a request waits for it.
 */
export type KeyKind = 'operator' | 'account' | 'user';
const prefixes = { operator: Prefix.Operator, account: Prefix.Account, user: Prefix.User } as const;

/** What stands before the 32 bytes of a private and of a public key in DER (RFC 8410, 7 and 4). */
const [pkcs8, spki] = [Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from('302a300506032b6570032100', 'hex')];
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);
const never = (): never => {
  throw new Error('this key signs and checks, and does nothing else');
};

export type Verify = (data: Uint8Array, signature: Uint8Array) => boolean;
const verifyWith = (key: KeyObject): Verify => (data, signature) => verify(null, data, key, signature);
/** Throws on what is not the public key of a user. */
export const userVerifier = (publicKey: string): Verify =>
  verifyWith(createPublicKey({ key: Buffer.concat([spki, Codec.decode(Prefix.User, bytes(publicKey))]), format: 'der', type: 'spki' }));
export function isUserKey(publicKey: string): boolean {
  try {
    Codec.decode(Prefix.User, bytes(publicKey));
    return true;
  } catch {
    return false;
  }
}

/** Throws on what is not a seed. */
export function keyOf(seed: string): KeyPair {
  const { buf, prefix } = Codec.decodeSeed(bytes(seed));
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, buf]), format: 'der', type: 'pkcs8' });
  const raw = new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(spki.length));
  const publicKey = text(Codec.encode(prefix, raw));
  return {
    getPublicKey: () => publicKey, getSeed: () => bytes(seed), sign: (data) => new Uint8Array(sign(null, data, key)), verify: verifyWith(createPublicKey(key)),
    // What asks for it wants to know whether this key can sign.
    getPrivateKey: () => buf,
    clear: never, seal: never, open: never,
  };
}

/** `raw`: 32 bytes. */
export const seedOf = (kind: KeyKind, raw: Uint8Array): string => text(Codec.encodeSeed(prefixes[kind], raw));
export const newKey = (kind: KeyKind): KeyPair => keyOf(seedOf(kind, new Uint8Array(randomBytes(32))));

/** A key pair of a user, made where it is to be used: `seed` never leaves that place. */
export interface UserKey { readonly publicKey: string; readonly seed: string }
export function newUserKey(): UserKey {
  const pair = newKey('user');
  return { publicKey: pair.getPublicKey(), seed: text(pair.getSeed()) };
}
