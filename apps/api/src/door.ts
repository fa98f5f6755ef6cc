import 'reflect-metadata';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { BusRefused, BusUnavailable } from '@osier/bus/bus';
import { none } from '@osier/contracts/names';
import { type Problem, problem } from '@osier/contracts/problem';
import { spans } from '@osier/telemetry/names';
import { currentTraceparent, inSpan } from '@osier/telemetry/trace';
import { type ArgumentsHost, Catch, Controller, Delete, type ExceptionFilter, Get, HttpException, Post, Put, Req, Res, type Type } from '@nestjs/common';
import { type Answer, type ApiRequest, busAway, Refusal } from './answers.ts';
import { readBody } from './body.ts';
import type { ApiContext } from './context.ts';
import { handlerOf } from './handlers.ts';
import { authorize } from './authorize.ts';
import { type Principal, principalOf } from './principal.ts';
import { type Rates, tooOften } from './rate.ts';
import { doorRecord, isRecorded, remember } from './record.ts';
import { type Route, routes } from './routes.ts';
import type { Authenticate } from './tokens.ts';

type HttpRequest = IncomingMessage & { readonly params: Record<string, string>; readonly originalUrl: string };

const methods = { get: Get, put: Put, post: Post, delete: Delete } as const;

export interface Door { readonly context: ApiContext; readonly authenticate: Authenticate; readonly stopping: AbortSignal; readonly rates: { readonly asking: Rates; readonly guessing: Rates } }

function send(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent) return void response.destroy();
  const data = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(data), 'cache-control': 'no-store', ...headers });
  response.end(data);
}

async function stream(response: ServerResponse, status: number, lines: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  response.writeHead(status, { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' });
  response.flushHeaders();
  for await (const line of lines) {
    if (signal.aborted) break;
    if (!response.write(`${JSON.stringify(line)}\n`)) {
      await new Promise<void>((resolve) => {
        response.once('drain', resolve).once('close', resolve);
      });
    }
  }
  response.end();
}

async function bytes(response: ServerResponse, status: number, type: string, pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  for await (const piece of pieces) {
    if (signal.aborted) return;
    if (response.write(piece)) continue;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve).once('close', resolve);
    });
  }
  response.end();
}

/** On open routes, which ask nothing of whoever comes. */
const nobody = principalOf({ domain: none, project: none }, 'nobody', 'viewer');
const unauthorized: Problem = problem('unauthorized', '', 'The request carries no token that is known here.', 'Send the header Authorization: Bearer <token>.');
const strangers = (): Refusal => new Refusal(401, unauthorized, { 'www-authenticate': 'Bearer' });
const internal: Problem = problem('internal-error', '', 'Osier failed to answer this request.', 'Try again; if it stays so, look into the log of the api at this time.');

function refuse(door: Door, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  // Half of it is out: whoever reads it sees by the cut that it is not whole.
  if (response.headersSent) door.context.log.error({ err: error, method: request.method, url: request.url?.slice(0, 200) }, 'an answer was broken off');
  if (error instanceof Refusal) return send(response, error.status, { problem: error.problem }, { ...error.headers, ...(error.status === 413 ? { connection: 'close' } : {}) });
  if (response.destroyed) return;
  if (error instanceof BusUnavailable || error instanceof BusRefused) {
    door.context.log.warn({ err: error, method: request.method, url: request.url?.slice(0, 200) }, 'the bus failed a request');
    return send(response, 503, { problem: busAway().problem });
  }
  door.context.log.error({ err: error, method: request.method, url: request.url?.slice(0, 200) }, 'request failed');
  send(response, 500, { problem: internal });
}

/** Who that is. Throws a Refusal where he is not known, or asks too often. Whoever has a token is heard, however much is guessed beside him. */
function identify({ authenticate, rates: { asking, guessing } }: Door, request: IncomingMessage): Principal {
  const address = request.socket.remoteAddress ?? '';
  const who = authenticate(request.headers.authorization);
  if (who === undefined) {
    const guess = guessing.take(address);
    throw guess.ok ? strangers() : tooOften('Your address, with tokens that are not known,', guess.waitSeconds);
  }
  const taken = asking.take(who.path);
  if (!taken.ok) throw tooOften(`The credential ${who.path}`, taken.waitSeconds);
  return who;
}

/** The first span of a change's trace, or the next of the caller's own. Open routes are asked too often to be worth a trace. */
function traced(route: Route, request: IncomingMessage, work: () => Promise<Answer>): Promise<Answer> {
  if (route.open) return work();
  const { traceparent } = request.headers;
  const noun = 'kind' in route.action ? route.action.kind : route.action.type;
  return inSpan(spans.request(route.method.toUpperCase(), noun), { kind: 'SERVER', ...(typeof traceparent === 'string' ? { traceparent } : {}) }, work);
}

/** Milliseconds between two looks at whether somebody who still waits, or is still being answered, may still be. */
const lookAgainEvery = 1_000;
/** Aborts `end` when the credential is revoked, expires, or is given another scope or role. */
function watch({ authenticate }: Door, request: IncomingMessage, who: Principal, end: AbortController): NodeJS.Timeout {
  const since = Date.now();
  return setInterval(() => {
    if (!isDeepStrictEqual(authenticate(request.headers.authorization, since), who)) end.abort();
  }, lookAgainEvery);
}

async function serve(door: Door, route: Route, request: HttpRequest, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  let who: Principal | undefined;
  let traceparent: string | undefined;
  let watching: NodeJS.Timeout | undefined;
  response.once('close', () => gone.abort());
  const isPutOut = (): boolean => gone.signal.aborted && !response.destroyed;
  try {
    if (!route.open) {
      who = identify(door, request);
      watching = watch(door, request, who, gone);
      authorize(who, route.action, request.params);
    }
    const at = request.originalUrl.indexOf('?');
    const asked: ApiRequest = {
      params: request.params,
      query: new URLSearchParams(at < 0 ? '' : request.originalUrl.slice(at + 1)),
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value])),
      body: await readBody(request, route.bodyBytes),
      who: who ?? nobody,
      signal: AbortSignal.any([gone.signal, door.stopping]),
    };
    // A body may take its time.
    if (isPutOut()) throw strangers();
    const answer = await traced(route, request, () => {
      traceparent = currentTraceparent();
      return handlerOf(route)(door.context, asked);
    });
    if (isPutOut()) throw strangers();
    if ('lines' in answer) await stream(response, answer.status, answer.lines, asked.signal);
    else if ('pieces' in answer) await bytes(response, answer.status, answer.type, answer.pieces, asked.signal);
    else send(response, answer.status, answer.body, answer.headers);
  } catch (failure) {
    const error = isPutOut() ? strangers() : failure;
    await note(door, { route, request, params: request.params, who, traceparent }, error);
    refuse(door, request, response, error);
  } finally {
    clearInterval(watching);
  }
}

/** What is refused here never becomes an intent, so this is where it is written down. */
async function note(door: Door, o: { route: Route | undefined; request: IncomingMessage; params: Record<string, string>; who: Principal | undefined; traceparent: string | undefined }, error: unknown): Promise<void> {
  const { status, problem: why } = error instanceof Refusal ? error : error instanceof BusUnavailable || error instanceof BusRefused ? busAway() : { status: 500, problem: internal };
  const method = o.request.method ?? 'GET';
  if (!isRecorded(method, o.route, status)) return;
  const asked = { route: o.route, params: o.params, method, path: o.request.url ?? '/', who: o.who, ...(o.traceparent === undefined ? {} : { traceparent: o.traceparent }) };
  await remember(door.context, doorRecord(asked, { status, result: 'refused', problem: why }));
}

/** A controller with a method for each route of the list; decorators are applied as functions. */
export function controllerOf(door: Door): Type {
  class Routes {}
  for (const route of routes) {
    const method = (request: HttpRequest, response: ServerResponse): Promise<void> => serve(door, route, request, response);
    Object.defineProperty(Routes.prototype, route.operation, { value: method, writable: true, configurable: true });
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, route.operation) as PropertyDescriptor;
    methods[route.method](route.path.replaceAll(/\{(\w+)\}/g, ':$1'))(Routes.prototype, route.operation, descriptor);
    Req()(Routes.prototype, route.operation, 0);
    Res()(Routes.prototype, route.operation, 1);
  }
  Controller()(Routes);
  return Routes;
}

/** Whoever asks for what is not there: told so, as long as he does not ask too often. Throws a Refusal when he does, or the record would be his to fill. */
function passerBy(door: Door, request: IncomingMessage): Principal | undefined {
  try {
    return identify(door, request);
  } catch (error) {
    if (error instanceof Refusal && error.status === 429) throw error;
    return undefined;
  }
}

function frameworkRefusal(error: unknown, request: IncomingMessage): unknown {
  const status = error instanceof HttpException ? error.getStatus() : undefined;
  if (status === 404) {
    const reason = `There is no ${request.method ?? 'GET'} ${(request.url ?? '/').slice(0, 100)} here.`;
    return new Refusal(404, problem('unknown-route', '', reason, 'Compare the path with /openapi.json.'));
  }
  if (status !== undefined && status < 500) return new Refusal(status, problem('bad-request', '', 'The request cannot be read.', 'Compare it with /openapi.json.'));
  return error;
}

/** What the framework itself refuses (an unknown route, a path that cannot be decoded) is answered with a problem too. */
export function filterOf(door: Door): ExceptionFilter {
  class Problems implements ExceptionFilter {
    async catch(error: unknown, host: ArgumentsHost): Promise<void> {
      const request = host.switchToHttp().getRequest<IncomingMessage>();
      const response = host.switchToHttp().getResponse<ServerResponse>();
      try {
        const [who, refused] = [passerBy(door, request), frameworkRefusal(error, request)];
        await note(door, { route: undefined, request, params: {}, who, traceparent: undefined }, refused);
        refuse(door, request, response, refused);
      } catch (tooMany) {
        refuse(door, request, response, tooMany);
      }
    }
  }
  Catch()(Problems);
  return new Problems();
}
