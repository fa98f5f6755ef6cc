import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import { applyEndpoint, deleteEndpoint, onOutcome } from './handlers/endpoint.ts';
import { onState } from './handlers/environment-state.ts';
import { applyNetwork, deleteNetwork } from './handlers/network.ts';
import { applyNode, deleteNode } from './handlers/node.ts';

export const handlers = {
  'node.apply': applyNode,
  'node.delete': deleteNode,
  'network.apply': applyNetwork,
  'network.delete': deleteNetwork,
  'endpoint.apply': applyEndpoint,
  'endpoint.delete': deleteEndpoint,
} satisfies Handlers<'topology'>;

/** What is where. It follows the tenancy, since everything it owns but nodes lives in an environment. */
export const definition: ServiceDefinition<'topology'> = { name: 'topology', handlers, knows: ['domain', 'project', 'environment'], onState, onOutcome };
