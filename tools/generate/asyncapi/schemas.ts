import { barrierSchema, helloSchema, interestSchema } from '@osier/contracts/coordination';
import { catalogue, type IntentDeclaration } from '@osier/contracts/catalogue';
import { documentSchema } from '@osier/contracts/document';
import { kindNames } from '@osier/contracts/kinds';
import { tokenSchema } from '@osier/contracts/names';
import { outcomeSchema } from '@osier/contracts/outcome';
import { queries, type QueryName } from '@osier/contracts/queries';
import { connectionsPartSchema, connectionsQuestionSchema, flowBatchSchema, observationSchema, receiptSchema } from '@osier/contracts/telemetry';
import { z } from 'zod';

export type Json = Record<string, unknown>;

/** AsyncAPI's own schema language is a superset of JSON Schema draft 7. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io, unrepresentable: 'any' }) as Json;
  return rest;
}

export const pascal = (name: string): string => name.split(/[-.]/).map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
/** `network`, `apply` → `NetworkApply` */
export const intentTitle = (intent: Pick<IntentDeclaration, 'noun' | 'verb'>): string => pascal(`${intent.noun}.${intent.verb}`);
export const queryTitle = (name: QueryName): string => pascal(name);

const intentHeaders = z.object({
  'ce-id': tokenSchema.meta({
    description: "The intent's id, chosen by its publisher (a UUID, say): the last token of its outcome's subject. Publishing the same id again is carried out once. Without a valid one the id is seq-<sequence of the acknowledgement>",
  }),
  'ce-specversion': z.literal('1.0').optional(),
  'ce-type': z.string().optional().meta({ description: 'io.osier.<noun>.<verb>' }),
  'ce-source': z.string().optional().meta({ description: 'Names the publisher, for people; nothing is decided by it' }),
  'ce-time': z.string().optional(),
  'content-type': z.literal('application/json').optional(),
  traceparent: z.string().optional().meta({ description: 'W3C trace context: the trace goes on through services and nodes' }),
});
const acknowledgement = z.object({
  stream: z.literal('INTENTS'), seq: z.int().min(1), duplicate: z.boolean().optional(),
}).meta({ description: 'The intent is stored. No acknowledgement: it is not (a kind that is not known, a subject that is not yours, a server that is away)' });
const traced = z.object({ traceparent: z.string().optional() });

/** Every schema of the bus, by the name under which the messages refer to it. */
export function schemas(): Json {
  const all: Json = {
    IntentHeaders: schemaOf(intentHeaders, 'input'), TraceHeaders: schemaOf(traced, 'input'), Acknowledgement: schemaOf(acknowledgement),
    Outcome: schemaOf(outcomeSchema), Receipt: schemaOf(receiptSchema), FlowBatch: schemaOf(flowBatchSchema), Observation: schemaOf(observationSchema),
    ConnectionsQuestion: schemaOf(connectionsQuestionSchema), ConnectionsPart: schemaOf(connectionsPartSchema),
    Hello: schemaOf(helloSchema), Interest: schemaOf(interestSchema), Barrier: schemaOf(barrierSchema),
  };
  for (const intent of catalogue) all[intentTitle(intent)] = schemaOf(intent.body, 'input');
  for (const kind of kindNames) all[`${pascal(kind)}Document`] = schemaOf(documentSchema(kind));
  for (const name of Object.keys(queries) as QueryName[]) {
    all[`${queryTitle(name)}Request`] = schemaOf(queries[name].request, 'input');
    all[`${queryTitle(name)}Response`] = {
      oneOf: [
        { type: 'object', required: ['ok', 'data'], properties: { ok: { const: true }, data: schemaOf(queries[name].response) } },
        { type: 'object', required: ['ok', 'problem'], properties: { ok: { const: false }, problem: { type: 'object' } } },
      ],
    };
  }
  return all;
}
