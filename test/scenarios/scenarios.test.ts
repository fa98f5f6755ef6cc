import { describe, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manners, readScenarios, runScenario } from '@osier/testing/scenario';
import { definition as ipam } from '../../apps/ipam/src/handlers.ts';
import { definition as policy } from '../../apps/policy/src/handlers.ts';
import { definition as tenant } from '../../apps/tenant/src/handlers.ts';
import { companion } from '../../apps/topology/src/companion.ts';
import { definition as topology } from '../../apps/topology/src/handlers.ts';

const services = [{ definition: tenant }, { definition: ipam }, { definition: topology, companion }, { definition: policy }];

// Every *.yaml here is run in every manner: as written, with everything twice, and with all services started anew between any two steps.
for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  describe(file, () => {
    for (const scenario of readScenarios(readFileSync(join(import.meta.dirname, file), 'utf8'))) {
      it.each(manners)(`${scenario.title}, %s`, (manner) => runScenario(scenario, services, manner), 30_000);
    }
  });
}
