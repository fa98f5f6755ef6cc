import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { natsConfiguration, type ServerInput } from '../accounts.ts';
import { freePort, type NatsServer, startNatsServer } from '../server.ts';
import { type Link, openLink } from './links.ts';

/** How many servers of a cluster there are. */
export const clusterSize = 3;

export interface NatsCluster {
  /** Of all servers, separated by commas. */
  readonly url: string;
  readonly servers: readonly NatsServer[];
  /** The name by which the cluster's own answers call a server. */
  readonly names: readonly string[];
  /** The others neither hear it nor are heard by it; its clients still reach it. */
  cutOff(index: number): void;
  mend(index: number): void;
  stop(): Promise<void>;
}

type Addresses = { readonly name: string; readonly client: number; readonly route: number };
/**
 * A port that answers nothing: the way to a server that the others hear of from each other, and that must not be a way around the links. Each has one of its own: of two
 * with the same, a server takes one for the other now and then, and never again hears of it.
 */
const nowhere = (index: number): string => `127.0.0.1:${1 + index}`;

/** Three nats-servers as parts of this process, each with a link to each of the others that can be interrupted. Returns when each accepts connections; who leads is elected later. */
export async function startNatsCluster(o: { dir: string; accounts: Pick<ServerInput, 'trust' | 'limits'>; binary?: string }): Promise<NatsCluster> {
  const all: Addresses[] = [];
  for (let index = 0; index < clusterSize; index++) all.push({ name: `nats-${index + 1}`, client: await freePort(), route: await freePort() });
  const links = new Map<string, Link>();
  for (const from of all) for (const to of all) if (from !== to) links.set(`${from.name} ${to.name}`, await openLink(to.route));
  const secret = { name: 'osier', user: 'route', password: randomBytes(24).toString('base64url') };
  const start = (one: Addresses): Promise<NatsServer> => {
    const dir = join(o.dir, one.name);
    mkdirSync(dir, { recursive: true });
    const routes = all.filter((other) => other !== one).map((other) => `127.0.0.1:${links.get(`${one.name} ${other.name}`)?.port}`);
    const config = natsConfiguration({
      ...o.accounts, listen: `127.0.0.1:${one.client}`, storeDir: join(dir, 'js'), serverName: one.name,
      cluster: { ...secret, listen: `127.0.0.1:${one.route}`, advertise: nowhere(all.indexOf(one)), routes },
    });
    return startNatsServer({ dir, config, ...(o.binary === undefined ? {} : { binary: o.binary }) });
  };
  const linksOf = (index: number): Link[] => [...links].filter(([pair]) => pair.split(' ').includes(all[index]?.name ?? '')).map(([, link]) => link);
  const servers = await Promise.all(all.map(start));
  return {
    url: servers.map((server) => server.url).join(','),
    servers,
    names: all.map(({ name }) => name),
    cutOff: (index) => linksOf(index).forEach((link) => link.cut()),
    mend: (index) => linksOf(index).forEach((link) => link.mend()),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
      await Promise.all([...links.values()].map((link) => link.close()));
    },
  };
}
