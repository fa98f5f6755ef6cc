import { randomUUID } from 'node:crypto';
import { connect, headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import type { UserLogin } from '@osier/bus/authority';
import { none } from '@osier/contracts/names';
import { authenticatorOf } from '@osier/bus/login';
import { credential } from '../bus/wishes.ts';
import { scope } from './documents.ts';

export interface Decided { readonly sentAt: number; readonly decidedAt: number; readonly revision: number }
/** Wishes what a tenant may, as any client of NATS would. */
export interface Wisher {
  apply(noun: 'network' | 'endpoint' | 'policy' | 'address-group', thing: { name: string; spec: unknown }): Promise<Decided>;
  applyAll(noun: 'network' | 'endpoint' | 'policy', things: readonly { name: string; spec: unknown }[]): Promise<void>;
  close(): Promise<void>;
}
const patience = 60_000;
/** Intents that are under way at a time. */
const inFlight = 256;

export async function wisher(url: string, login: UserLogin): Promise<Wisher> {
  const nats: NatsConnection = await connect({ servers: url, authenticator: authenticatorOf(() => login), name: 'wisher', reconnect: false, noAsyncTraces: true });
  const waiting = new Map<string, (outcome: { result: string; revision: number }) => void>();
  nats.subscribe(`osier.outcome.${scope.domain}.>`, { callback: (_, message) => {
    const id = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    waiting.get(id)?.(message.json());
    waiting.delete(id);
  } });
  await nats.flush();
  const apply: Wisher['apply'] = (noun, { name, spec }) => {
    const id = randomUUID();
    const headers = natsHeaders();
    for (const [key, value] of Object.entries({ 'ce-id': id, 'ce-source': 'osier/bench', 'ce-type': `io.osier.${noun}.apply`, 'ce-time': new Date().toISOString(), 'ce-specversion': '1.0', 'content-type': 'application/json' })) headers.set(key, value);
    const body = JSON.stringify({ name, spec });
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${noun} ${name} was not decided`)), patience);
      const sentAt = performance.now();
      waiting.set(id, ({ result, ...rest }) => {
        clearTimeout(late);
        if (result === 'accepted') resolve({ sentAt, decidedAt: performance.now(), revision: rest.revision });
        else reject(new Error(`${noun} ${name} was refused: ${JSON.stringify(rest)}`));
      });
      const environment = noun === 'address-group' ? none : scope.environment;
      nats.request(`osier.intent.${scope.domain}.${scope.project}.${environment}.${noun}.apply.${credential}`, body, { headers, timeout: patience }).catch(reject);
    });
  };
  return {
    apply,
    applyAll: async (noun, things) => {
      const rest = [...things].reverse();
      await Promise.all(Array.from({ length: inFlight }, async () => {
        for (let one = rest.pop(); one !== undefined; one = rest.pop()) await apply(noun, one);
      }));
    },
    close: () => nats.close(),
  };
}
