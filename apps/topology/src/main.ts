//  INTENTS node.* network.* endpoint.* ──► handlers ──► topology (pure) ──► topology.db ──relay──► CHANGES · OUTCOMES
//  STATE   domains, projects, environments ──► copy, routing domains ──┤        └──► INTENTS lease.* ──► ipam
//  OUTCOMES of leases ──► endpoints that wait for their address ───────┘
//  companion: RECEIPTS, hellos ──► coordinator ──► agents' consumers, interest documents, barrier
//  topology.list ◄── what is committed        topology.nodes, topology.enforcement ◄── coordinator
import { runService } from '@osier/runtime/run';
import { companion } from './companion.ts';
import { definition } from './handlers.ts';

await runService(definition, { companion });
