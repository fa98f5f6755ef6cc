import { headers as newHeaders, type MsgHdrs } from '@nats-io/nats-core';
import { MsgHdrsImpl } from '@nats-io/nats-core/internal';
import type { Headers } from '../bus.ts';

export function toNats(record: Headers | undefined): MsgHdrs | undefined {
  if (record === undefined) return undefined;
  const entries = Object.entries(record);
  if (entries.length === 0) return undefined;
  const made = newHeaders();
  for (const [key, value] of entries) made.set(key, value);
  return made;
}

/** Of a header given several times the last counts. */
export function fromNats(given: MsgHdrs | undefined): Headers {
  const record: Record<string, string> = {};
  if (given === undefined) return record;
  for (const [key, values] of given) {
    const last = values.at(-1);
    if (last !== undefined) record[key] = last;
  }
  return record;
}

/** As the stream API hands stored headers over: base64 of the wire form. */
export const fromStored = (base64: string | undefined): Headers =>
  base64 === undefined || base64 === '' ? {} : fromNats(MsgHdrsImpl.decode(Buffer.from(base64, 'base64')));
