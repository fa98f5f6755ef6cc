import { type Problem, problem } from '@osier/contracts/problem';
import type { Principal } from './principal.ts';

/** A request as the handlers see it: no framework, no socket. */
export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  /** Who asks; its token becomes the last of an intent's subject. On open routes: nobody. */
  readonly who: Principal;
  /** Aborts when the client goes away or the service stops. */
  readonly signal: AbortSignal;
}

export type Answer =
  | { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  /** NDJSON, one value a line, until the iteration ends. */
  | { readonly status: number; readonly lines: AsyncIterable<unknown> }
  /** As they come, of this media type. A failure cuts the connection. */
  | { readonly status: number; readonly type: string; readonly pieces: AsyncIterable<Uint8Array> };

/** Thrown by a handler: becomes an answer with `{ problem }`. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, of: Problem, headers: Readonly<Record<string, string>> = {}) {
    super(of.reason);
    this.status = status;
    this.problem = of;
    this.headers = headers;
  }
}

export const refusal = (status: number, code: string, path: string, reason: string, fix: string): Refusal => new Refusal(status, problem(code, path, reason, fix));

/** Refused because of what else there is, rather than because of what was written (RFC 9110, 15.5.10). */
const conflicts = new Set([
  'version-conflict', 'in-use', 'overlapping-subnet', 'immutable', 'network-changed', 'address-taken', 'address-reserved', 'addresses-exhausted', 'vnis-exhausted', 'backup-running', 'not-empty', 'another-archive',
]);

/** Refused because of the moment: the same may be done later. */
const unavailable = new Set(['streams-not-whole', 'not-still', 'not-held', 'being-restored', 'cannot-restart', 'dump-incomplete']);

/** The HTTP status of a refused outcome. */
export function statusOf(code: string): number {
  if (code === 'internal-error') return 500;
  if (code === 'not-ready' || code === 'no-address-in-time' || unavailable.has(code)) return 503;
  if (code === 'not-found') return 404;
  if (code === 'too-large') return 413;
  return conflicts.has(code) ? 409 : 422;
}

export const busAway = (): Refusal =>
  refusal(503, 'bus-unavailable', '', 'The message bus cannot be reached.', 'Try again in a moment; if it stays so, look whether NATS runs and what the log of the api says.');
