import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeBearer } from '@osier/bus/bearer';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker, type MemoryBroker } from '@osier/bus/memory';
import { credential, key, publish } from '../test/credential.ts';
import { Refusal } from './answers.ts';
import { type Credentials, followCredentials } from './credentials.ts';
import { authenticator, withSigned } from './tokens.ts';

let broker: MemoryBroker;
let bus: Bus;
let credentials: Credentials;
const [old, young, stranger] = [key(), key(), key()];
const settled = async (what: () => boolean): Promise<void> => {
  for (const until = Date.now() + 3_000; !what(); await sleep(2)) if (Date.now() > until) throw new Error(`not in time: ${what.toString()}`);
};
const path = (publicKey: string, at = 'acme/ci'): string | undefined => credentials.holder(at, publicKey)?.principal.path;

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  await bus.ensureStreams();
});
afterEach(async () => {
  credentials.stop();
  await bus.close();
});
const follow = async (): Promise<void> => {
  credentials = followCredentials(broker.connect('api'), () => undefined);
  await settled(() => credentials.complete);
};

describe('whose key it is', () => {
  it('is known from the documents that there were, and from those that come', async () => {
    await publish(bus, credential('ci', [old], { project: 'shop', role: 'editor' }));
    await follow();
    expect(credentials.holder('acme/ci', old.publicKey)).toEqual({ principal: { domain: 'acme', project: 'shop', token: 'ci', path: 'acme/ci', role: 'editor' }, expiresAt: Date.parse('2999-01-01T00:00:00Z') });
    await publish(bus, credential('ci', [young], { version: 2 }));
    await settled(() => path(young.publicKey) !== undefined);
    expect(path(old.publicKey)).toBeUndefined();
  });
  it('by the path alone nobody is known, nor by the key under another path', async () => {
    await publish(bus, credential('ci', [old]));
    await publish(bus, credential('ci', [young], { id: 2, domain: 'rival' }));
    await follow();
    await settled(() => path(young.publicKey, 'rival/ci') !== undefined);
    expect([path(stranger.publicKey), path(young.publicKey), path(old.publicKey, 'rival/ci'), path(old.publicKey, 'platform-ci'), path(old.publicKey, '__proto__')]).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });
  it('a node is said to be one', async () => {
    await publish(bus, credential('n1', [old], { domain: '_', node: 'n1' }));
    await publish(bus, credential('ops', [young], { id: 2, domain: '_', role: 'admin' }));
    await follow();
    await settled(() => path(young.publicKey, 'platform-ops') !== undefined);
    expect(credentials.holder('platform-n1', old.publicKey)?.principal).toEqual({ domain: '_', project: '_', token: 'platform-n1', path: 'platform-n1', role: 'viewer', node: 'n1' });
    expect(credentials.holder('platform-ops', young.publicKey)?.principal).toEqual({ domain: '_', project: '_', token: 'platform-ops', path: 'platform-ops', role: 'admin' });
  });
  it('a successor of the same name counts, whether the end of the one before is heard sooner or later', async () => {
    await follow();
    await publish(bus, credential('ci', [old]));
    await publish(bus, credential('ci', [young], { id: 2 }));
    await publish(bus, credential('ci', [old], { version: 2, phase: 'deleted' }));
    await publish(bus, credential('x', [stranger], { id: 3 }));
    await settled(() => path(stranger.publicKey, 'acme/x') !== undefined);
    expect([path(old.publicKey), path(young.publicKey)]).toEqual([undefined, 'acme/ci']);
    await publish(bus, credential('ci', [young], { id: 2, version: 2, phase: 'deleted' }));
    await settled(() => path(young.publicKey) === undefined);
  });
  it('an older version that comes later brings no key back', async () => {
    await follow();
    await publish(bus, credential('ci', [young], { version: 3 }));
    await settled(() => path(young.publicKey) !== undefined);
    await publish(bus, credential('ci', [old], { version: 2 }));
    await publish(bus, credential('x', [stranger], { id: 3 }));
    await settled(() => path(stranger.publicKey, 'acme/x') !== undefined);
    expect([path(old.publicKey), path(young.publicKey)]).toEqual([undefined, 'acme/ci']);
  });
  it('what cannot be read opens nothing, nor does what was known of it before', async () => {
    await follow();
    await publish(bus, credential('ci', [old]));
    await settled(() => path(old.publicKey) !== undefined);
    const newer = credential('ci', [old], { version: 2 });
    await publish(bus, { ...newer, spec: { ...newer.spec, fromTheFuture: true } } as never);
    await settled(() => path(old.publicKey) === undefined);
    await publish(bus, credential('ci', [young], { version: 3 }));
    await settled(() => path(young.publicKey) !== undefined);
  });
  it('what is no credential is not taken for one', async () => {
    await follow();
    await publish(bus, { ...credential('ci', [old]), spec: { role: 'root', keys: [{ publicKey: old.publicKey, expiresAt: '2999-01-01T00:00:00Z' }] } } as never);
    await publish(bus, credential('x', [stranger], { id: 3 }));
    await settled(() => path(stranger.publicKey, 'acme/x') !== undefined);
    expect(path(old.publicKey)).toBeUndefined();
  });
});

describe('a token that its holder has signed', () => {
  const now = Date.parse('2026-05-01T12:00:00Z');
  const signed = (o: { path?: string; seed?: string; from?: number; until?: number } = {}): string =>
    `Bearer ${makeBearer({ path: o.path ?? 'acme/ci', seed: o.seed ?? old.seed, issuedAt: now + (o.from ?? 0), expiresAt: now + (o.until ?? 60_000) })}`;
  const who = (authorization: string | undefined, o: { at?: number; shownAt?: number } = {}): string | undefined =>
    withSigned(authenticator([{ token: 'a-token-of-enough-length', credential: 'platform-anna' }]), credentials, () => now + (o.at ?? 0))(authorization, o.shownAt === undefined ? undefined : now + o.shownAt)?.path;
  beforeEach(async () => {
    await publish(bus, credential('ci', [old], { expiresAt: new Date(now + 600_000).toISOString() }));
    await follow();
    await settled(() => path(old.publicKey) !== undefined);
  });

  it.each([
    ['is believed', signed(), {}, 'acme/ci'],
    ['not over another key', signed({ seed: stranger.seed }), {}, undefined], ['not for another credential', signed({ path: 'acme/admin' }), {}, undefined], ['not with a name alone', signed({ path: 'ci' }), {}, undefined],
    ['not after its time', signed(), { at: 60_000 }, undefined], ['just before its end', signed(), { at: 59_999 }, 'acme/ci'],
    ['not long before it was made', signed({ from: 61_000, until: 90_000 }), {}, undefined], ['by a clock that is a minute ahead', signed({ from: 60_000, until: 90_000 }), {}, 'acme/ci'],
    ['not after the time of its key, whatever its own', signed({ until: 9_000_000 }), { at: 600_000 }, undefined], ['until then', signed({ until: 9_000_000 }), { at: 599_999 }, 'acme/ci'],
    ['as long as it is answered, if it counted when it was shown', signed(), { at: 300_000, shownAt: 0 }, 'acme/ci'], ['not where its key has expired meanwhile', signed(), { at: 600_000, shownAt: 0 }, undefined],
    ['not without the scheme', signed().slice(7), {}, undefined], ['not twice', `${signed()} ${signed()}`, {}, undefined],
  ])('%s', (_, authorization, o, expected) => expect(who(authorization, o)).toBe(expected));

  it('is not known while the credentials are not, and tokens that are known by themselves are', () => {
    const waiting = withSigned(authenticator([{ token: 'a-token-of-enough-length', credential: 'platform-anna' }]), { complete: false, holder: () => undefined, stop: () => undefined }, () => now);
    expect(() => waiting(signed())).toThrow(Refusal);
    expect(waiting('Bearer a-token-of-enough-length')?.path).toBe('platform-anna');
    expect(waiting('Bearer nonsense')).toBeUndefined();
    expect(waiting(undefined)).toBeUndefined();
  });
});
