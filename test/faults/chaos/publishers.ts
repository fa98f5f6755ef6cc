import { setTimeout as sleep } from 'node:timers/promises';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import type { Random } from './random.ts';
import { type Message, messageAt, streamInfo } from './raw.ts';
import type { Sending } from './traffic.ts';

/** Which service decides, by the noun of an intent's subject. */
const decidedBy = (subject: string): string => ({ policy: 'policy', network: 'topology', endpoint: 'topology', node: 'topology', lease: 'ipam' })[subject.split('.')[5] ?? ''] ?? 'tenant';

/** What has to be there once and once only. An id is one wish's within a service: used in two services, it has an outcome of each, on one subject. */
export function conclusionOf({ subject, id }: Pick<Sending, 'subject' | 'id'>): string {
  const [, , domain, project] = subject.split('.');
  return `osier.outcome.${domain}.${project}.${id} of ${decidedBy(subject)}`;
}
export const concludedBy = ({ subject, text }: Pick<Message, 'subject' | 'text'>): string => `${subject} of ${(JSON.parse(text) as { service?: string }).service}`;

/** Every outcome in its order, read one message after another: however often the server dies, none is left out and none read twice. */
export class OutcomeWatch {
  readonly concluded = new Set<string>();
  #next = 1;
  #over = false;
  #done: Promise<void> = Promise.resolve();

  start(nats: NatsConnection): void {
    this.#done = (async () => {
      while (!this.#over) {
        try {
          const { last_seq: last } = await streamInfo(nats, 'OUTCOMES');
          if (last < this.#next) await sleep(30);
          for (; this.#next <= last; this.#next++) {
            const message = await messageAt(nats, 'OUTCOMES', this.#next);
            if (message !== undefined) this.concluded.add(concludedBy(message));
          }
        } catch {
          await sleep(100);
        }
      }
    })();
  }
  async stop(): Promise<void> {
    this.#over = true;
    await this.#done;
  }
}

export interface Sent { published: number; acknowledged: number; failed: number; repeatedAfterwards: number; slowestMs: number }

/**
 * One publisher: at most `window` intents at a time, each said again and again until its outcome is there; some are said once more
 * afterwards, and some ids a second time with another wish. `dueAt`: when the n-th may begin.
 */
export async function publish(o: {
  nats: NatsConnection; sendings: readonly Sending[]; outcomes: OutcomeWatch; random: Random; window: number; dueAt: (n: number) => number; stop: AbortSignal;
  acknowledged?: (sending: Sending, sequence: number) => void;
}): Promise<Sent> {
  const sent: Sent = { published: 0, acknowledged: 0, failed: 0, repeatedAfterwards: 0, slowestMs: 0 };
  const say = async (sending: Sending): Promise<void> => {
    const headers = natsHeaders();
    headers.set('ce-id', sending.id);
    sent.published += 1;
    try {
      const answer = await o.nats.request(sending.subject, sending.body, { timeout: 2_000, headers });
      const { seq } = answer.json<{ seq?: number }>();
      if (typeof seq !== 'number') throw new Error('not stored');
      sent.acknowledged += 1;
      o.acknowledged?.(sending, seq);
    } catch {
      sent.failed += 1;
      await sleep(200);
    }
  };
  const settle = async (sending: Sending): Promise<void> => {
    const wanted = conclusionOf(sending);
    const started = Date.now();
    while (!o.outcomes.concluded.has(wanted)) {
      if (o.stop.aborted) return;
      await say(sending);
      for (const until = Date.now() + 2_000; !o.outcomes.concluded.has(wanted) && Date.now() < until; ) await sleep(40);
    }
    sent.slowestMs = Math.max(sent.slowestMs, Date.now() - started);
    if (!o.random.chance(0.05)) return;
    sent.repeatedAfterwards += 1;
    await say(sending);
  };
  let next = 0;
  await Promise.all(Array.from({ length: o.window }, async () => {
    for (let n = next++; n < o.sendings.length && !o.stop.aborted; n = next++) {
      const wait = o.dueAt(n) - Date.now();
      if (wait > 0) await sleep(wait);
      await settle(o.sendings[n] as Sending);
    }
  }));
  return sent;
}
