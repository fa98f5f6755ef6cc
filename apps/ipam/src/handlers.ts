import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import { releaseLease, reserveLease } from './handlers/lease.ts';

export const handlers = {
  'lease.reserve': reserveLease,
  'lease.release': releaseLease,
} satisfies Handlers<'ipam'>;

/** Which address. It follows networks for their subnets and VNIs. */
export const definition: ServiceDefinition<'ipam'> = { name: 'ipam', handlers, knows: ['network'] };
