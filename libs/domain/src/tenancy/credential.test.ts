import { describe, expect, it } from '@jest/globals';
import type { Document } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import { changesOf, document, expectRefusal, id, node } from '../../test/documents.ts';
import { appliedCredential, keysInForce, orphanedKeys } from './credential.ts';

const now = Date.parse('2026-03-01T00:00:00Z');
const day = 24 * 60 * 60 * 1000;
const at = (days: number): string => new Date(now + days * day).toISOString();
const key = (n: number, days = 30) => ({ publicKey: `U${String(n).padStart(55, 'A')}`, expiresAt: at(days) });
type Key = ReturnType<typeof key>;
const scope = { domain: 'acme', project: '_', environment: '_' };

const there = (keys: readonly Key[], revoked: readonly Key[] = []): Document<'credential'> => document('credential', 'ci', { role: 'editor', keys: [...keys] }, { revoked: [...revoked] }, { id: id(1), domain: 'acme', version: 3 });
const apply = (keys: readonly Key[], current?: Document<'credential'>, over: { name?: string; expectedVersion?: number; role?: 'editor' | 'admin' } = {}) =>
  appliedCredential('credential', scope, { name: over.name ?? 'ci', ...(over.expectedVersion === undefined ? {} : { expectedVersion: over.expectedVersion }), spec: { role: over.role ?? 'editor', keys: [...keys] } }, current, { id: () => id(9), now });
const put = (decision: ReturnType<typeof apply>): { id: string; spec: { keys: readonly Key[] }; status: { revoked: readonly Key[] } } | undefined => {
  if (decision.result !== 'accepted') throw new Error(JSON.stringify(decision));
  return decision.puts[0] as unknown as ReturnType<typeof put>;
};

describe('the keys of a credential', () => {
  it('count until they expire, and not at that moment', () => {
    expect(keysInForce({ spec: { role: 'editor', keys: [key(1, 1), key(2, 0), key(3, -1)] } }, now)).toEqual([key(1, 1)]);
  });
  it('a new credential has its keys, and none that were revoked', () => {
    expect(put(apply([key(1)]))).toMatchObject({ id: id(9), spec: { keys: [key(1)] }, status: { revoked: [] } });
  });
  it('what is taken out is revoked, and remembered as long as it would have counted', () => {
    expect(put(apply([key(2)], there([key(1), key(2)])))?.status.revoked).toEqual([key(1)]);
    expect(put(apply([key(3)], there([key(2)], [key(1)])))?.status.revoked).toEqual([key(1), key(2)]);
    expect(put(apply([key(3)], there([key(2, -1)], [key(1, -1)])))?.status.revoked).toEqual([]);
    expect(put(apply([], there([key(1)])))?.status.revoked).toEqual([key(1)]);
  });
  it('another role keeps what was revoked', () => {
    expect(put(apply([key(2)], there([key(2)], [key(1)]), { role: 'admin' }))).toMatchObject({ id: id(1), status: { revoked: [key(1)] } });
  });
  it('a key that was taken out does not come back, with whatever time', () => {
    expectRefusal(apply([key(2), key(1)], there([key(2)], [key(1)])), 'revoked-key', 'spec.keys[1].publicKey');
    expectRefusal(apply([key(1, 99)], there([], [key(1)])), 'revoked-key', 'spec.keys[0].publicKey');
  });
  it.each([['has expired', 0, 'expired'], ['expired long ago', -5, 'expired'], ['counts too long', limits.keyDays + 1, 'out-of-range']])('a new key that %s is refused', (_, days, code) => {
    expectRefusal(apply([key(1), key(2, days)], there([key(1)])), code, 'spec.keys[1].expiresAt');
  });
  it('takes the longest time that there may be', () => expect(put(apply([key(1, limits.keyDays)]))?.spec.keys).toEqual([key(1, limits.keyDays)]));
  it('a key that was there may stand there after it has expired', () => {
    expect(put(apply([key(1, -1), key(2)], there([key(1, -1)])))?.spec.keys).toEqual([key(1, -1), key(2)]);
  });
  it('may be given more time, and not less: what was signed would count on', () => {
    expect(put(apply([key(1, 40)], there([key(1, 30)])))?.spec.keys).toEqual([key(1, 40)]);
    expectRefusal(apply([key(1, 20)], there([key(1, 30)])), 'immutable', 'spec.keys[0].expiresAt');
    expect(put(apply([key(1, 5)], there([key(1, -1)])))?.spec.keys).toEqual([key(1, 5)]);
  });
  it('so many may be taken out before they expire, and no more', () => {
    const many = Array.from({ length: limits.revokedKeysPerCredential }, (_, i) => key(100 + i));
    expect(put(apply([], there([key(1)], many.slice(1))))?.status.revoked).toHaveLength(limits.revokedKeysPerCredential);
    expectRefusal(apply([], there([key(1)], many)), 'too-many-revoked', 'spec.keys');
    expect(put(apply([], there([key(1)], many.map((k) => ({ ...k, expiresAt: at(-1) })))))?.status.revoked).toEqual([key(1)]);
  });
});

describe('a credential', () => {
  it.each(['osier-x', 'platform-x', 'osier-', 'platform-'])('is not called %s', (name) => expectRefusal(apply([], undefined, { name }), 'reserved-name', 'name'));
  it.each(['osier', 'platform', 'my-osier-x'])('may be called %s', (name) => expect(put(apply([], undefined, { name }))).toBeDefined());
  it('is not changed where it is as wished, nor where it is not as its author has seen it', () => {
    expect(put(apply([key(1)], there([key(1)])))).toBeUndefined();
    expectRefusal(apply([key(2)], there([key(1)]), { expectedVersion: 2 }), 'version-conflict', 'expectedVersion');
    expectRefusal(apply([key(2)], undefined, { expectedVersion: 2 }), 'version-conflict', 'expectedVersion');
  });
  it('there are so many in one domain, and no more; those that are there can still be changed', () => {
    const among = (others: number, current?: Document<'credential'>) => appliedCredential('credential', scope, { name: 'ci', spec: { role: 'editor', keys: [key(1)] } }, current, { id: () => id(9), now, others });
    expect(changesOf(among(limits.credentialsPerDomain - 1))).toHaveLength(1);
    expectRefusal(among(limits.credentialsPerDomain), 'too-many', 'name');
    expect(changesOf(among(limits.credentialsPerDomain, there([])))).toHaveLength(1);
  });
});

describe('the credential of a node', () => {
  const of = (name: string, spec: { node: string } | { role: 'viewer' }, createdAt: string) => document('platform-credential', name, { ...spec, keys: [key(1)] }, { revoked: [] }, { id: id(2), domain: none, createdAt });
  const all = [of('agent-one', { node: 'one' }, at(1)), of('agent-one-anew', { node: 'one' }, at(5)), of('agent-two', { node: 'two' }, at(1)), of('noc', { role: 'viewer' }, at(1))];
  const gone = (successor?: Document<'node'>) => orphanedKeys('one', all, successor).map(({ name, phase }) => [name, phase]);
  it('goes with the node, and no other does', () => expect(gone()).toEqual([['agent-one', 'deleted'], ['agent-one-anew', 'deleted']]));
  it('stays where it was made for the next node of that name', () => expect(gone(node('one', '192.0.2.11', { createdAt: at(3) }))).toEqual([['agent-one', 'deleted']]));
});
