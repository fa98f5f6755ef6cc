import { z } from 'zod';
import { kindNames } from './kinds.ts';
import { idSchema, timeSchema } from './names.ts';
import { dumpRequest, dumpResponse, holdRequest, holdResponse, restoreRequest, restoreResponse } from './backup.ts';
import type { Service } from './kinds.ts';
import { receiptSchema } from './telemetry.ts';

/** Read-only questions, as request and reply on `osier.query.<service>.<domain>.<project>.<name>`; `_` asks for the platform. */
export interface QueryDeclaration { readonly service: string; readonly request: z.ZodType; readonly response: z.ZodType; readonly summary: string }

const listRequest = z.strictObject({
  kind: z.enum(kindNames), environment: z.string().optional(), name: z.string().optional(),
  after: idSchema.optional().meta({ description: 'The `next` of the answer before' }),
  at: z.union([z.strictObject({ revision: z.int().min(0) }), z.strictObject({ time: timeSchema })]).optional().meta({ description: 'As it was then: what was visible in CHANGES up to a revision, or was decided up to a time. Default: as it is' }),
});
const listed = z.strictObject({ document: z.record(z.string(), z.unknown()), revision: z.int().min(0) });
const listResponse = z.strictObject({
  items: z.array(listed).meta({ description: 'By id; as many as fit into one message' }),
  next: idSchema.optional().meta({ description: 'There is more: ask again with this as `after`' }),
});

/** As an outcome lists them; what an outcome says beyond that may stand here too. */
const change = z.object({ kind: z.string(), id: idSchema, subject: z.string(), revision: z.int(), path: z.string().optional(), version: z.int().optional() });
export const enforcementSchema = z.strictObject({
  /** `none`: no node is concerned by the change, and that is said rather than passed off as success. */
  state: z.enum(['enforced', 'waiting', 'none']),
  revision: z.int(),
  nodes: z.array(z.strictObject({
    node: z.string(), enforced: z.boolean(), revision: z.int(), readBackAt: timeSchema.optional(),
    why: z.string().optional().meta({ description: 'Why this node has not confirmed yet' }),
  })),
});
export type Enforcement = z.infer<typeof enforcementSchema>;

const nodeView = z.strictObject({
  id: idSchema, name: z.string(), tunnelEndpoint: z.string(), revision: z.int(), behind: z.int().meta({ description: 'Revisions that concern it and are not confirmed' }),
  lastReceiptAt: timeSchema.optional(), endpoints: z.int(), receipt: receiptSchema.optional(), state: z.enum(['ready', 'behind', 'silent', 'never-seen']),
});
export type NodeView = z.infer<typeof nodeView>;

/** For NATS: what each key of a credential logs in with, together with its seed, which only its holder has. */
const logins = z.strictObject({ logins: z.array(z.strictObject({ publicKey: z.string(), expiresAt: timeSchema, jwt: z.string() })) });

const list = (service: string): QueryDeclaration => ({ service, request: listRequest, response: listResponse, summary: 'Documents of a kind, as they are or as they were' });
/** What each service is asked for a backup, and for a restore. */
const installation = <S extends Service>(service: S) => ({
  [`${service}.hold`]: { service, request: holdRequest, response: holdResponse, summary: 'Hold still for a backup, or go on' },
  [`${service}.dump`]: { service, request: dumpRequest, response: dumpResponse, summary: 'What the database holds, while the service holds still' },
  [`${service}.restore`]: { service, request: restoreRequest, response: restoreResponse, summary: 'One step of a restore' },
}) as {
  readonly [N in `${S}.hold`]: QueryDeclaration & { readonly request: typeof holdRequest; readonly response: typeof holdResponse };
} & {
  readonly [N in `${S}.dump`]: QueryDeclaration & { readonly request: typeof dumpRequest; readonly response: typeof dumpResponse };
} & {
  readonly [N in `${S}.restore`]: QueryDeclaration & { readonly request: typeof restoreRequest; readonly response: typeof restoreResponse };
};
export const queries = {
  'tenant.list': list('tenant'),
  'ipam.list': list('ipam'),
  'topology.list': list('topology'),
  'policy.list': list('policy'),
  'tenant.logins': {
    service: 'tenant', response: logins, summary: 'What the keys of a credential log in with at NATS',
    request: z.strictObject({ kind: z.enum(['credential', 'platform-credential']), name: z.string() }),
  },
  'topology.nodes': { service: 'topology', request: z.strictObject({}), response: z.strictObject({ nodes: z.array(nodeView) }), summary: 'Nodes with what each has confirmed' },
  'topology.enforcement': {
    service: 'topology', response: enforcementSchema, summary: 'Which nodes have confirmed these changes, and which not and why',
    request: z.strictObject({ changes: z.array(change).max(10_000) }),
  },
  ...installation('tenant'),
  ...installation('ipam'),
  ...installation('topology'),
  ...installation('policy'),
} as const satisfies Record<string, QueryDeclaration>;
export type QueryName = keyof typeof queries;
export type QueryRequest<N extends QueryName> = z.output<(typeof queries)[N]['request']>;
export type QueryResponse<N extends QueryName> = z.output<(typeof queries)[N]['response']>;

/** A query's answer is either its response or a problem. */
export const queryReplySchema = z.union([z.strictObject({ ok: z.literal(true), data: z.unknown() }), z.strictObject({ ok: z.literal(false), problem: z.unknown() })]);
