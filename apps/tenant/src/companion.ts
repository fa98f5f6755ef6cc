import type { Authority } from '@osier/bus/authority';
import { systemLogin, userJwt } from '@osier/bus/authority';
import type { Bus } from '@osier/bus/bus';
import { connectBus } from '@osier/bus/jetstream';
import type { AnyDocument } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import { problem } from '@osier/contracts/problem';
import { keysInForce } from '@osier/domain/tenancy/credential';
import type { CompanionDeps, QueryAnswer, StartCompanion } from '@osier/runtime/companion';
import { type CredentialDocument, guestOf, isCredential } from './accounts/desired.ts';
import { AccountKeeper } from './accounts/keeper.ts';
import { accountServer } from './accounts/server.ts';
import type { Server } from './config.ts';

/** Milliseconds. */
const lookEvery = 5_000;
/** Every so many looks go into each account. */
const thoroughEvery = 12;
/** Milliseconds between two looks at whether the connection is another: the server may have come back with older accounts, and those who were put out. */
const noticeEvery = 250;
/** Milliseconds that a change's outcome waits for the server to know of it; it is told again by the next look. */
const patience = 2_000;

export interface AccountsOptions { readonly authority: Authority; readonly connect: () => Promise<Pick<Bus, 'request' | 'close' | 'session' | 'connected'>> }

/** The companion of a tenant service whose bus has accounts signed by it. */
export const accountsOver = ({ url, tls }: Server, authority: Authority): StartCompanion => (deps) =>
  startAccounts(deps, { authority, connect: async () => connectBus({ url, tls, ...(await systemLogin(authority)), name: 'osier-tenant accounts' }) });

/** Tells nats-server who there is, and tells holders of keys what to log in with. */
export async function startAccounts(deps: CompanionDeps, { authority, connect }: AccountsOptions): ReturnType<StartCompanion> {
  const { read, log } = deps;
  const bus = await connect();
  const credentials = async (): Promise<CredentialDocument[]> => [...(await read.list('credential')), ...(await read.list('platform-credential'))];
  const keeper = new AccountKeeper({ authority, server: accountServer(bus), credentials, log, now: () => deps.now() });
  let looks = 0;
  let session = -1;
  let failures = 0;
  let running = Promise.resolve();
  /** One at a time, so that what a look has read is not laid over what was changed meanwhile. */
  const inTurn = (work: () => Promise<unknown>): Promise<void> => (running = running.then(work).then(() => void (failures = 0), (error: unknown) => {
    if (failures++ % 30 === 0) log.warn({ err: error }, 'nats-server could not be told of accounts; it is told again until it is done');
  }));
  const look = (): Promise<void> => inTurn(async () => {
    const thorough = looks++ % thoroughEvery === 0 || session !== bus.session;
    const { put, locked, removed } = await keeper.agree(thorough);
    session = bus.session;
    if (put + locked + removed > 0) log.info({ put, locked, removed }, "nats-server's accounts agree with the credentials");
  });
  await look();
  const timer = setInterval(() => void look(), lookEvery);
  let seen = bus.session;
  const notice = setInterval(() => {
    if (!bus.connected || bus.session === seen) return;
    seen = bus.session;
    void look();
  }, noticeEvery);

  return {
    queries: { 'tenant.logins': loginsOf(deps, authority) },
    onOwnChange: async (document: AnyDocument) => {
      if (!isCredential(document)) return;
      await Promise.race([inTurn(async () => keeper.changed(await currentOf(read, document))), new Promise((resolve) => setTimeout(resolve, patience).unref())]);
    },
    stop: async () => {
      clearInterval(timer);
      clearInterval(notice);
      await running;
      await bus.close();
    },
  };
}

/** As it is by now: a look may have laid down a later version while this one waited for its turn. What is found no more is gone. */
async function currentOf(read: CompanionDeps['read'], document: CredentialDocument): Promise<CredentialDocument> {
  const found = document.kind === 'credential' ? await read.get('credential', document.id) : await read.get('platform-credential', document.id);
  return found ?? { ...document, phase: 'deleted' };
}

const loginsOf = ({ read, now }: CompanionDeps, authority: Authority): QueryAnswer<'tenant.logins'> => async ({ kind, name }, { domain }) => {
  const scope = { domain: kind === 'credential' ? domain : none, project: none, environment: none };
  const found: CredentialDocument | undefined = kind === 'credential' ? await read.byName('credential', scope, name) : await read.byName('platform-credential', scope, name);
  if (found === undefined) return problem('not-found', 'name', `There is no credential "${name.slice(0, 63)}" here.`, 'List what there is: osier credentials list.') as never;
  const guest = guestOf(found);
  const logins = keysInForce(found, now()).map(async ({ publicKey, expiresAt }) =>
    ({ publicKey, expiresAt, jwt: await userJwt(authority, guest, { publicKey, expires: Math.floor(Date.parse(expiresAt) / 1000) }) }));
  return { logins: await Promise.all(logins) };
};
