import { decidedAt, judge, meet, passes, place, type Sides, Undecidable } from '../rules/decide.ts';
import type { Decided } from '../rules/explain.ts';
import type { IndexedWorld } from '../rules/index-world.ts';
import { type Fate, whatBecomes } from '../rules/live.ts';
import type { Family } from '../net/address.ts';

/** A connection that there is, by the names of those at its ends and the port that a rule is asked about. */
export interface Open { readonly from: string | undefined; readonly to: string | undefined; readonly protocol: string; readonly port: number; readonly family: Family }
export type After =
  /** It ends, at once or after a while, or is kept though it is denied: by whom, or because a side of it goes. */
  | { readonly becomes: 'ends' | 'drains' | 'kept'; readonly seconds?: number; readonly cause: ({ readonly type: 'now' } & Omit<Decided, 'reason'>) | { readonly type: 'gone' } }
  | { readonly becomes: 'goes on' }
  /** What it becomes is not by this change. */
  | { readonly becomes: 'denied before' }
  | { readonly becomes: 'undecided'; readonly reason: string };

const unknown: After = { becomes: 'undecided', reason: 'an end of it is not among the endpoints that were read' };

/** What becomes of a connection when one world comes after the other. */
export function afterChange(before: IndexedWorld, after: IndexedWorld, open: Open): After {
  try {
    const was = sidesIn(before, open);
    if (was === undefined) return unknown;
    // There all the same: it is spared, or a kernel has not come to it yet.
    const had = passes(was) ? Number.POSITIVE_INFINITY : secondsLeft(fateOf(was));
    if (had === 0) return { becomes: 'denied before' };
    const is = sidesIn(after, open);
    if (is === undefined) return { becomes: 'ends', cause: { type: 'gone' } };
    if (passes(is)) return { becomes: 'goes on' };
    const fate = fateOf(is);
    // No change lengthens what a former one granted.
    if (!passes(was) && secondsLeft(fate) >= had) return { becomes: 'denied before' };
    const cause = { type: 'now' as const, ...place(decidedAt(is)) };
    return fate.ends === 'now' ? { becomes: 'ends', cause } : fate.ends === 'within' ? { becomes: 'drains', seconds: fate.seconds, cause } : { becomes: 'kept', cause };
  } catch (error) {
    if (!(error instanceof Undecidable)) throw error;
    return { becomes: 'undecided', reason: error.message };
  }
}

function sidesIn(world: IndexedWorld, { from, to, protocol, port, family }: Open): Sides | undefined {
  const [a, b] = [from, to].map((name) => (name === undefined ? undefined : world.party(name)));
  return a === undefined || b === undefined ? undefined : judge(meet(world, a, b, family, true), protocol, port);
}

/** Where both sides deny it, the one that lets it live the shortest. */
function fateOf({ egress, ingress }: Sides): Fate {
  const fates = [egress, ingress].flatMap((where): Fate[] => (where?.action !== 'Deny' ? [] : [where.policy === undefined ? { ends: 'now' } : whatBecomes(where.policy)]));
  return fates.reduce((least, fate) => (secondsLeft(fate) < secondsLeft(least) ? fate : least), { ends: 'by itself' });
}
const secondsLeft = (fate: Fate): number => (fate.ends === 'now' ? 0 : fate.ends === 'within' ? fate.seconds : Number.POSITIVE_INFINITY);
