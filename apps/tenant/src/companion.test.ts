import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { accountOf, type Authority, factsOf, meaningOf, newAuthority } from '@osier/bus/authority';
import { BusUnavailable } from '@osier/bus/bus';
import { newUserKey } from '@osier/bus/keys';
import type { Document } from '@osier/contracts/document';
import type { QueryResponse } from '@osier/contracts/queries';
import type { Companion, CompanionDeps } from '@osier/runtime/companion';
import { silent } from '@osier/telemetry/log';
import { guestOf, revocationsOf } from './accounts/desired.ts';
import { startAccounts } from './companion.ts';

const now = Date.parse('2026-05-01T00:00:00Z');
const [live, expired, revoked] = [newUserKey(), newUserKey(), newUserKey()];
const claims = (jwt: string): { sub: string; exp?: number; nats: { issuer_account?: string } } => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as never;
const ci = (over: { version?: number; revoked?: readonly string[] } = {}): Document<'credential'> => ({
  kind: 'credential', id: '00000000-0000-0000-0000-000000000001', name: 'ci', domain: 'acme', phase: 'active', version: over.version ?? 1,
  spec: { role: 'editor', keys: [{ publicKey: live.publicKey, expiresAt: '2026-06-01T00:00:00.700Z' }, { publicKey: expired.publicKey, expiresAt: '2026-04-01T00:00:00Z' }] },
  status: { revoked: (over.revoked ?? []).map((publicKey) => ({ publicKey, expiresAt: '2026-06-01T00:00:00Z' })) },
}) as unknown as Document<'credential'>;

let authority: Authority;
let accounts: Map<string, string>;
let asked: string[];
let stored: Document<'credential'> | undefined;
let companion: Companion;
const connection = { session: 1, connected: true, answers: true, close: async () => undefined, request: async (subject: string, data: Uint8Array) => {
  asked.push(subject);
  if (!connection.answers) return new Promise<never>((_, reject) => setTimeout(reject, 3_000, new BusUnavailable('nobody answers')).unref());
  const body = new TextDecoder().decode(data);
  const lookup = /^\$SYS\.REQ\.ACCOUNT\.(\w+)\.CLAIMS\.LOOKUP$/.exec(subject)?.[1];
  if (subject === '$SYS.REQ.CLAIMS.UPDATE') accounts.set(claims(body).sub, body);
  const answer = lookup !== undefined ? (accounts.get(lookup) ?? '') : JSON.stringify({ data: [...accounts.keys()] });
  return { data: new TextEncoder().encode(answer), headers: {} };
} };
const held = async (document: Document<'credential'>): Promise<string> => accounts.get((await accountOf(authority, guestOf(document))).publicKey) ?? '';
const logins = (name: string, domain = 'acme', kind: 'credential' | 'platform-credential' = 'credential') =>
  companion.queries['tenant.logins']?.({ kind, name }, { domain, project: '_' }) as Promise<QueryResponse<'tenant.logins'> & { code?: string }>;

beforeEach(async () => {
  ({ authority } = await newAuthority('test'));
  [accounts, asked, stored] = [new Map(), [], ci()];
  Object.assign(connection, { session: 1, connected: true, answers: true });
  const read = {
    list: async (kind: string) => (kind === 'credential' && stored !== undefined ? [stored] : []),
    get: async () => stored,
    byName: async (kind: string, scope: { domain: string }, name: string) => (kind === 'credential' && scope.domain === 'acme' && name === 'ci' ? stored : undefined),
  };
  companion = await startAccounts({ read, log: silent, now: () => now } as unknown as CompanionDeps, { authority, connect: async () => connection });
});
afterEach(() => companion.stop());

describe('accounts beside the tenant service', () => {
  it('are there when it has started', async () => expect(meaningOf(await held(ci()))).toBe(meaningOf((await accountOf(authority, guestOf(ci()))).jwt)));
  it('are laid down as the credential is by now, not as it was when the change was told', async () => {
    const [older, newer] = [ci(), ci({ version: 2, revoked: [revoked.publicKey] })];
    stored = newer;
    await companion.onOwnChange?.(older, 1);
    expect(meaningOf(await held(newer))).toBe(meaningOf((await accountOf(authority, guestOf(newer), revocationsOf(newer))).jwt));
    stored = undefined;
    await companion.onOwnChange?.(older, 1);
    expect(factsOf(await held(older)).locked).toBe(true);
  });
  it('are looked into at once when the server may be another', async () => {
    accounts.clear();
    connection.session = 2;
    connection.connected = false;
    await sleep(400);
    expect(accounts.size).toBe(0);
    connection.connected = true;
    for (const until = Date.now() + 2_000; accounts.size < 3 && Date.now() < until; ) await sleep(10);
    expect(accounts.size).toBe(3);
  });
  it('hold up no change for long while the server does not answer', async () => {
    connection.answers = false;
    const began = performance.now();
    await companion.onOwnChange?.(ci(), 1);
    expect(performance.now() - began).toBeLessThan(2_900);
  });
  it('have nothing to do with other kinds', async () => {
    asked = [];
    await companion.onOwnChange?.({ ...ci(), kind: 'domain' } as never, 1);
    expect(asked).toEqual([]);
  });
});

describe('what a key logs in with', () => {
  it('is signed for the keys that count, until they expire at the latest', async () => {
    const found = (await logins('ci')).logins;
    expect(found.map(({ publicKey }) => publicKey)).toEqual([live.publicKey]);
    expect(claims(found[0]?.jwt ?? '')).toMatchObject({ sub: live.publicKey, exp: Date.parse('2026-06-01T00:00:00Z') / 1000, nats: { issuer_account: (await accountOf(authority, guestOf(ci()))).publicKey } });
  });
  it.each([['ci', 'rival', 'credential'], ['other', 'acme', 'credential'], ['ci', '_', 'platform-credential']] as const)('there is none for %s of %s as a %s', async (name, domain, kind) => {
    expect(await logins(name, domain, kind)).toMatchObject({ code: 'not-found' });
  });
});
