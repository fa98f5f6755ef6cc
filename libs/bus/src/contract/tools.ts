import { stateSubject } from '@osier/contracts/subjects';
import { randomUUID } from 'node:crypto';
import type { Bus, ConsumerDeclaration, Delivery, Message } from '../bus.ts';

/** What the two implementations must have in common; each runs it over fresh streams. */
export interface BusUnderTest { connect(name: string): Promise<Bus>; close(): Promise<void> }

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (message: { data: Uint8Array }): string => new TextDecoder().decode(message.data);
/** A place in the subjects that no other test uses. */
export const scope = (): Place => ({ domain: `d${randomUUID().slice(0, 8)}`, project: 'shop', environment: 'staging' });
export interface Place { readonly domain: string; readonly project: string; readonly environment: string }
export const state = (place: Place, id: string, noun: 'endpoint' | 'policy' = 'endpoint'): string => stateSubject({ ...place, noun, parent: '_', id });
export const all = (place: Place): string => `osier.state.${place.domain}.>`;
export const consumerName = (): string => `c-${randomUUID()}`;

export async function eventually<T>(get: () => T | Promise<T>, until: (value: T) => boolean, ms = 15_000): Promise<T> {
  for (const end = Date.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 15))) {
    const value = await get();
    if (until(value)) return value;
    if (Date.now() > end) throw new Error(`not in ${ms} ms; last seen: ${JSON.stringify(value)}`);
  }
}
export async function gather(messages: AsyncIterable<Message>): Promise<Message[]> {
  const got: Message[] = [];
  for await (const message of messages) got.push(message);
  return got;
}
export const gatherTexts = async (messages: AsyncIterable<Message>): Promise<string[]> => (await gather(messages)).map(text);

export interface Watched {
  readonly seen: Delivery[];
  readonly batches: number[];
  readonly problems: Error[];
  readonly texts: () => string[];
  readonly gaps: () => number;
  readonly stop: () => Promise<void>;
}
/** Consumes until told to stop, and remembers what came and in which batches. */
export async function watch(bus: Bus, durable: string, declaration: ConsumerDeclaration | undefined, o: { batch?: number; act?: (delivery: Delivery) => void; stream?: string } = {}): Promise<Watched> {
  const seen: Delivery[] = [];
  const batches: number[] = [];
  const problems: Error[] = [];
  let gaps = 0;
  const consumption = await bus.consume({
    stream: o.stream ?? declaration?.stream ?? 'CHANGES', durable, ...(declaration === undefined ? {} : { declaration }), ...(o.batch === undefined ? {} : { batch: o.batch }),
    onProblem: (problem) => problems.push(problem),
    onGap: () => gaps++,
    onBatch: async (batch) => {
      batches.push(batch.length);
      for (const delivery of batch) {
        seen.push(delivery);
        (o.act ?? ((d: Delivery) => d.ack()))(delivery);
      }
    },
  });
  return { seen, batches, problems, texts: () => seen.map(text), gaps: () => gaps, stop: () => consumption.stop() };
}
