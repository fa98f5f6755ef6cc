// The publisher: a process of its own, a plain client of NATS with a tenant's credential; the same program whoever answers.
// It is told what to do by its parent, one order at a time (`Order`), and says how long it took (`Answer`).
import { randomUUID } from 'node:crypto';
import { connect, headers as natsHeaders, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { authenticatorOf } from '@osier/bus/login';
import { bodyOf, domain, urlOf, type Wish } from './wishes.ts';

export type Order =
  | { readonly do: 'enter'; readonly url: string; readonly jwt: string; readonly seed: string }
  | { readonly do: 'burst'; readonly wish: Wish; readonly first: number; readonly count: number; readonly inFlight: number }
  | { readonly do: 'singly'; readonly wish: Wish; readonly first: number; readonly count: number; readonly pauseMs: number }
  | { readonly do: 'http'; readonly url: string; readonly token: string; readonly body: string; readonly first: number; readonly count: number; readonly pauseMs: number };
/** Milliseconds: of the whole, and from each first byte sent to its outcome. */
export type Answer = { readonly ms: number; readonly latencies: readonly number[] } | { readonly failed: string };

const patience = 120_000;
let nats: NatsConnection;
const waiting = new Map<string, (accepted: boolean) => void>();

async function enter({ url, ...login }: Extract<Order, { do: 'enter' }>): Promise<void> {
  nats = await connect({ servers: url, authenticator: authenticatorOf(() => login), name: 'publisher', reconnect: false, noAsyncTraces: true });
  nats.subscribe(`osier.outcome.${domain}.>`, { callback: (_, message) => heard(message) });
  await nats.flush();
}

function heard(message: Msg): void {
  const id = message.subject.slice(message.subject.lastIndexOf('.') + 1);
  const wake = waiting.get(id);
  waiting.delete(id);
  wake?.(message.headers?.get('ce-type') === 'io.osier.outcome.accepted');
}

/** Both when the stream has acknowledged it and when its outcome is there. */
function publish(wish: Wish, number: number): { stored: Promise<void>; concluded: Promise<number> } {
  const id = randomUUID();
  const headers = natsHeaders();
  const values = { 'ce-id': id, 'ce-source': 'osier/bench', 'ce-type': wish.type, 'ce-time': new Date().toISOString(), 'ce-specversion': '1.0', 'content-type': 'application/json' };
  for (const [key, value] of Object.entries(values)) headers.set(key, value);
  const began = performance.now();
  const concluded = new Promise<number>((resolve, reject) => {
    waiting.set(id, (accepted) => (accepted ? resolve(performance.now() - began) : reject(new Error(`${wish.type} ${number} was refused`))));
  });
  const stored = nats.request(wish.subject, bodyOf(wish.body, number), { headers, timeout: patience }).then((answer) => {
    if (typeof answer.json<{ seq?: number }>().seq !== 'number') throw new Error(`${wish.subject} was not stored: ${answer.string()}`);
  });
  return { stored, concluded };
}

async function burst({ wish, first, count, inFlight }: Extract<Order, { do: 'burst' }>): Promise<Answer> {
  const outcomes: Promise<number>[] = [];
  let next = 0;
  const began = performance.now();
  const one = async (): Promise<void> => {
    while (next < count) {
      const { stored, concluded } = publish(wish, first + next++);
      outcomes.push(concluded);
      await stored;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  const latencies = await Promise.all(outcomes);
  return { ms: performance.now() - began, latencies };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function singly({ wish, first, count, pauseMs }: Extract<Order, { do: 'singly' }>): Promise<Answer> {
  const latencies: number[] = [];
  const began = performance.now();
  for (let number = 0; number < count; number++) {
    const { stored, concluded } = publish(wish, first + number);
    latencies.push(await concluded);
    await stored;
    await pause(pauseMs);
  }
  return { ms: performance.now() - began, latencies };
}

async function overHttp({ url, token, body, first, count, pauseMs }: Extract<Order, { do: 'http' }>): Promise<Answer> {
  const latencies: number[] = [];
  const began = performance.now();
  for (let number = 0; number < count; number++) {
    const sent = performance.now();
    const answer = await fetch(urlOf(url, first + number), { method: 'PUT', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body });
    const text = await answer.text();
    latencies.push(performance.now() - sent);
    if (answer.status !== 200) throw new Error(`PUT ${url}: HTTP ${answer.status} ${text.slice(0, 200)}`);
    await pause(pauseMs);
  }
  return { ms: performance.now() - began, latencies };
}

async function carryOut(order: Order): Promise<Answer> {
  if (order.do === 'burst') return burst(order);
  if (order.do === 'singly') return singly(order);
  if (order.do === 'http') return overHttp(order);
  await enter(order);
  return { ms: 0, latencies: [] };
}

process.on('message', (order: Order) => {
  const late = new Promise<Answer>((resolve) => setTimeout(() => resolve({ failed: `${order.do}: ${waiting.size} outcomes were still missing after ${patience / 1000} s` }), patience).unref());
  void Promise.race([carryOut(order), late]).catch((error: unknown): Answer => ({ failed: `${order.do}: ${String(error)}` })).then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));
