import { type SignedAccount, accountOf, type Authority, type Guest, newAuthority, serviceLogin, type Trust, trustOf, type UserLogin, userJwt } from './authority.ts';
import type { CredentialFacts, ServiceName } from './grants.ts';
import { newUserKey } from './keys.ts';

/** Whoever is to be known to the bus from its first moment on: what tests and tools begin with. At run time the tenant service makes the rest. */
export interface Known { readonly credentials?: readonly CredentialFacts[]; readonly nodes?: readonly string[] }
export interface Installation {
  readonly authority: Authority;
  readonly trust: Trust;
  service(name: ServiceName): Promise<UserLogin>;
  /** Of one of `credentials`, by `domain/name`. */
  credential(path: string): Promise<UserLogin>;
  node(name: string): Promise<UserLogin>;
}

export async function newInstallation(known: Known = {}): Promise<Installation> {
  const { authority, operator } = await newAuthority('osier');
  const guests = new Map<string, Guest>([
    ...(known.credentials ?? []).map((c): [string, Guest] => [`${c.domain}/${c.name}`, { ...c, id: `${c.domain}/${c.name}` }]),
    ...(known.nodes ?? []).map((node): [string, Guest] => [`node ${node}`, { node, id: node }]),
  ]);
  const accounts: SignedAccount[] = await Promise.all([...guests.values()].map((guest) => accountOf(authority, guest)));
  const login = async (key: string): Promise<UserLogin> => {
    const guest = guests.get(key);
    if (guest === undefined) throw new Error(`no such guest: ${key}`);
    const { publicKey, seed } = newUserKey();
    return { jwt: await userJwt(authority, guest, { publicKey }), seed };
  };
  return {
    authority, trust: await trustOf(authority, operator, accounts),
    service: (name) => serviceLogin(authority, name), credential: (path) => login(path), node: (name) => login(`node ${name}`),
  };
}
