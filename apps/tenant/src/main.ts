//  INTENTS domain.* project.* environment.* ──► handlers ──► tenancy (pure) ──► tenant.db ──relay──► CHANGES · OUTCOMES
//  STATE   networks, policies ──► copy (is an environment in use?) ──┘
//  tenant.list ◄── what is committed
import { runService } from '@osier/runtime/run';
import { definition } from './handlers.ts';

await runService(definition);
