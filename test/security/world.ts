import { natsConfiguration } from '@osier/bus/accounts';
import type { Bus } from '@osier/bus/bus';
import { type CredentialFacts, nodeConsumers, nodeQuestions, nodeSubjects } from '@osier/bus/grants';
import { type Installation as Keys, newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { freePort, startNatsServer } from '@osier/bus/server';
import { authenticatorOf, type Login } from '@osier/bus/login';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A server with two tenants and two nodes, under one of three configurations:
 *   generated    what Osier runs with
 *   permissions  everybody in one account, kept apart by subject permissions alone; nodes may make their own consumers
 *   open         everybody in one account, nobody kept from anything
 * The last two are the mutants: an attack that does not get through even there proves nothing.
 */
export type Configuration = 'generated' | 'permissions' | 'open';
const password = 'secret';
/** The attackers' names; `colleague` is of the same domain, the others are strangers. */
export const us = { domain: 'acme', credential: 'ci', colleague: 'admin', node: 'n1' } as const;
export const them = { domain: 'rival', credential: 'ci', node: 'n2' } as const;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const state = (domain: string, id: string): string => `osier.state.${domain}.shop.production.network._.${id}`;
export const intent = (domain: string, credential: string, noun = 'network', verb = 'apply'): string => `osier.intent.${domain}.shop.production.${noun}.${verb}.${credential}`;

export interface Installation {
  readonly services: Bus;
  /** Plain clients, as anybody could write them, for one attack. */
  enter(): Promise<World>;
  close(): Promise<void>;
}
export interface World {
  readonly services: Bus;
  readonly tenant: NatsConnection;
  readonly node: NatsConnection;
  connect(user: string): Promise<NatsConnection>;
  leave(): Promise<void>;
}

const credentials: readonly CredentialFacts[] = [
  { domain: us.domain, project: '_', name: us.credential, role: 'admin' }, { domain: us.domain, project: '_', name: us.colleague, role: 'admin' },
  { domain: them.domain, project: '_', name: them.credential, role: 'admin' },
];
const nodes = [us.node, them.node];
export const domainUser = (domain: string, credential: string): string => `${domain}/${credential}`;
export const nodeUser = (node: string): string => `node ${node}`;
export const serviceUser = 'services';

export async function installation(configuration: Configuration): Promise<Installation> {
  const dir = mkdtempSync(join(tmpdir(), 'osier-security-'));
  const keys = await newInstallation({ credentials, nodes });
  const where = { listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'js') };
  const config = configuration === 'generated' ? natsConfiguration({ ...where, trust: keys.trust }) : oneAccount(where, configuration === 'permissions');
  const server = await startNatsServer({ dir, config });
  const login = configuration === 'generated' ? signedLogin(keys) : async (user: string): Promise<Login> => ({ user, password });
  const services = await connectBus({ url: server.url, ...(await login(serviceUser)), name: 'services' });
  await services.ensureStreams();
  for (const { domain, node } of [us, them]) {
    await services.publish(state(domain, 'secret'), bytes(`of ${domain}`));
    await services.ensureConsumer(nodeConsumers(node).state, { stream: 'STATE', filters: [`osier.state.${domain}.>`], from: 'last-per-subject', ackPolicy: 'all' });
    while ((await services.last('STATE', state(domain, 'secret'))) === undefined) await sleep(10);
  }
  return {
    services,
    enter: () => enter(server.url, services, login),
    close: async () => {
      await services.close();
      await server.stop();
      rmSync(dir, { recursive: true });
    },
  };
}

const signedLogin = (keys: Keys) => (user: string): Promise<Login> =>
  user === serviceUser ? keys.service('admin') : user.startsWith('node ') ? keys.node(user.slice(5)) : keys.credential(user);

async function enter(url: string, services: Bus, login: (user: string) => Promise<Login>): Promise<World> {
  const open: NatsConnection[] = [];
  const plain = async (user: string): Promise<NatsConnection> => {
    const who = await login(user);
    const connection = await connect({ servers: url, authenticator: authenticatorOf(() => who), name: user, timeout: 2_000, reconnect: false });
    open.push(connection);
    return connection;
  };
  return {
    services, connect: plain,
    tenant: await plain(domainUser(us.domain, us.credential)),
    node: await plain(nodeUser(us.node)),
    leave: async () => void (await Promise.all(open.map((connection) => connection.close()))),
  };
}

/** The design that does not hold. */
function oneAccount({ listen, storeDir }: { listen: string; storeDir: string }, permissions: boolean): string {
  const user = (name: string, publish: readonly string[], subscribe: readonly string[]): string =>
    `{ user: "${name}", password: "${password}"${permissions ? `, permissions { publish: ${JSON.stringify(publish)}, subscribe: ${JSON.stringify(subscribe)} }` : ''} }`;
  const tenants = credentials.map(({ domain, name }) =>
    user(domainUser(domain, name), [`osier.intent.${domain}.*.*.*.*.${name}`], [`osier.outcome.${domain}.>`, `osier.flow.${domain}.>`, '_INBOX.>']));
  const agents = nodes.map((name) => {
    const own = Object.values(nodeConsumers(name)).map((consumer) => `$JS.API.CONSUMER.CREATE.STATE.${consumer}`);
    return user(nodeUser(name), [...nodeSubjects(name), ...own], ['_INBOX.>', ...nodeQuestions(name)]);
  });
  return `listen: "${listen}"
jetstream { store_dir: "${storeDir}" }
accounts {
  ALL { jetstream: enabled, users: [
    ${[`{ user: "${serviceUser}", password: "${password}" }`, ...tenants, ...agents].join('\n    ')}
  ] }
}
`;
}
