import { describe, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manners, readScenarios, runScenario } from '@osier/testing/scenario';
import { services } from './control-plane.ts';

// Every *.yaml here is run in every manner: as written, with everything twice, and with all services started anew between any two steps.
for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  describe(file, () => {
    for (const scenario of readScenarios(readFileSync(join(import.meta.dirname, file), 'utf8'))) {
      it.each(manners)(`${scenario.title}, %s`, (manner) => runScenario(scenario, services, manner), 30_000);
    }
  });
}
