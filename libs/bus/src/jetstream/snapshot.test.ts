import { describe, expect, it } from '@jest/globals';
import { errors, type NatsConnection } from '@nats-io/nats-core';
import type { Api } from './api.ts';
import type { Connection } from './connection.ts';
import { giveSnapshot } from './snapshot.ts';

/** A server that takes pieces; `deafFor`: so many requests find nobody who listens, and `leaves`: as many as that it has taken before it goes. */
function server(o: { deafFor?: number; leaves?: number }) {
  const taken: string[] = [];
  let asked = 0;
  const request = async (subject: string, data: Uint8Array) => {
    if (asked++ < (o.deafFor ?? 0) || taken.length >= (o.leaves ?? Infinity)) throw new errors.RequestError('', { cause: new errors.NoRespondersError(subject) });
    taken.push(new TextDecoder().decode(data));
    return { string: () => '', json: () => ({}) };
  };
  const connection = { ready: async () => ({ request }) as unknown as NatsConnection } as unknown as Connection;
  const api = (async () => ({ deliver_subject: 'to' })) as unknown as Api;
  const give = (...pieces: string[]) => giveSnapshot(connection, api, 'STATE', { config: {}, messages: 1, firstSequence: 1, lastSequence: 1 }, (async function* () {
    for (const piece of pieces) yield new TextEncoder().encode(piece);
  })());
  return { taken, give };
}

describe('a stream that is given back', () => {
  it('waits until the server is heard that said it listens, and then keeps the order', async () => {
    const { taken, give } = server({ deafFor: 3 });
    await give('a', 'b', 'c');
    expect(taken).toEqual(['a', 'b', 'c', '']);
  });
  it('has failed where the server has gone in the middle', async () => {
    const { taken, give } = server({ leaves: 2 });
    await expect(give('a', 'b', 'c')).rejects.toThrow('the restore of STATE came to a halt');
    expect(taken).toEqual(['a', 'b']);
  });
});
