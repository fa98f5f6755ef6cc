import { z } from 'zod';
import { idSchema, timeSchema } from './names.ts';
import { problemSchema } from './problem.ts';

/**
 * Every stored intent ends in exactly one of these, on `osier.outcome.<domain>.<project>.<intentId>`. An id that wishes of two services have used has one of each
 * service there: `service` and `digest` tell whose it is.
 * As in all that Osier's own programs say to each other, a field that a reader does not know is left aside: the next version may have added it.
 */
const base = { intentId: z.string(), intent: z.string().meta({ description: 'such as network.apply' }), credential: z.string(), at: timeSchema, service: z.string(),
  digest: z.string().optional().meta({ description: 'SHA-256 of what was carried out under this id: `<domain>/<project>/<environment> <noun>.<verb>`, a line feed, the bytes of the body. Another one than of what was sent means that the id had been used before' }) };
export const outcomeSchema = z.discriminatedUnion('result', [
  z.object({
    ...base, result: z.literal('accepted'),
    revision: z.int().min(0).meta({ description: 'Sequence in CHANGES at which all that this intent changed is visible; 0 if it changed nothing and nothing was ever published' }),
    changes: z.array(z.object({ kind: z.string(), id: idSchema, path: z.string(), version: z.int(), subject: z.string(), revision: z.int() })),
  }),
  z.object({ ...base, result: z.literal('refused'), problem: problemSchema }),
]);
export type Outcome = z.infer<typeof outcomeSchema>;
export type AcceptedOutcome = Extract<Outcome, { result: 'accepted' }>;
export type RefusedOutcome = Extract<Outcome, { result: 'refused' }>;
