import { z } from 'zod';
import { timeSchema } from './names.ts';
import { problemSchema } from './problem.ts';
import { outcomeToken } from './subjects.ts';

/**
 * A dead letter: an intent that a service had to give up, or whose body nobody can read. Its author has got a refusal; this is for whoever
 * runs the platform, in the stream DEAD on `osier.dead.<domain>.<project>.<intentId>`, until it is retried or dropped.
 */
export const deadLetterSchema = z.strictObject({
  intentId: z.string(),
  intent: z.string().meta({ description: 'such as network.apply' }),
  domain: z.string(), project: z.string(), environment: z.string(),
  credential: z.string().meta({ description: 'Who wished it' }),
  subject: z.string().meta({ description: 'As it was published' }),
  sequence: z.int().min(0).meta({ description: 'In INTENTS; 0 where the service knows the intent from its own database only' }),
  headers: z.record(z.string(), z.string()),
  headersLeftOut: z.int().min(0).meta({ description: 'How many headers were too long to be kept here' }),
  body: z.discriminatedUnion('encoding', [
    z.strictObject({ encoding: z.literal('json'), text: z.string() }),
    z.strictObject({ encoding: z.literal('base64'), text: z.string() }),
    z.strictObject({ encoding: z.literal('left-out') }),
  ]).meta({ description: 'As it was published; left out where it is larger than an intent may be' }),
  bytes: z.int().min(0).meta({ description: 'Of the body' }),
  problem: problemSchema.meta({ description: 'What its author was told' }),
  cause: z.string().meta({ description: 'What went wrong, in the words of the program' }),
  service: z.string(),
  tries: z.int().min(1),
  at: timeSchema,
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

export const deadSubject = (domain: string, project: string, intentId: string): string => ['osier.dead', outcomeToken(domain), outcomeToken(project), intentId].join('.');
export const deadPattern = (domain?: string, project?: string): string => ['osier.dead', domain ?? '*', project ?? '*', '*'].join('.');

/** The id under which a dead letter is tried again: the same each time it is asked for, so that it is carried out once; it says where it comes from. */
export const retryId = (letter: { intentId: string }, deadSequence: number): string => `retry-${deadSequence}-${letter.intentId.slice(0, 96)}`;
