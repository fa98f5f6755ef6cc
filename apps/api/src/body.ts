import type { IncomingMessage } from 'node:http';
import { limits } from '@osier/contracts/limits';
import { type Refusal, refusal } from './answers.ts';

/** Beyond this the connection is cut instead of read to its end. */
const patience = 16 * limits.intentBytes;

/** The whole body, up to the limit of an intent, or to `most`. A larger one is read on for a while, so that its sender gets to see the refusal. */
export async function readBody(request: IncomingMessage, most: number = limits.intentBytes): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= most) chunks.push(chunk);
    else chunks.length = 0;
    if (size > Math.max(patience, 2 * most)) break;
  }
  if (size > most) throw tooLarge(most);
  return Buffer.concat(chunks);
}

export function json(body: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw refusal(400, 'not-json', '', 'The body is not UTF-8 text.', 'Send JSON in UTF-8.');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = text.trim() === '' ? 'it is empty' : (error as Error).message.slice(0, 120);
    throw refusal(400, 'not-json', '', `The body is not JSON: ${why}.`, 'Send a JSON object.');
  }
}

export const tooLarge = (most: number = limits.intentBytes): Refusal =>
  refusal(413, 'too-large', '', `The body is larger than ${most} bytes.`, 'Make it smaller: split it into several objects.');
