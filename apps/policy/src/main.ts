//  INTENTS policy.apply policy.delete ──► handlers ──► policy (pure) ──► policy.db ──relay──► CHANGES · OUTCOMES
//  STATE   domains, projects, environments ──► copy ──┘
//  policy.list ◄── what is committed
import { runService } from '@osier/runtime/run';
import { definition } from './handlers.ts';

await runService(definition);
