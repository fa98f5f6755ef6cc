import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryStore } from '@osier/store/memory';
import { openPostgres } from '@osier/store/postgres';
import { startPostgres } from '@osier/store/postgres-server';
import { openSqlite } from '@osier/store/sqlite';
import type { Store } from '@osier/store/store';

export const storeKinds = ['memory', 'sqlite', 'postgres'] as const;
export type StoreKind = (typeof storeKinds)[number];

/** New, empty stores of one kind, and what they are kept in. */
export interface Stores {
  make(name: string, now: () => number): Promise<Store>;
  /** After every store is closed. */
  remove(): Promise<void>;
}

/** Which stores a suite runs on: what OSIER_TEST_STORE says, else what the suite is usually run on. */
export function chosenStore(usual: StoreKind, chosen = process.env['OSIER_TEST_STORE']): StoreKind {
  if (chosen === undefined || chosen === '') return usual;
  const found = storeKinds.find((kind) => kind === chosen);
  if (!found) throw new Error(`OSIER_TEST_STORE is "${chosen}", and not one of ${storeKinds.join(', ')}`);
  return found;
}

export async function startStores(kind: StoreKind): Promise<Stores> {
  let made = 0;
  if (kind === 'memory') return { make: async (_name, now) => memoryStore({ now }), remove: async () => {} };
  if (kind === 'sqlite') {
    const directory = mkdtempSync(join(tmpdir(), 'osier-stores-'));
    return {
      make: (name, now) => openSqlite({ file: join(directory, `${name}-${++made}.db`), now }),
      remove: async () => rmSync(directory, { recursive: true, force: true }),
    };
  }
  const server = await startPostgres();
  return { make: (name, now) => openPostgres({ url: server.url, service: `${name}_${++made}`, now }), remove: () => server.remove() };
}
