import { afterAll, describe, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '@osier/store/sqlite';
import { manners, readScenarios, runScenario } from '@osier/testing/scenario';
import { services } from './control-plane.ts';

const directory = mkdtempSync(join(tmpdir(), 'osier-scenarios-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let databases = 0;
const makeStore = (name: string, now: () => number) => openSqlite({ file: join(directory, `${name}-${++databases}.db`), now });

// Every *.yaml here is run in every manner (as written, with everything twice, with all services started anew between any two steps), and once on real databases.
for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  describe(file, () => {
    for (const scenario of readScenarios(readFileSync(join(import.meta.dirname, file), 'utf8'))) {
      it.each(manners)(`${scenario.title}, %s`, (manner) => runScenario(scenario, services, manner), 30_000);
      it(`${scenario.title}, on SQLite`, () => runScenario(scenario, services, 'as written', { makeStore }), 30_000);
    }
  });
}
