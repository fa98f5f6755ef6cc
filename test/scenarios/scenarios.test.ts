import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manners, readScenarios, runScenario } from '@osier/testing/scenario';
import { chosenStore, startStores, type StoreKind, type Stores } from '@osier/testing/stores';
import { services } from './control-plane.ts';

// Every *.yaml here is run in every manner (as written, with everything twice, with all services started anew between any two steps) on the store
// that OSIER_TEST_STORE names (memory unless it does), and as written on SQLite; the first of each file on PostgreSQL too.
const usual = chosenStore('memory');
const stores = new Map<StoreKind, Stores>();
beforeAll(async () => {
  for (const kind of new Set<StoreKind>([usual, 'sqlite', 'postgres'])) stores.set(kind, await startStores(kind));
}, 30_000);
afterAll(async () => {
  for (const each of stores.values()) await each.remove();
}, 30_000);
const on = (kind: StoreKind) => ({ makeStore: (name: string, now: () => number) => (stores.get(kind) as Stores).make(name, now) });

for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  describe(file, () => {
    for (const [index, scenario] of readScenarios(readFileSync(join(import.meta.dirname, file), 'utf8')).entries()) {
      it.each(manners)(`${scenario.title}, %s`, (manner) => runScenario(scenario, services, manner, on(usual)), 30_000);
      it(`${scenario.title}, on SQLite`, () => runScenario(scenario, services, 'as written', on('sqlite')), 30_000);
      if (index === 0) it(`${scenario.title}, on PostgreSQL`, () => runScenario(scenario, services, 'as written', on('postgres')), 30_000);
    }
  });
}
