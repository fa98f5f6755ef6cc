import { auditPageSchema, auditResults } from '@osier/contracts/audit';
import { catalogue, intentDeclaration, intentName } from '@osier/contracts/catalogue';
import { deadLetterSchema } from '@osier/contracts/dead';
import { documentSchema } from '@osier/contracts/document';
import { type Kind, kindNames, kinds } from '@osier/contracts/kinds';
import { nameSchema, tokenSchema } from '@osier/contracts/names';
import { outcomeSchema } from '@osier/contracts/outcome';
import { problemSchema } from '@osier/contracts/problem';
import { queries } from '@osier/contracts/queries';
import { connectionsSchema, flowSchema } from '@osier/contracts/telemetry';
import { z } from 'zod';
import { type Route, routes } from './routes.ts';

type Json = Record<string, unknown>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output' = 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Json;
  return rest;
};

const pascal = (name: string): string => name.split('-').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const content = (schema: Json, example?: unknown): Json => ({ content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } } });

const itemName = (kind: Kind): string => `${pascal(kind)}Item`;
const specName = (kind: Kind): string => `${pascal(kind)}Spec`;

const laidSchema = deadLetterSchema.extend({ deadSequence: z.int().min(1).meta({ description: 'In DEAD' }) });

function schemas(): Json {
  const made: Json = {
    Problem: schemaOf(problemSchema),
    Refusal: { type: 'object', required: ['problem'], properties: { problem: ref('Problem') } },
    Outcome: schemaOf(outcomeSchema),
    Pending: {
      type: 'object', required: ['intentId', 'result'],
      properties: { intentId: { type: 'string' }, result: { const: 'pending' } },
      description: 'Stored, and not decided in time: ask for the outcome by its id',
    },
    Changes: schemaOf(queries['topology.enforcement'].request, 'input'),
    Enforcement: schemaOf(queries['topology.enforcement'].response),
    Logins: schemaOf(queries['tenant.logins'].response),
    NodeViews: schemaOf(queries['topology.nodes'].response),
    FlowLine: {
      description: 'A flow record with where it was seen, or the number of records that a node could not report',
      oneOf: [
        schemaOf(flowSchema.extend({ domain: nameSchema, project: nameSchema, node: z.string() })),
        schemaOf(z.strictObject({ domain: nameSchema, project: nameSchema, node: z.string(), lost: z.int().min(1) })),
      ],
    },
    Connections: schemaOf(connectionsSchema),
    AuditPage: schemaOf(auditPageSchema),
    DeadLetter: schemaOf(laidSchema),
    DeadLetterSummary: schemaOf(laidSchema.omit({ headers: true, headersLeftOut: true, body: true })),
    Status: { type: 'object', required: ['status'], properties: { status: { type: 'string' } } },
  };
  for (const kind of kindNames) {
    if (kinds[kind].writable) made[specName(kind)] = schemaOf(kinds[kind].spec, 'input');
    made[itemName(kind)] = {
      type: 'object', required: ['document', 'revision'],
      properties: { document: schemaOf(documentSchema(kind)), revision: { type: 'integer', minimum: 0, description: 'Sequence in CHANGES at which this version is visible' } },
    };
  }
  return made;
}

const refusals: Record<string, string> = {
  400: 'The request cannot be read', 401: 'No known token', 404: 'No such object', 409: 'Refused because of what else there is',
  413: 'The body is too large', 429: 'Asked too often', 422: 'Refused: the problem names the field, the reason and the fix', 503: 'The bus or a service cannot be reached; safe to repeat',
};
const refused = (...statuses: number[]): Json =>
  Object.fromEntries(statuses.map((status) => [status, { description: refusals[status], ...content(ref('Refusal')) }]));
const good = (description: string, schema: Json): Json => ({ 200: { description, ...content(schema) } });

const decided = (outcomeRefusals: Json): Json => ({
  200: { description: 'Accepted: every change is visible at the revision', headers: intentIdHeader, ...content(ref('Outcome')) },
  202: { description: 'Stored, not decided yet', headers: intentIdHeader, ...content(ref('Pending')) },
  ...outcomeRefusals,
});
const intentIdHeader = { 'osier-intent-id': { schema: { type: 'string' }, description: 'The id of the intent' } };

const query = (name: string, description: string, schema: Json = { type: 'string' }): Json => ({ name, in: 'query', required: false, description, schema });
const header = (name: string, description: string): Json => ({ name, in: 'header', required: false, description, schema: { type: 'string' } });
const timeout = (standard: string): Json => query('timeout', `How long to wait: 10s, 500ms, 2m, at most 5m. Default ${standard}`);
const paging = [query('limit', 'At most so many; default 100', { type: 'integer', minimum: 1, maximum: 1000 }), query('before', 'The `next` of the answer before')];
const at = query('at', 'As it was: a revision of CHANGES, a time in RFC 3339, or how long ago (`5m`). Default: as it is');
const changeParameters = [
  timeout('10s'),
  query('expectedVersion', 'Refuse with version-conflict unless the object is at this version; 0: does not exist', { type: 'integer', minimum: 0 }),
  header('Idempotency-Key', 'Id of the intent. A repeat with the same key is not carried out twice, and gets the same outcome'),
  header('If-Match', 'As expectedVersion: the ETag of the object as it was read'),
  header('If-None-Match', '"*": the object must not exist yet'),
];

/** Refused outcomes come as the outcome itself, which holds the problem as well. */
const changeRefusals: Json = Object.fromEntries(Object.entries(refused(400, 401, 404, 409, 413, 422, 503)).map(([status, response]) =>
  [status, ['404', '409', '422'].includes(status) ? { ...(response as Json), ...content({ oneOf: [ref('Outcome'), ref('Refusal')] }) } : response]));

function operation(route: Route): Json {
  const { action } = route;
  switch (action.type) {
    case 'apply':
      return {
        parameters: changeParameters, responses: decided(changeRefusals),
        requestBody: { required: true, description: 'The spec of the object', ...content(ref(specName(action.kind)), kinds[action.kind].example) },
      };
    case 'delete':
      return { parameters: changeParameters, responses: decided(changeRefusals) };
    case 'list':
      return {
        description: 'A scope name of `_` stands for all of them.', parameters: [at],
        responses: { ...good('The documents', { type: 'object', required: ['items'], properties: { items: { type: 'array', items: ref(itemName(action.kind)) } } }), ...refused(400, 401, 422, 503) },
      };
    case 'get':
      return { parameters: [at], responses: { ...good('The document', ref(itemName(action.kind))), ...refused(400, 401, 404, 422, 503) } };
    case 'logins':
      return {
        description: 'For the credential itself, and for an admin of its domain. Useless without the seeds of the keys.',
        responses: { ...good('A login for each key that counts', ref('Logins')), ...refused(401, 404, 503) },
      };
    case 'intent':
      return {
        parameters: changeParameters.filter((p) => p['name'] === 'timeout' || p['name'] === 'Idempotency-Key'), responses: decided(changeRefusals),
        description: 'Write `_` for a scope that does not apply.',
        requestBody: { required: true, ...content({ oneOf: catalogue.filter((i) => !i.internal).map((i) => ({ title: intentName(i), ...schemaOf(i.body, 'input') })) }, intentDeclaration('network.apply')?.example) },
      };
    case 'outcome':
      return { parameters: [timeout('0s')], responses: { ...good('The outcome', ref('Outcome')), ...refused(401, 404, 503) } };
    case 'nodes':
      return {
        responses: {
          ...good('Documents of the nodes, and what each has confirmed',
            { allOf: [ref('NodeViews')], type: 'object', required: ['items'], properties: { items: { type: 'array', items: ref(itemName('node')) } } }),
          ...refused(401, 503),
        },
      };
    case 'enforcement':
      return {
        parameters: [timeout('10s')], requestBody: { required: true, description: 'Changes as accepted outcomes list them', ...content(ref('Changes')) },
        responses: { ...good('All confirmed, none concerned, or how far it got in time', ref('Enforcement')), ...refused(400, 401, 422, 503) },
      };
    case 'flows':
      return {
        parameters: [
          ...['domain', 'project', 'environment'].map((name) => query(name, `Only of this ${name}`)),
          query('denied', 'Only denied ones', { type: 'boolean' }),
          query('follow', 'Go on with new ones as they come', { type: 'boolean' }),
          query('since', 'A time, or how long ago: 5m'),
        ],
        responses: { 200: { description: 'One JSON object on a line', content: { 'application/x-ndjson': { schema: ref('FlowLine') } } }, ...refused(400, 401, 503) },
      };
    case 'connections':
      return {
        description: 'Asked of the nodes that hold an endpoint of the scope, and answered when all have, or after some seconds. One connection over two nodes is told once.',
        parameters: ['domain', 'project', 'environment'].map((name) => query(name, `Only of this ${name}`)),
        responses: { ...good('What is open now, and which nodes did not say', ref('Connections')), ...refused(400, 401, 429, 503) },
      };
    case 'audit':
      return {
        description: 'From the log itself, INTENTS and OUTCOMES, and from what the door refused. A page may be short, or empty, and have a `next`.',
        parameters: [
          query('since', 'A time, or how long ago: 5m, 2h, 7d'), query('credential', 'Only of this credential'), query('result', 'Only what ended so', { type: 'string', enum: auditResults }),
          query('noun', 'Only about this kind of object: network'), ...['domain', 'project'].map((name) => query(name, `Only of this ${name}`)), ...paging,
        ],
        responses: { ...good('The newest first', ref('AuditPage')), ...refused(400, 401, 503) },
      };
    case 'deadLetters':
      return {
        parameters: [...['domain', 'project'].map((name) => query(name, `Only of this ${name}`)), ...paging],
        responses: {
          ...good('The newest first', { type: 'object', required: ['items'], properties: { items: { type: 'array', items: ref('DeadLetterSummary') }, next: { type: 'string', description: 'There may be more: ask again with this as `before`' } } }),
          ...refused(400, 401, 503),
        },
      };
    case 'deadLetter':
      return { responses: { ...good('With headers and body', ref('DeadLetter')), ...refused(401, 404, 503) } };
    case 'retry':
      return {
        description: 'In the name of its author, under an id that says where it comes from; repeated, it is still carried out once. The dead letter is dropped as soon as the intent is stored.',
        parameters: [timeout('10s')], responses: decided(changeRefusals),
      };
    case 'drop':
      return { responses: { ...good('What was dropped', ref('DeadLetterSummary')), ...refused(401, 404, 503) } };
    case 'backup':
      return {
        description: 'The services hold still while it is taken, for seconds; intents go on being stored meanwhile. Keys and credentials are not in it.',
        responses: { 200: { description: 'A tar file. It is whole when it ends with complete.json', content: { 'application/x-tar': { schema: { type: 'string', format: 'binary' } } } }, ...refused(401, 409, 503) },
      };
    case 'openRestore':
      return { responses: { 201: { description: 'Where to send it, in pieces of at most so many bytes', ...content({ type: 'object', required: ['restore', 'pieceBytes'], properties: { restore: { type: 'string' }, pieceBytes: { type: 'integer' } } }) }, ...refused(401, 409, 503) } };
    case 'sendRestore':
      return {
        description: 'The offset is how many bytes of the archive come before this piece. A piece may be sent again.',
        requestBody: { required: true, content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } },
        responses: { ...good('How far it has come', { type: 'object', required: ['received'], properties: { received: { type: 'integer' } } }), ...refused(400, 401, 404, 413) },
      };
    case 'startRestore':
      return {
        description: 'Nothing is touched before all of the archive is verified, and unless the installation is empty. It goes on when its author goes away, and can be repeated when it was interrupted.',
        responses: { 200: { description: 'What is done, one JSON object on a line; the last one says `restored`, or has a `problem`', content: { 'application/x-ndjson': { schema: { type: 'object' } } } }, ...refused(401, 404, 409, 422, 503) },
      };
    case 'dropRestore':
      return { responses: { ...good('Which', { type: 'object', required: ['dropped'], properties: { dropped: { type: 'string' } } }), ...refused(401, 404, 409) } };
    case 'openapi':
      return { responses: good('OpenAPI 3.1', { type: 'object' }) };
    case 'healthz':
    case 'readyz':
      return { responses: { ...good('Yes', ref('Status')), ...(action.type === 'readyz' ? refused(503) : {}) } };
  }
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name, in: 'path', required: true, schema: schemaOf(name === 'intentId' ? tokenSchema : path.startsWith('/v1/intents') || path.startsWith('/v1/outcomes') || path.startsWith('/v1/dead-letters') || path.startsWith('/v1/restores') ? z.string() : nameSchema),
  }));
}

let made: Json | undefined;

/** The HTTP interface as an OpenAPI 3.1 document, from the same list that the routes are made from. */
export function openapi(): Json {
  if (made !== undefined) return made;
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const { parameters = [], ...rest } = operation(route) as { parameters?: Json[] };
    const all = [...pathParameters(route.path), ...parameters];
    (paths[route.path] ??= {})[route.method] = {
      operationId: route.operation, summary: route.summary, tags: [route.tag], ...(all.length > 0 ? { parameters: all } : {}), ...(route.open ? { security: [] } : {}), ...rest,
    };
  }
  made = {
    openapi: '3.1.0',
    info: { title: 'Osier', version: '0.1.0', description: 'Multi-tenant virtual networks for container platforms: the one HTTP door.', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: 'http://127.0.0.1:7480' }],
    security: [{ token: [] }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas: schemas() },
  };
  return made;
}
