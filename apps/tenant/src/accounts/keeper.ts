import { accountOf, type Authority, deletionOf, factsOf, lockedAccount, meaningOf, ownAccounts, type SignedAccount } from '@osier/bus/authority';
import { limits } from '@osier/contracts/limits';
import type { Log } from '@osier/telemetry/log';
import { type CredentialDocument, guestOf, revocationsOf } from './desired.ts';
import type { AccountServer } from './server.ts';

export interface KeeperDeps {
  readonly authority: Authority;
  readonly server: AccountServer;
  /** Every credential that there is. */
  readonly credentials: () => Promise<readonly CredentialDocument[]>;
  readonly log: Log;
  now(): number;
}
/** What one look has changed. */
export interface Kept { readonly put: number; readonly locked: number; readonly removed: number }

const day = 24 * 60 * 60;

/**
 * Makes the accounts that nats-server has agree with the credentials that there are. An account whose credential is gone is locked, not removed: a server that
 * was cut off meanwhile would bring the old one back, and gives way only to what was signed later. It is removed when no key of it can count any more.
 */
export class AccountKeeper {
  readonly #deps: KeeperDeps;
  /** Meanings that are known to be at the server, by public key. */
  readonly #there = new Map<string, string>();

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  /** One credential, as soon as it has changed. */
  async changed(document: CredentialDocument): Promise<void> {
    const { authority, server } = this.#deps;
    const account = await accountOf(authority, guestOf(document), revocationsOf(document));
    if (document.phase === 'active') return this.#put(account);
    await server.put(await lockedAccount(authority, account.publicKey, account.jwt));
    this.#there.delete(account.publicKey);
  }

  /** All of them. `thorough`: looks into each account of the server, and not only which there are. */
  async agree(thorough: boolean): Promise<Kept> {
    const { authority, server, credentials } = this.#deps;
    if (thorough) this.#there.clear();
    const made = await Promise.all((await credentials()).map((document) => accountOf(authority, guestOf(document), revocationsOf(document))));
    const wanted = new Map([...(await ownAccounts(authority)), ...made].map((account) => [account.publicKey, account]));
    const found = new Set(await server.list());
    let put = 0;
    for (const account of wanted.values()) {
      if (found.has(account.publicKey) && (await this.#isThere(account))) continue;
      await this.#put(account);
      put++;
    }
    const { locked, removed } = await this.#lock([...found].filter((key) => !wanted.has(key)));
    return { put, locked, removed };
  }

  async #isThere({ publicKey, jwt }: SignedAccount): Promise<boolean> {
    const meaning = meaningOf(jwt);
    if (this.#there.get(publicKey) === meaning) return true;
    const found = await this.#deps.server.lookup(publicKey);
    if (found === undefined || meaningOf(found) !== meaning) return false;
    this.#there.set(publicKey, meaning);
    return true;
  }
  async #put({ publicKey, jwt }: SignedAccount): Promise<void> {
    await this.#deps.server.put(jwt);
    this.#there.set(publicKey, meaningOf(jwt));
  }

  /** Accounts that nobody is to have. */
  async #lock(keys: readonly string[]): Promise<Omit<Kept, 'put'>> {
    const { authority, server, log, now } = this.#deps;
    const old: string[] = [];
    let locked = 0;
    for (const key of keys) {
      const jwt = await server.lookup(key);
      if (jwt === undefined) continue;
      const facts = factsOf(jwt);
      if (!facts.locked) {
        await server.put(await lockedAccount(authority, key, jwt));
        locked++;
        log.warn({ account: facts.name }, 'an account of no credential is locked');
      } else if (now() / 1000 - facts.signedAt > limits.keyDays * day) old.push(key);
    }
    if (old.length > 0) await server.remove(await deletionOf(authority, old));
    return { locked, removed: old.length };
  }
}
