import { beforeEach, describe, expect, it } from '@jest/globals';
import { accountOf, type Authority, factsOf, meaningOf, newAuthority, ownAccounts } from '@osier/bus/authority';
import { newUserKey } from '@osier/bus/keys';
import type { Document } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { silent } from '@osier/telemetry/log';
import { type CredentialDocument, guestOf, revocationsOf } from './desired.ts';
import { AccountKeeper } from './keeper.ts';
import type { AccountServer } from './server.ts';

const decoded = (jwt: string): { nats: { revocations?: Record<string, number>; imports?: { subject: string }[]; limits: { conn: number } }; iss: string } => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as never;
const subjectOf = (jwt: string): string => (JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as { sub: string }).sub;
const [first, second] = [newUserKey(), newUserKey()];
const expiresAt = '2999-01-01T00:00:00.500Z';

function credential(name: string, over: { id?: number; phase?: 'active' | 'deleted'; revoked?: readonly string[]; role?: string; project?: string; node?: string } = {}): CredentialDocument {
  const { id = 1, phase = 'active', revoked = [], role = 'editor', project, node } = over;
  return {
    kind: node === undefined ? 'credential' : 'platform-credential', id: `00000000-0000-0000-0000-${String(id).padStart(12, '0')}`, name, domain: node === undefined ? 'acme' : '_', phase,
    spec: { ...(node === undefined ? { role } : { node }), ...(project === undefined ? {} : { project }), keys: [] }, status: { revoked: revoked.map((publicKey) => ({ publicKey, expiresAt })) },
  } as unknown as Document<'credential'>;
}

/** A server that keeps what it is given, as nats-server does with a full resolver. */
function fakeServer(): AccountServer & { readonly accounts: Map<string, string>; calls: string[]; away: boolean } {
  const accounts = new Map<string, string>();
  const server = {
    accounts, calls: [] as string[], away: false,
    list: async () => (server.ask('list'), [...accounts.keys()]),
    lookup: async (key: string) => (server.ask('lookup'), accounts.get(key)),
    put: async (jwt: string) => void (server.ask('put'), accounts.set(subjectOf(jwt), jwt)),
    remove: async (request: string) => {
      server.ask('remove');
      for (const key of (JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString()) as { nats: { accounts: string[] } }).nats.accounts) accounts.delete(key);
    },
    ask: (call: string) => {
      if (server.away) throw new Error('away');
      server.calls.push(call);
    },
  };
  return server;
}

describe('the keeper of accounts', () => {
  let authority: Authority;
  let server: ReturnType<typeof fakeServer>;
  let keeper: AccountKeeper;
  let there: CredentialDocument[];
  let now: number;
  const keyOf = async (document: CredentialDocument): Promise<string> => (await accountOf(authority, guestOf(document))).publicKey;
  const held = async (document: CredentialDocument): Promise<string | undefined> => server.accounts.get(await keyOf(document));
  const meansWell = async (document: CredentialDocument): Promise<boolean> => meaningOf((await held(document)) ?? '') === meaningOf((await accountOf(authority, guestOf(document), revocationsOf(document))).jwt);

  beforeEach(async () => {
    ({ authority } = await newAuthority('test'));
    server = fakeServer();
    there = [];
    now = Date.now();
    keeper = new AccountKeeper({ authority, server, credentials: async () => there, log: silent, now: () => now });
  });

  it('gives the server the accounts that it lacks, its own among them, and tells it nothing twice', async () => {
    there = [credential('ci'), credential('n1', { id: 2, node: 'n1' })];
    expect(await keeper.agree(true)).toEqual({ put: 4, locked: 0, removed: 0 });
    for (const document of there) expect(await meansWell(document)).toBe(true);
    for (const { publicKey } of await ownAccounts(authority)) expect(server.accounts.has(publicKey)).toBe(true);
    server.calls = [];
    expect(await keeper.agree(false)).toEqual({ put: 0, locked: 0, removed: 0 });
    expect(server.calls).toEqual(['list']);
  });
  it('lays down what has changed: role, scope, and revoked keys until their last second', async () => {
    const before = credential('ci');
    there = [before];
    await keeper.agree(true);
    const after = credential('ci', { role: 'viewer', project: 'shop', revoked: [first.publicKey] });
    await keeper.changed(after);
    expect(await meansWell(after)).toBe(true);
    const { nats } = decoded((await held(after)) ?? '');
    expect(nats.revocations).toEqual({ [first.publicKey]: Math.ceil(Date.parse(expiresAt) / 1000) });
    expect(nats.imports?.map(({ subject }) => subject)).toEqual(['osier.outcome.acme.shop.>', 'osier.live.flow.acme.shop.>']);
  });
  it('locks an account whose credential is gone: nobody comes in, and whoever is in goes', async () => {
    const document = credential('ci');
    await keeper.changed(document);
    await keeper.changed({ ...document, phase: 'deleted' });
    const jwt = (await held(document)) ?? '';
    expect(factsOf(jwt).locked).toBe(true);
    expect(decoded(jwt).nats.limits.conn).toBe(0);
    expect(decoded(jwt).nats.revocations?.['*']).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000));
    expect(decoded(jwt).nats.imports ?? []).toEqual([]);
  });
  it('gives a successor of the same name another account, and leaves the old one locked', async () => {
    const [old, young] = [credential('ci'), credential('ci', { id: 2 })];
    await keeper.changed(old);
    await keeper.changed({ ...old, phase: 'deleted' });
    await keeper.changed(young);
    expect(await keyOf(old)).not.toBe(await keyOf(young));
    there = [young];
    expect(await keeper.agree(true)).toEqual({ put: 2, locked: 0, removed: 0 });
    expect(factsOf((await held(old)) ?? '').locked).toBe(true);
  });
  it('locks what it finds and nobody is to have, and whatever was told while the server was away', async () => {
    const [gone, changed] = [credential('gone'), credential('changed', { id: 2 })];
    there = [gone, changed];
    await keeper.agree(true);
    server.away = true;
    await expect(keeper.changed({ ...gone, phase: 'deleted' })).rejects.toThrow('away');
    there = [credential('changed', { id: 2, revoked: [second.publicKey] })];
    await expect(keeper.changed(there[0] as CredentialDocument)).rejects.toThrow('away');
    server.away = false;
    expect(await keeper.agree(false)).toEqual({ put: 1, locked: 1, removed: 0 });
    expect(factsOf((await held(gone)) ?? '').locked).toBe(true);
    expect(await meansWell(there[0] as CredentialDocument)).toBe(true);
  });
  it('finds by a thorough look what the server has lost or has older', async () => {
    const old = credential('ci');
    there = [old];
    await keeper.agree(true);
    const before = new Map(server.accounts);
    there = [credential('ci', { revoked: [first.publicKey] })];
    await keeper.changed(there[0] as CredentialDocument);
    for (const [key, jwt] of before) server.accounts.set(key, jwt);
    expect(await keeper.agree(false)).toEqual({ put: 0, locked: 0, removed: 0 });
    expect(await keeper.agree(true)).toEqual({ put: 1, locked: 0, removed: 0 });
    expect(await meansWell(there[0] as CredentialDocument)).toBe(true);
  });
  it('removes a locked account when no key of it can count any more, and not sooner', async () => {
    const document = credential('ci');
    await keeper.changed(document);
    await keeper.changed({ ...document, phase: 'deleted' });
    await keeper.agree(true);
    now += limits.keyDays * 24 * 60 * 60 * 1000 - 60_000;
    expect((await keeper.agree(true)).removed).toBe(0);
    now += 120_000;
    expect((await keeper.agree(true)).removed).toBe(1);
    expect(await held(document)).toBeUndefined();
    expect((await keeper.agree(true)).removed).toBe(0);
  });
  it('never locks or removes the accounts that are there before any credential is', async () => {
    await keeper.agree(true);
    now += 2 * limits.keyDays * 24 * 60 * 60 * 1000;
    expect(await keeper.agree(true)).toEqual({ put: 0, locked: 0, removed: 0 });
    expect(server.accounts.size).toBe(2);
  });
});
