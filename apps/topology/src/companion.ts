import type { StartCompanion } from '@osier/runtime/companion';
import { startCoordinator } from './coordinator/coordinator.ts';

/** What topology does besides deciding intents. */
export const companion: StartCompanion = (deps) => startCoordinator(deps);
