import type { Spec } from '@osier/contracts/kinds';
import { drainSecondsByDefault } from '@osier/contracts/policy';
import type { Policy } from './model.ts';

/** In the model. */
export function liveOf({ liveConnections, drainSeconds = drainSecondsByDefault }: Pick<Spec<'policy'>, 'liveConnections' | 'drainSeconds'>): Pick<Policy, 'live'> {
  return liveConnections === 'keep' ? { live: 'keep' } : liveConnections === 'drain' ? { live: { drainSeconds } } : {};
}

/** What becomes of a connection that was allowed and that this policy denies since a change. */
export type Fate = { readonly ends: 'now' } | { readonly ends: 'within'; readonly seconds: number } | { readonly ends: 'by itself' };
export const whatBecomes = ({ live }: Pick<Policy, 'live'>): Fate =>
  live === undefined ? { ends: 'now' } : live === 'keep' ? { ends: 'by itself' } : { ends: 'within', seconds: live.drainSeconds };
