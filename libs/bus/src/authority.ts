import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { type Account, type ClaimsData, encodeAccount, encodeGeneric, encodeOperator, encodeUser, type Permissions, type SigningKey, type UserPermissionsLimits } from '@nats-io/jwt';
import { fromPublic, type KeyPair } from '@nats-io/nkeys';
import { type CredentialFacts, credentialGrant, type Grant, nodeGrant, type Permission, serviceNames, type ServiceName, servicePermission, servicesExports } from './grants.ts';
import { keyOf, newKey, seedOf } from './keys.ts';

/**
 * The keys of an installation and what is signed with them, as NATS understands it (JWTs of operators, accounts and users over nkeys:
 * https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt).
 *
 *   operator ──signs──► its JWT, which names the signing key          stays with whoever installs
 *   signing key ──signs──► the JWT of each account                    the tenant service
 *   role key of an account (scoped) ──signs──► the JWT of a user      the tenant service
 *
 * The keys of accounts are derived from one root, so that none of them has to be kept, and a database that is restored elsewhere holds none. A user's own
 * key never comes here: only its public part does. What a user may do stands in the scope of the key that signed its JWT, never in that JWT.
 */
export interface Authority {
  /** Signs accounts: seed of an operator's signing key. */
  readonly signing: string;
  /** Base64 of 32 bytes, from which the keys of accounts are derived. */
  readonly root: string;
}
/** What nats-server has to be told before the tenant service can tell it the rest. */
export interface Trust {
  readonly operator: string;
  readonly systemAccount: string;
  /** By public key. */
  readonly accounts: Readonly<Record<string, string>>;
}
/** What a program logs in with. */
export interface UserLogin { readonly jwt: string; readonly seed: string }

const seed = (key: KeyPair): string => new TextDecoder().decode(key.getSeed());

/** HKDF (RFC 5869) with the label as its info. */
const derived = ({ root }: Authority, kind: 'account' | 'user', label: string): KeyPair =>
  keyOf(seedOf(kind, new Uint8Array(hkdfSync('sha256', Buffer.from(root, 'base64'), 'osier', label, 32))));

/** A new installation's keys, and the operator's JWT, for whose key there is no further use. */
export async function newAuthority(name: string): Promise<{ readonly authority: Authority; readonly operator: string }> {
  const [operator, signing] = [newKey('operator'), newKey('operator')];
  const authority = { signing: seed(signing), root: randomBytes(32).toString('base64') };
  const jwt = await encodeOperator(name, operator, { signing_keys: [signing.getPublicKey()], system_account: systemKey(authority).getPublicKey() });
  return { authority, operator: jwt };
}

const systemKey = (authority: Authority): KeyPair => derived(authority, 'account', 'account SYSTEM');
const servicesKey = (authority: Authority): KeyPair => derived(authority, 'account', 'account SERVICES');

/** An account with the one role that its users have. */
interface AccountFacts { readonly name: string; readonly key: KeyPair; readonly claims: Partial<Account> }

const nothing = ['>'];
/** An empty list would allow everything. */
const allow = (subjects: readonly string[]): { allow?: string[]; deny?: string[] } => (subjects.length > 0 ? { allow: [...subjects] } : { deny: nothing });
const permissionsOf = ({ publish, subscribe }: Permission): Permissions => ({ pub: allow(publish), sub: allow(subscribe) });

function scoped(key: KeyPair, role: string, permission: Permission): SigningKey {
  const template: Partial<UserPermissionsLimits> = { ...permissionsOf(permission), subs: -1, data: -1, payload: -1, bearer_token: false };
  return { kind: 'user_scope', key: key.getPublicKey(), role, template };
}
const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: 0, disallow_bearer: true };

const roleKey = (authority: Authority, account: string): KeyPair => derived(authority, 'account', `role of ${account}`);

function servicesAccount(authority: Authority): AccountFacts {
  const exports = servicesExports().map(({ type, subject, many }) => ({ name: subject, subject, type, ...(many ? { response_type: 'Stream' as const } : {}) }));
  return {
    name: 'SERVICES', key: servicesKey(authority),
    claims: {
      exports, signing_keys: serviceNames.map((name) => scoped(roleKey(authority, `SERVICES ${name}`), name, servicePermission(name))),
      limits: { ...unlimited, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
    },
  };
}
/** To watch the server and to tell it accounts; what may be said there is limited by the scope of the one user's key. */
const systemPermission: Permission = { publish: ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.CLAIMS.LIST', '$SYS.REQ.CLAIMS.DELETE', '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP'], subscribe: ['_INBOX.>'] };
const systemAccount = (authority: Authority): AccountFacts => ({
  name: 'SYSTEM', key: systemKey(authority), claims: { signing_keys: [scoped(roleKey(authority, 'SYSTEM'), 'tenant', systemPermission)], limits: unlimited },
});

/** Public key → the time, in seconds since the epoch, before which what it was given does not count. */
export type Revocations = Readonly<Record<string, number>>;

function guestAccount(authority: Authority, name: string, label: string, grant: Grant, revocations: Revocations): AccountFacts {
  const account = servicesKey(authority).getPublicKey();
  const imports = grant.imports.map(({ type, subject, to }) => ({ name: subject, account, type, subject, ...(to === undefined ? {} : { local_subject: to }) }));
  return {
    name, key: derived(authority, 'account', `account ${label}`),
    claims: {
      imports, signing_keys: [scoped(roleKey(authority, label), 'user', grant)], revocations: { ...revocations },
      limits: { ...unlimited, conn: grant.connections, subs: grant.subscriptions, exports: 0, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 },
    },
  };
}

/** Whose account: `id` makes that of a successor of the same name another one. */
export type Guest = { readonly id: string } & (CredentialFacts | { readonly node: string });
const guestLabel = (guest: Guest): string => `${'node' in guest ? 'node' : 'credential'} ${guest.id}`;
const guestName = (guest: Guest): string => ('node' in guest ? `NODE_${guest.node}` : `CREDENTIAL_${guest.domain}_${guest.name}`);
const grantOf = (guest: Guest): Grant => ('node' in guest ? nodeGrant(guest.node) : credentialGrant(guest));

const signed = async (authority: Authority, { name, key, claims }: AccountFacts): Promise<SignedAccount> =>
  ({ publicKey: key.getPublicKey(), jwt: await encodeAccount(name, key, claims, { signer: keyOf(authority.signing) }) });
export interface SignedAccount { readonly publicKey: string; readonly jwt: string }

/** Throws where a name could not stand in a subject. */
export const accountOf = (authority: Authority, guest: Guest, revocations: Revocations = {}): Promise<SignedAccount> =>
  signed(authority, guestAccount(authority, guestName(guest), guestLabel(guest), grantOf(guest), revocations));

export async function trustOf(authority: Authority, operator: string, guests: readonly SignedAccount[] = []): Promise<Trust> {
  const [system, services] = await Promise.all([signed(authority, systemAccount(authority)), signed(authority, servicesAccount(authority))]);
  const accounts = Object.fromEntries([system, services, ...guests].map(({ publicKey, jwt }) => [publicKey, jwt]));
  return { operator, systemAccount: system.publicKey, accounts };
}
/** The accounts that are there before any credential is. */
export const ownAccounts = (authority: Authority): Promise<SignedAccount[]> => Promise.all([signed(authority, systemAccount(authority)), signed(authority, servicesAccount(authority))]);

/** A JWT for whoever has the seed of `publicKey`; `expires`: seconds since the epoch. */
export async function userJwt(authority: Authority, guest: Guest, user: { readonly publicKey: string; readonly expires?: number }): Promise<string> {
  const label = guestLabel(guest);
  return userOf({ name: guestName(guest), account: derived(authority, 'account', `account ${label}`), role: roleKey(authority, label), user: fromPublic(user.publicKey), expires: user.expires });
}
async function userOf(o: { name: string; account: KeyPair; role: KeyPair; user: KeyPair; expires?: number | undefined }): Promise<string> {
  return encodeUser(o.name, o.user, o.account, {}, { signer: o.role, scopedUser: true, ...(o.expires === undefined ? {} : { exp: o.expires }) });
}
async function ownLogin(authority: Authority, name: string, account: KeyPair, role: string): Promise<UserLogin> {
  const user = derived(authority, 'user', `user ${role}`);
  return { jwt: await userOf({ name, account, role: roleKey(authority, role), user }), seed: seed(user) };
}
export const serviceLogin = (authority: Authority, name: ServiceName): Promise<UserLogin> => ownLogin(authority, `osier-${name}`, servicesKey(authority), `SERVICES ${name}`);
/** With which the tenant service tells the server accounts. */
export const systemLogin = (authority: Authority): Promise<UserLogin> => ownLogin(authority, 'osier-tenant accounts', systemKey(authority), 'SYSTEM');

/** An account that lets nobody in, signed later than the one it replaces; whoever is in is put out. */
export async function lockedAccount(authority: Authority, publicKey: string, replaced: string): Promise<string> {
  const claims: Partial<Account> = { revocations: { '*': Math.ceil(Date.now() / 1000) }, tags: [lockedTag], limits: { ...unlimited, conn: 0, subs: 0, imports: 0, exports: 0 } };
  return encodeAccount(factsOf(replaced).name, fromPublic(publicKey), claims, { signer: keyOf(authority.signing) });
}
const lockedTag = 'locked';
/** What stands in an account's JWT; `signedAt`: seconds since the epoch. */
export function factsOf(jwt: string): { readonly name: string; readonly locked: boolean; readonly signedAt: number } {
  const { name, iat, nats } = claimsOf(jwt);
  return { name, locked: nats.tags?.includes(lockedTag) ?? false, signedAt: iat };
}
/** Without a look at the signature: what nats-server has it has checked. */
const claimsOf = (jwt: string): ClaimsData<Account> => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as ClaimsData<Account>;

/** A request to forget accounts, as the server's resolver takes it. */
export const deletionOf = (authority: Authority, accounts: readonly string[]): Promise<string> => encodeGeneric('delete accounts', keyOf(authority.signing), 'generic', { accounts: [...accounts] });

/** What an account's JWT says, without what differs each time that it is signed; equal for equal accounts. */
export function meaningOf(jwt: string): string {
  const { name, sub, iss, nats } = claimsOf(jwt);
  return createHash('sha256').update(JSON.stringify(sorted({ name, sub, iss, nats }))).digest('hex');
}
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]));
}
