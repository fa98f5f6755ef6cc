import { z } from 'zod';
import { statePattern, stateSubject } from './subjects.ts';
import { idSchema, nameSchema, none, timeSchema, tokenSchema } from './names.ts';

/**
 * What topology and the node agents say to each other about who is told what.
 *
 *   agent starts with a new session ──hello──► topology (re)creates `node-<node>` from nothing (last per subject, its filters) and publishes the
 *   node's interest document with that session. The agent repeats its hello until it has read an interest document of its session.
 *   What comes on `node-<node>` before that belongs to an older session: it may be merged (by the higher sequence per subject), and proves nothing.
 *   A new network on the node: topology grows the filters of `node-<node>`, makes `join-<node>` anew (last per subject, the new filters; its metadata
 *   carry the number), and publishes the interest document with `join`. The agent fetches from `join-<node>` until it has a message of sequence ≥
 *   `join.through` or the barrier… see `joinSchema`; until then its receipt does not pass the interest document.
 */
export const joinSchema = z.strictObject({
  number: z.int().min(1).meta({ description: 'Grows with every join of this session; a higher one replaces a lower one' }),
  filters: z.array(z.string()).min(1).meta({ description: 'All subjects that the join consumer delivers' }),
});
