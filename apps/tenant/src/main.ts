//  INTENTS domain.* project.* environment.* credential.* ──► handlers ──► tenancy (pure) ──► tenant.db ──relay──► CHANGES · OUTCOMES
//  STATE   networks, policies ──► copy (is an environment in use?) ──┘                          │
//  tenant.list ◄── what is committed                         accounts of nats-server ◄── companion ──► tenant.logins
import { runService } from '@osier/runtime/run';
import { accountsOver } from './companion.ts';
import { readAuthority } from './config.ts';
import { definition } from './handlers.ts';

await runService(definition, { companionOf: (environment) => readAuthority(environment, accountsOver) });
