import { setTimeout as sleep } from 'node:timers/promises';
import { BusRefused, BusUnavailable, NotStored } from '@osier/bus/bus';
import { intentDeclaration } from '@osier/contracts/catalogue';
import type { Scope } from '@osier/contracts/document';
import { eventType, headers as names, isIntentId } from '@osier/contracts/envelope';
import { limits } from '@osier/contracts/limits';
import type { Outcome } from '@osier/contracts/outcome';
import { parse } from '@osier/contracts/problem';
import { intentSubject } from '@osier/contracts/subjects';
import { wishDigest } from '@osier/runtime/digest';
import { attributes } from '@osier/telemetry/names';
import { traceHeaders } from '@osier/telemetry/trace';
import { trace } from '@opentelemetry/api';
import { type Answer, type ApiRequest, Refusal, refusal, statusOf } from './answers.ts';
import { tooLarge } from './body.ts';
import type { ApiContext } from './context.ts';
import { timeoutOf } from './duration.ts';

const retryEveryMs = 250;
/** A client that waits for nothing still has its intent stored. */
const leastToStoreMs = 2000;

/** The id under which the intent is stored: the client's own, so that it may repeat the request, or a new one. */
function intentIdOf(request: ApiRequest, newId: () => string): { id: string; given: boolean } {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return { id: newId(), given: false };
  if (isIntentId(key)) return { id: key, given: true };
  throw refusal(400, 'bad-header', 'Idempotency-Key', 'The header Idempotency-Key is not 1 to 128 letters, digits, "_" and "-", or begins with "seq-".', 'Send a UUID.');
}

/** Publishes until the stream has stored it, always under the same id. */
async function store(context: ApiContext, subject: string, data: Uint8Array, headers: Record<string, string>, o: { withinMs: number; signal: AbortSignal; id: string }) {
  const until = performance.now() + o.withinMs;
  let last: unknown;
  do {
    try {
      return await context.bus.publish(subject, data, { headers, timeoutMs: Math.max(500, Math.min(2000, until - performance.now())) });
    } catch (error) {
      if (!(error instanceof BusUnavailable || error instanceof NotStored || error instanceof BusRefused)) throw error;
      last = error;
    }
    await sleep(retryEveryMs, undefined, { signal: o.signal }).catch(() => undefined);
  } while (performance.now() < until && !o.signal.aborted);
  context.log.warn({ subject, intent: o.id, err: last }, 'intent not stored in time');
  throw refusal(503, 'bus-unavailable', '', 'The message bus did not store the intent in time; whether it will be carried out is not known.',
    `Repeat the request with the header Idempotency-Key: ${o.id}; it will not be carried out twice.`);
}

function answerOf(intentId: string, intent: string, digest: string, outcome: Outcome | undefined): Answer {
  const headers = { 'osier-intent-id': intentId };
  if (outcome === undefined) return { status: 202, headers, body: { intentId, result: 'pending' } };
  if (outcome.digest !== undefined && outcome.digest !== digest) {
    throw refusal(409, 'idempotency-key-reused', 'Idempotency-Key', `"${intentId}" has been used for another ${outcome.intent} already; this request was not carried out.`, 'Use a new key for every request.');
  }
  return { status: outcome.result === 'accepted' ? 200 : statusOf(outcome.problem.code), headers, body: outcome };
}

/**
 * Checks an intent against its schema, publishes it in the name of the caller, and waits for its outcome.
 * 200 accepted · 202 not decided yet · 4xx refused · 503 not stored.
 */
export async function submit(context: ApiContext, request: ApiRequest, intent: string, scope: Scope, body: unknown): Promise<Answer> {
  const declaration = intentDeclaration(intent);
  if (declaration === undefined) throw refusal(404, 'unknown-intent', '', `There is no intent ${intent}.`, 'Compare it with the reference of intents.');
  const checked = parse(declaration.body, body);
  if (!checked.ok) throw new Refusal(statusOf(checked.problem.code), checked.problem);
  const data = new TextEncoder().encode(JSON.stringify(body));
  if (data.length > limits.intentBytes) throw tooLarge();
  timeoutOf(request.query, 10_000);
  const { id, given } = intentIdOf(request, context.newId);
  const subject = intentSubject({ ...scope, noun: declaration.noun, verb: declaration.verb, credential: request.who.token });
  const headers = {
    [names.id]: id, [names.source]: 'osier/api', [names.type]: eventType(declaration.noun, declaration.verb), [names.specversion]: '1.0',
    [names.time]: new Date().toISOString(), [names.contentType]: 'application/json', ...traceHeaders(),
  };
  return carryOut(context, request, { id, given, intent, scope, subject, data, headers });
}

/** An intent as it is to be published. `given`: the id is not new, so it may have been decided. `stored`: what is to be done as soon as it is stored. */
interface Wish {
  readonly id: string; readonly given: boolean; readonly intent: string; readonly scope: Scope;
  readonly subject: string; readonly data: Uint8Array; readonly headers: Record<string, string>;
  readonly stored?: () => Promise<void>;
}

/** Publishes an intent that is known to be whole, and waits for its outcome. */
export async function carryOut(context: ApiContext, request: ApiRequest, { id, given, intent, scope, subject, data, headers, stored }: Wish): Promise<Answer> {
  const timeoutMs = timeoutOf(request.query, 10_000);
  trace.getActiveSpan()?.setAttributes({
    [attributes.intentId]: id, [attributes.intentName]: intent, [attributes.credential]: request.who.path,
    [attributes.domain]: scope.domain, [attributes.project]: scope.project, [attributes.environment]: scope.environment,
  });
  const decided = new AbortController();
  const signal = AbortSignal.any([request.signal, decided.signal]);
  const started = performance.now();
  const storing = Math.max(timeoutMs, leastToStoreMs);
  const outcome = context.outcomes.wait({ domain: scope.domain, project: scope.project, intentId: id, service: intentDeclaration(intent)?.owner, timeoutMs: storing + timeoutMs, signal, lookNow: given });
  try {
    await store(context, subject, data, headers, { withinMs: storing, signal: request.signal, id });
    await stored?.();
    const left = Math.max(0, timeoutMs - (performance.now() - started));
    const found = await Promise.race([outcome, sleep(left, undefined, { signal }).catch(() => undefined)]);
    return answerOf(id, intent, wishDigest(intent, scope, data), found);
  } finally {
    decided.abort();
  }
}
