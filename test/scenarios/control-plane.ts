import { type Platform, type PlatformOptions, type PlatformService, startPlatform } from '@osier/testing/platform';
import { definition as ipam } from '../../apps/ipam/src/handlers.ts';
import { definition as policy } from '../../apps/policy/src/handlers.ts';
import { definition as tenant } from '../../apps/tenant/src/handlers.ts';
import { companion } from '../../apps/topology/src/companion.ts';
import { definition as topology } from '../../apps/topology/src/handlers.ts';

/** The four services as they are shipped. */
export const services: readonly PlatformService[] = [{ definition: tenant }, { definition: ipam }, { definition: topology, companion }, { definition: policy }];
export const startControlPlane = (options?: PlatformOptions): Promise<Platform> => startPlatform(services, options);
