import { z } from 'zod';
import { none, tokenSchema } from './names.ts';
import { stateSubject } from './subjects.ts';

/**
 * How topology and the agents keep in step over filtered consumers (ADR 0005). An agent says `hello` with a session of its own
 * when it starts with an empty memory; topology makes the node's consumer anew, last message per subject, and publishes the
 * node's interest document, which names that session. When the interest grows, topology adds the filters and opens the node's
 * `join` consumer on the new ones; the interest document's `join` tells the agent to drain it before its receipt moves on.
 *
 * Order: (1) make or grow the consumer `node-…`, (2) make `join-…` (last per subject, on `join.filters` **and the subject of the interest
 * document itself**), (3) publish the interest document. Delivery is in stream order, so whoever receives that document from `join-…`
 * has received everything before it: that is how the agent knows that it has drained. A newer `join-…` also carries the filters of
 * every earlier one whose interest document no receipt of the node has reached yet.
 */
export const interestSchema = z.object({
  kind: z.literal('interest'),
  node: z.string(),
  session: z.string().meta({ description: "The agent's session that the consumer was made for" }),
  generation: z.int().min(1).meta({ description: 'Counts the changes of the interest; never runs backwards' }),
  filters: z.array(z.string()),
  join: z.object({ generation: z.int(), filters: z.array(z.string()) }).optional()
    .meta({ description: 'Drain the join consumer: it replays the last message of each subject under these filters' }),
});
export type Interest = z.infer<typeof interestSchema>;
export const interestSubject = (nodeId: string): string =>
  stateSubject({ domain: none, project: none, environment: none, noun: 'interest', parent: none, id: nodeId });

export const barrierSchema = z.object({ kind: z.literal('barrier'), at: z.string(), count: z.int(), incarnation: z.string().optional().meta({ description: 'Of the CHANGES stream; receipts repeat it' }) });
export type Barrier = z.infer<typeof barrierSchema>;

export const helloSchema = z.object({ node: z.string(), session: tokenSchema, at: z.string() });
export type Hello = z.infer<typeof helloSchema>;
/** The topic of an agent's hello among its observations. */
export const helloTopic = 'hello';

/** The fixed names of a node's two consumers on STATE: its account imports exactly these. */
export const nodeConsumer = (node: string): string => `node-${node}`;
export const joinConsumer = (node: string): string => `join-${node}`;
