import { expect, it } from '@jest/globals';
import { memoryStore } from '@osier/store/memory';
import { silent } from '@osier/telemetry/log';
import { Batches, type Work } from './batch.ts';

interface Item { readonly name: string; readonly ours: boolean }
const ours = (name: string): Item => ({ name, ours: true });
const others = (name: string): Item => ({ name, ours: false });

function batches() {
  const said: string[] = [];
  const store = memoryStore();
  const work: Work<Item> = {
    key: ({ name }) => name,
    concerns: (item) => item.ours,
    prefetch: async (_, items) => void said.push(`look at ${items.map(({ name }) => name).join(' ')}`),
    one: async (_, { name }) => void said.push(`do ${name}`),
    giveUp: async () => {},
    done: ({ name }) => void said.push(`done ${name}`),
    later: () => {},
  };
  const watched = { ...store, transaction: ((inner) => (said.push('begin'), store.transaction(inner))) as typeof store.transaction };
  return { said, batch: new Batches({ store: watched, work, catchUp: async () => {}, log: silent, retryMs: 1 }) };
}

it('does what concerns it in one transaction, after one look at all of it, and the rest without any', async () => {
  const { said, batch } = batches();
  await batch.handle([others('a'), ours('b'), others('c'), ours('d')]);
  expect(said).toEqual(['done a', 'done c', 'begin', 'look at b d', 'do b', 'do d', 'done b', 'done d']);
});
it('opens no transaction for a batch of others only', async () => {
  const { said, batch } = batches();
  await batch.handle([others('a'), others('b')]);
  expect(said).toEqual(['done a', 'done b']);
});
