import { z } from 'zod';
import { timeSchema } from './names.ts';
import { problemSchema } from './problem.ts';

/**
 * Who wished what, when, and what became of it. The log of what was accepted or refused are the streams INTENTS and OUTCOMES themselves. What the
 * HTTP door refuses never gets that far: it is in the stream AUDIT, to which the api only ever adds, on `osier.audit.<credential>`, as are
 * the acts of operators that are no intents. `_` is the credential of who had none.
 */
export const doorRecordSchema = z.strictObject({
  at: timeSchema,
  credential: z.string(),
  home: z.string().optional().meta({ description: 'Domain of the credential; absent: the platform' }),
  intent: z.string().meta({ description: 'What the request would have become, such as network.apply' }),
  domain: z.string(), project: z.string(), environment: z.string(),
  request: z.string().meta({ description: 'Method and path' }),
  status: z.int(),
  result: z.enum(['accepted', 'refused']),
  problem: problemSchema.optional(),
  traceparent: z.string().optional(),
});
export type DoorRecord = z.infer<typeof doorRecordSchema>;

export const auditResults = ['accepted', 'refused', 'pending', 'ignored'] as const;
export type AuditResult = (typeof auditResults)[number];
export const auditEntrySchema = z.strictObject({
  at: timeSchema,
  from: z.enum(['intents', 'door']),
  sequence: z.int().min(1).meta({ description: 'In INTENTS, or in AUDIT' }),
  credential: z.string(),
  home: z.string().optional().meta({ description: 'Domain of the credential, where the door refused it; absent: that of the object, or the platform' }),
  intent: z.string(),
  domain: z.string(), project: z.string(), environment: z.string(),
  name: z.string().optional().meta({ description: 'Of the object' }),
  intentId: z.string().optional(),
  trace: z.string().optional().meta({ description: 'Id of the trace, 32 hexadecimal digits' }),
  result: z.enum(auditResults).meta({ description: 'pending: not decided yet. ignored: its id was that of another intent' }),
  decidedAt: timeSchema.optional(),
  service: z.string().optional().meta({ description: 'Who decided' }),
  revision: z.int().optional(),
  problem: problemSchema.optional(),
  request: z.string().optional(),
  status: z.int().optional(),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;
export const auditPageSchema = z.strictObject({
  items: z.array(auditEntrySchema).meta({ description: 'The newest first' }),
  next: z.string().optional().meta({ description: 'There may be more: ask again with this as `before`' }),
});
export type AuditPage = z.infer<typeof auditPageSchema>;

/**
 * No name holds `_`, so those of two domains never share a subject. What was done has one of its own: a subject keeps a number of records, and nobody is to push
 * out what he did by knocking in vain.
 */
export const auditSubject = ({ credential, home, result }: Pick<DoorRecord, 'credential' | 'home' | 'result'>): string =>
  `osier.audit.${home === undefined ? '' : `${home}_`}${credential}${result === 'accepted' ? '_done' : ''}`;
