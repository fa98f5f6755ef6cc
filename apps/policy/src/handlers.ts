import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import { onState } from './handlers/environment-gone.ts';
import { applyPolicy, deletePolicy } from './handlers/policy.ts';

export const handlers = {
  'policy.apply': applyPolicy,
  'policy.delete': deletePolicy,
} satisfies Handlers<'policy'>;

/** What may talk to what. It follows the tenancy, since a policy lives in an environment. */
export const definition: ServiceDefinition<'policy'> = { name: 'policy', handlers, knows: ['domain', 'project', 'environment'], onState };
