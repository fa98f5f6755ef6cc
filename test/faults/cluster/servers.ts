import { setTimeout as sleep } from 'node:timers/promises';
import type { UserLogin } from '@osier/bus/authority';
import type { NatsCluster } from '@osier/bus/cluster';
import { authenticatorOf } from '@osier/bus/login';
import { connect, type NatsConnection } from '@nats-io/transport-node';

export interface Info {
  readonly config: { readonly num_replicas: number };
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly { readonly name: string; readonly current: boolean }[] };
  readonly state: { readonly last_seq: number };
}

export async function eventually<T>(what: () => Promise<T | undefined>, withinMs = 40_000): Promise<T> {
  let last: unknown;
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(50)) {
    try {
      const found = await what();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not within ${withinMs} ms: ${what.toString()}`, { cause: last });
}

/** Straight at one server, and never at another. */
export const enterAt = (cluster: NatsCluster, index: number, login: UserLogin): Promise<NatsConnection> =>
  connect({ servers: cluster.servers[index]?.url ?? '', authenticator: authenticatorOf(() => login), name: `at ${cluster.names[index]}`, ignoreClusterUpdates: true, maxReconnectAttempts: -1, reconnectTimeWait: 100, waitOnFirstConnect: true });

export const ask = async <T = Info>(nats: NatsConnection, api: string, body = ''): Promise<T> => (await nats.request(`$JS.API.${api}`, body, { timeout: 2_000 })).json<T>();

/** Index of the server that leads a stream, as soon as one does. */
export const leaderOf = (nats: NatsConnection, { names }: Pick<NatsCluster, 'names'>, stream: string): Promise<number> => eventually(async () => {
  const index = names.indexOf((await ask(nats, `STREAM.INFO.${stream}`)).cluster?.leader ?? '');
  return index < 0 ? undefined : index;
});
