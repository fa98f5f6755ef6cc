import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import { groupHandlers } from './handlers/group.ts';
import { policyHandlers } from './handlers/policy.ts';
import { onState } from './handlers/scope-gone.ts';

export const handlers = { ...policyHandlers, ...groupHandlers } satisfies Handlers<'policy'>;

/** What may talk to what. It follows the tenancy, since policies and groups live in its scopes. */
export const definition: ServiceDefinition<'policy'> = { name: 'policy', handlers, knows: ['domain', 'project', 'environment'], onState };
