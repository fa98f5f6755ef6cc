// A plain client of NATS: what the checks read is read without any of Osier's own code between.
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { authenticatorOf, readLogin } from '@osier/bus/login';

export interface Message { readonly subject: string; readonly sequence: number; readonly headers: Readonly<Record<string, string>>; readonly text: string }
interface Answer {
  readonly message?: { readonly subject: string; readonly seq: number; readonly hdrs?: string; readonly data?: string };
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string };
}
interface Info { readonly state: { readonly last_seq: number; readonly messages: number }; readonly error?: Answer['error'] }
export interface ConsumerInfo { readonly name: string; readonly num_pending: number; readonly num_ack_pending: number; readonly num_redelivered: number }

export const enter = (url: string, credsFile: string, name: string): Promise<NatsConnection> =>
  connect({ servers: url, authenticator: authenticatorOf(() => readLogin(credsFile)), name, maxReconnectAttempts: -1, reconnectTimeWait: 200, reconnectJitter: 50, waitOnFirstConnect: true, ignoreAuthErrorAbort: true });

async function api<T>(nats: NatsConnection, subject: string, body: unknown = {}): Promise<T> {
  return (await nats.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 3_000 })).json<T>();
}

export async function streamInfo(nats: NatsConnection, stream: string): Promise<Info['state']> {
  const { state, error } = await api<Info>(nats, `STREAM.INFO.${stream}`);
  if (error !== undefined) throw new Error(`${stream}: ${error.description}`);
  return state;
}

export async function consumersOf(nats: NatsConnection, stream: string): Promise<readonly ConsumerInfo[]> {
  return (await api<{ consumers?: ConsumerInfo[] }>(nats, `CONSUMER.LIST.${stream}`, { offset: 0 })).consumers ?? [];
}

/** Undefined where the stream has no message of this number (any more). */
export async function messageAt(nats: NatsConnection, stream: string, sequence: number): Promise<Message | undefined> {
  const { message, error } = await api<Answer>(nats, `STREAM.MSG.GET.${stream}`, { seq: sequence });
  if (message !== undefined) {
    const headers = Object.fromEntries(Buffer.from(message.hdrs ?? '', 'base64').toString().split('\r\n').slice(1).filter((line) => line.includes(':')).map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    return { subject: message.subject, sequence: message.seq, headers, text: Buffer.from(message.data ?? '', 'base64').toString() };
  }
  if (error?.err_code === 10037 || error?.code === 404) return undefined;
  throw new Error(`${stream} at ${sequence}: ${error?.description ?? 'no answer'}`);
}

const atOnce = 64;

/** All that a stream holds, in its order. */
export async function everything(nats: NatsConnection, stream: string): Promise<Message[]> {
  const { last_seq: last, messages } = await streamInfo(nats, stream);
  const found: Message[] = [];
  for (let from = 1; from <= last; from += atOnce) {
    const page = await Promise.all(Array.from({ length: Math.min(atOnce, last - from + 1) }, (_, index) => messageAt(nats, stream, from + index)));
    for (const message of page) if (message !== undefined) found.push(message);
  }
  // A message that another replaced meanwhile is not missing: barriers go on.
  const since = (await streamInfo(nats, stream)).last_seq - last;
  if (found.length < messages - since) throw new Error(`${stream} says that it holds ${messages} messages, and gave ${found.length}`);
  return found;
}
