import type { ConsumerDeclaration, Message, StreamSnapshot } from '../bus.ts';
import { MemoryConsumer, type Timing } from './consumer.ts';
import type { MemoryStream } from './stream.ts';

interface Kept { readonly messages: readonly (Omit<Message, 'data'> & { data: string })[]; readonly consumers: readonly { name: string; declaration: ConsumerDeclaration; next: number }[] }

/** What the server keeps in files, as JSON. Its metadata is part of its settings, as on the server. */
export function snapshotOf(stream: MemoryStream, o: { consumers: boolean }): StreamSnapshot {
  const { firstSequence, lastSequence, messages, incarnation, rebuilt } = stream.state();
  const kept: Kept = {
    messages: stream.messages().map((message) => ({ ...message, data: Buffer.from(message.data).toString('base64') })),
    consumers: o.consumers ? [...stream.consumers.values()].map((c) => ({ name: c.name, declaration: c.declaration, next: c.next })) : [],
  };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode(JSON.stringify(kept));
  }
  return { config: { name: stream.name, metadata: { incarnation, ...(rebuilt ? { rebuilt: 'yes' } : {}) } }, firstSequence, lastSequence, messages, pieces: pieces() };
}

export const identityOf = (snapshot: Pick<StreamSnapshot, 'config'>): { incarnation: string; rebuilt: boolean } => {
  const { incarnation = '', rebuilt } = (snapshot.config as { metadata?: { incarnation?: string; rebuilt?: string } }).metadata ?? {};
  return { incarnation, rebuilt: rebuilt === 'yes' };
};

export async function fillFrom(stream: MemoryStream, given: AsyncIterable<Uint8Array>, timing: Timing): Promise<void> {
  const pieces: Uint8Array[] = [];
  for await (const piece of given) pieces.push(piece);
  const { messages, consumers } = JSON.parse(Buffer.concat(pieces).toString()) as Kept;
  for (const message of messages) stream.store({ ...message, data: Uint8Array.from(Buffer.from(message.data, 'base64')) });
  for (const { name, declaration, next } of consumers) stream.consumers.set(name, new MemoryConsumer(name, { ...declaration, from: { sequence: next } }, stream, timing));
}
