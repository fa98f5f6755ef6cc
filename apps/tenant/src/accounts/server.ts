import type { Bus } from '@osier/bus/bus';
import { BusUnavailable } from '@osier/bus/bus';

/** The accounts that nats-server keeps, over its system account (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt/resolver). */
export interface AccountServer {
  /** Public keys. */
  list(): Promise<readonly string[]>;
  /** Its JWT; undefined where it has none. */
  lookup(publicKey: string): Promise<string | undefined>;
  /** Lays down an account, over an older one; what it has no more ends at once, connections too. */
  put(jwt: string): Promise<void>;
  remove(request: string): Promise<void>;
}

interface Reply { readonly data?: unknown; readonly error?: { readonly description?: string } }
const timeoutMs = 3_000;

export function accountServer(bus: Pick<Bus, 'request'>): AccountServer {
  const ask = async (subject: string, body = ''): Promise<Reply> => {
    const { data } = await bus.request(subject, new TextEncoder().encode(body), { timeoutMs });
    const reply = JSON.parse(new TextDecoder().decode(data)) as Reply;
    if (reply.error) throw new Error(`nats-server did not take it: ${reply.error.description ?? 'it does not say why'}`);
    return reply;
  };
  return {
    list: async () => {
      const { data } = await ask('$SYS.REQ.CLAIMS.LIST');
      if (!Array.isArray(data)) throw new BusUnavailable('nats-server does not say which accounts it has');
      return data as string[];
    },
    lookup: async (publicKey) => {
      const { data } = await bus.request(`$SYS.REQ.ACCOUNT.${publicKey}.CLAIMS.LOOKUP`, new Uint8Array(), { timeoutMs });
      return data.byteLength === 0 ? undefined : new TextDecoder().decode(data);
    },
    put: async (jwt) => void (await ask('$SYS.REQ.CLAIMS.UPDATE', jwt)),
    remove: async (request) => void (await ask('$SYS.REQ.CLAIMS.DELETE', request)),
  };
}
