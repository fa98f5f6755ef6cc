import { describe, expect, it } from '@jest/globals';
import { makeBearer, readBearer } from './bearer.ts';
import { keyOf, newUserKey } from './keys.ts';

const key = newUserKey();
const times = { issuedAt: 1_700_000_000_000, expiresAt: 1_700_000_600_000 };
const token = makeBearer({ path: 'acme/ci', seed: key.seed, ...times });
const [head = '', claims = '', signature = ''] = token.split('.');
const changed = (part: string, change: Record<string, unknown>): string => Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(part, 'base64url').toString()) as object), ...change })).toString('base64url');

describe('a bearer token', () => {
  it('says whose it is, with which key, and for how long, and holds no secret', () => {
    expect(readBearer(token)).toEqual({ path: 'acme/ci', publicKey: key.publicKey, ...times });
    expect(Buffer.from(claims, 'base64url').toString()).not.toContain(key.seed);
  });
  it.each([
    ['another credential', `${head}.${changed(claims, { sub: 'rival/ci' })}.${signature}`],
    ['more time', `${head}.${changed(claims, { exp: 2_000_000_000 })}.${signature}`],
    ['another key', `${head}.${changed(claims, { iss: newUserKey().publicKey })}.${signature}`],
    ['no signature', `${head}.${claims}.`],
    ['no algorithm', `${changed(head, { alg: 'none' })}.${claims}.${signature}`],
    ['a signature of another', `${head}.${claims}.${makeBearer({ path: 'acme/ci', seed: newUserKey().seed, ...times }).split('.')[2] ?? ''}`],
    ['a part too many', `${token}.x`],
    ['nothing', ''],
  ])('with %s is nobody\'s', (_, forged) => {
    expect(readBearer(forged)).toBeUndefined();
  });
  it('for another door is none here', () => {
    // Signed rightly, by the same key: what its holder shows to others must not open this door.
    const body = `${head}.${changed(claims, { aud: 'other' })}`;
    const signed = Buffer.from(keyOf(key.seed).sign(new TextEncoder().encode(body))).toString('base64url');
    expect(readBearer(`${body}.${signed}`)).toBeUndefined();
  });
});
