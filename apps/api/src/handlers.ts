import { intentDeclaration } from '@osier/contracts/catalogue';
import type { WritableKind } from '@osier/contracts/kinds';
import { tokenSchema } from '@osier/contracts/names';
import { type Answer, type ApiRequest, refusal } from './answers.ts';
import { audit } from './audit.ts';
import { backup } from './backup/backup.ts';
import { json } from './body.ts';
import type { ApiContext } from './context.ts';
import { connections } from './connections/connections.ts';
import { deadLetter, deadLetters, drop, retry } from './dead.ts';
import { timeoutOf } from './duration.ts';
import { enforcement } from './enforcement.ts';
import { flows } from './flows.ts';
import { openapi } from './openapi.ts';
import { get, list, logins, nodes } from './reading.ts';
import { dropRestore, openRestore, sendRestore, startRestore } from './restore/restore.ts';
import type { ActionType, Route, RouteAction } from './routes.ts';
import { intentScope, nameOf, rawScope } from './scope.ts';
import { submit } from './submit.ts';

export type ApiHandler = (context: ApiContext, request: ApiRequest) => Promise<Answer>;

/** The version that the author of a change saw: `If-Match: "3"`, `If-None-Match: *` (must not exist), or `?expectedVersion=3`. */
function expectedVersion(request: ApiRequest): { expectedVersion?: number } {
  if (request.headers['if-none-match'] === '*') return { expectedVersion: 0 };
  const match = request.headers['if-match'];
  const text = match === undefined ? request.query.get('expectedVersion') : match.replace(/^"(.*)"$/, '$1');
  if (text === null || text === '*') return {};
  if (/^\d{1,15}$/.test(text)) return { expectedVersion: Number(text) };
  throw refusal(400, 'bad-header', 'If-Match', 'The expected version is not a number.', 'Send the ETag of the object as you read it, such as If-Match: "3".');
}

const change = (kind: WritableKind, verb: 'apply' | 'delete'): ApiHandler => async (context, request) => {
  const body = { name: nameOf(kind, request.params), ...expectedVersion(request), ...(verb === 'apply' ? { spec: json(request.body) } : {}) };
  return submit(context, request, `${kind}.${verb}`, intentScope(kind, request.params), body);
};

const raw: ApiHandler = async (context, request) => {
  const { noun = '', verb = '' } = request.params;
  const declaration = intentDeclaration(`${noun}.${verb}`);
  if (declaration === undefined) {
    throw refusal(404, 'unknown-intent', '', `There is no intent ${noun.slice(0, 63)}.${verb.slice(0, 63)}.`, 'Compare it with the reference of intents.');
  }
  if (declaration.internal) throw refusal(403, 'internal-intent', '', `${noun}.${verb} is spoken between services only.`, 'Apply or delete the endpoint instead.');
  return submit(context, request, `${noun}.${verb}`, rawScope(declaration.level, request.params), json(request.body));
};

const outcome: ApiHandler = async (context, request) => {
  const { domain = '', project = '', intentId = '' } = request.params;
  const unknown = () => refusal(404, 'not-found', 'intentId', 'There is no outcome of this intent in this project.', 'If the intent was stored, ask again in a moment; otherwise publish it.');
  if (![domain, project, intentId].every((token) => tokenSchema.safeParse(token).success)) throw unknown();
  const timeoutMs = timeoutOf(request.query, 0);
  const found = timeoutMs > 0
    ? await context.outcomes.wait({ domain, project, intentId, timeoutMs, signal: request.signal, lookNow: true })
    : await context.outcomes.find({ domain, project, intentId });
  if (found === undefined) throw unknown();
  return { status: 200, body: found };
};

const readyz: ApiHandler = async (context) => {
  const ready = context.bus.connected && (await context.bus.stream('INTENTS').catch(() => undefined)) !== undefined;
  if (!ready) throw refusal(503, 'not-ready', '', 'The message bus cannot be reached, or its streams are missing.', 'Look whether NATS and the services run.');
  return { status: 200, body: { status: 'ready' } };
};

type HandlerOf<T extends ActionType> = (action: Extract<RouteAction, { type: T }>, route: Route) => ApiHandler;

/** One handler for each type of route; a missing one does not compile. */
const makers: { readonly [T in ActionType]: HandlerOf<T> } = {
  apply: ({ kind }) => change(kind, 'apply'),
  delete: ({ kind }) => change(kind, 'delete'),
  list: ({ kind }) => list(kind),
  get: ({ kind }) => get(kind),
  logins: ({ kind }) => logins(kind),
  intent: () => raw,
  outcome: () => outcome,
  nodes: () => nodes,
  enforcement: () => enforcement,
  flows: () => flows,
  connections: () => connections,
  audit: () => audit,
  deadLetters: () => deadLetters,
  deadLetter: () => deadLetter,
  retry: (_, route) => retry(route),
  drop: (_, route) => drop(route),
  backup: (_, route) => backup(route),
  openRestore: () => openRestore,
  sendRestore: () => sendRestore,
  startRestore: (_, route) => startRestore(route),
  dropRestore: () => dropRestore,
  openapi: () => async () => ({ status: 200, body: openapi() }),
  healthz: () => async () => ({ status: 200, body: { status: 'ok' } }),
  readyz: () => readyz,
};

export const handlerOf = (route: Route): ApiHandler => (makers[route.action.type] as (action: RouteAction, route: Route) => ApiHandler)(route.action, route);
