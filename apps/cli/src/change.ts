import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '@osier/contracts/outcome';
import type { Problem } from '@osier/contracts/problem';
import type { Kind } from '@osier/contracts/kinds';
import { type Client, failureOf, problemOf } from './client.ts';
import { Failure } from './failure.ts';
import { itemPath, type Place } from './place.ts';

export interface Change { readonly kind: string; readonly id: string; readonly subject: string; readonly revision: number }
export type Result =
  | { readonly result: 'accepted' | 'unchanged'; readonly revision: number; readonly intentId: string; readonly changes: readonly Change[] }
  | { readonly result: 'refused'; readonly problem: Problem }
  /** Stored, and not decided within the time. */
  | { readonly result: 'pending'; readonly intentId: string }
  | { readonly result: 'unreachable'; readonly failure: Failure };

function resultOf(outcome: Outcome): Result {
  if (outcome.result === 'refused') return { result: 'refused', problem: outcome.problem };
  const { revision, intentId, changes } = outcome;
  return { result: changes.length === 0 ? 'unchanged' : 'accepted', revision, intentId, changes: changes.map(({ kind, id, subject, revision: at }) => ({ kind, id, subject, revision: at })) };
}

const most = 10_000;

/**
 * Sends one wish and waits until it is decided, under one id all along: a repeat is never carried out twice. So a connection that breaks is
 * tried again until the time is over, once the server has answered this command at all; a server that never did is told at once.
 */
export async function change(client: Client, o: {
  method: 'PUT' | 'DELETE'; kind: Kind; place: Place; name: string; spec?: unknown; expectedVersion?: number; timeoutMs: number; signal: AbortSignal;
}): Promise<Result> {
  const until = performance.now() + o.timeoutMs;
  const intentId = randomUUID();
  const headers = { 'idempotency-key': intentId, ...(o.expectedVersion === undefined ? {} : o.expectedVersion === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${o.expectedVersion}"` }) };
  for (;;) {
    const left = Math.max(0, until - performance.now());
    const path = `${itemPath(o.kind, o.place, o.name)}?timeout=${Math.round(Math.min(most, left))}ms`;
    const reply = await client.call(o.method, path, { headers, timeoutMs: most + 20_000, ...(o.method === 'PUT' ? { body: o.spec ?? {} } : {}) }).catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'unreachable') return error;
      throw error;
    });
    if (reply instanceof Failure) {
      if (!client.answered || performance.now() >= until) return { result: 'unreachable', failure: reply };
      await sleep(500, undefined, { signal: o.signal });
      continue;
    }
    const body = reply.body as (Outcome | { result: 'pending' }) | undefined;
    if (body?.result === 'accepted' || body?.result === 'refused') return resultOf(body);
    if (reply.status === 202) {
      if (performance.now() >= until) return { result: 'pending', intentId };
      continue;
    }
    const problem = problemOf(reply.body);
    if (reply.status === 503 && performance.now() < until) {
      await sleep(500, undefined, { signal: o.signal });
      continue;
    }
    if (problem === undefined || reply.status >= 500) return { result: 'unreachable', failure: failureOf(reply, client.server) };
    return { result: 'refused', problem };
  }
}

/** Does `work` for every item, `atOnce` at a time. */
export async function inParallel<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
