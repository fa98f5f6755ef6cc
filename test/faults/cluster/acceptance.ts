import { setTimeout as sleep } from 'node:timers/promises';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import type { Sending } from '../chaos/traffic.ts';

/** An intent, and where a server says that it is stored. */
export interface Acknowledged { readonly sending: Sending; readonly sequence: number }
const everyMs = 100;
const patienceMs = 400;

/**
 * Publishes one small intent after another over one connection, each until it is acknowledged, and remembers when: so how long nothing was accepted
 * is known to half a second, and from whose side.
 */
export class Acceptance {
  readonly sendings: Sending[] = [];
  readonly acknowledged: Acknowledged[] = [];
  readonly #times: number[] = [];
  readonly #name: string;
  #over = false;
  #done: Promise<void> = Promise.resolve();

  constructor(name: string) {
    this.#name = name;
  }
  start(nats: NatsConnection): void {
    this.#done = this.#run(nats);
  }
  async stop(): Promise<void> {
    this.#over = true;
    await this.#done;
  }
  /** Milliseconds of the longest time between two acknowledgements, of which at least a part lies between `from` and `to`. */
  pause(from: number, to: number): number {
    const times = [...this.#times, Date.now()];
    return Math.max(0, ...times.map((time, index) => (time > from && (times[index - 1] ?? from) < to ? time - (times[index - 1] ?? from) : 0)));
  }

  async #run(nats: NatsConnection): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      const id = `accept-${this.#name}-${n}`;
      const sending: Sending = { id, subject: 'osier.intent.acme.shop.staging.policy.apply.operator', body: JSON.stringify({ name: `accept-${this.#name}`, spec: { appliesTo: {}, description: String(n % 10) } }) };
      this.sendings.push(sending);
      const headers = natsHeaders();
      headers.set('ce-id', id);
      while (!this.#over) {
        try {
          const { seq } = (await nats.request(sending.subject, sending.body, { timeout: patienceMs, headers })).json<{ seq?: number }>();
          if (typeof seq !== 'number') throw new Error('not stored');
          this.acknowledged.push({ sending, sequence: seq });
          this.#times.push(Date.now());
          break;
        } catch {
          await sleep(everyMs / 2);
        }
      }
      await sleep(everyMs);
    }
  }
}
