//  INTENTS lease.reserve lease.release (of topology) ──► handlers ──► ipam (pure) ──► ipam.db ──relay──► CHANGES · OUTCOMES
//  STATE   networks ──► copy (their subnets) ─────────────┘
//  ipam.list ◄── what is committed
import { runService } from '@osier/runtime/run';
import { definition } from './handlers.ts';

await runService(definition);
