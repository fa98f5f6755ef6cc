import { errors } from '@nats-io/nats-core';
import { BusRefused, BusUnavailable } from '../bus.ts';

/** What the client threw, in our words. `nobody` makes the error for a subject to which nobody listens. */
export function explain(error: unknown, subject: string, nobody: () => Error): Error {
  const causes = chain(error);
  const is = <T extends Error>(kind: new (...args: never[]) => T): boolean => causes.some((cause) => cause instanceof kind);
  if (is(errors.NoRespondersError)) return nobody();
  if (is(errors.PermissionViolationError)) return new BusRefused(`this user may not publish to ${subject}`);
  if (is(errors.TimeoutError)) return new BusUnavailable(`no answer in time on ${subject}`);
  if (is(errors.ClosedConnectionError) || is(errors.DrainingConnectionError) || is(errors.ConnectionError)) return new BusUnavailable(`the connection to NATS is closed (asked on ${subject})`);
  const last = causes.at(-1);
  if (last !== undefined && (is(errors.InvalidSubjectError) || is(errors.InvalidArgumentError))) return new BusRefused(last.message);
  if (last !== undefined && is(errors.RequestError)) return new BusUnavailable(`${last.message} (asked on ${subject})`);
  return last ?? new Error(String(error));
}

function chain(error: unknown): Error[] {
  const causes: Error[] = [];
  for (let e = error; e instanceof Error && causes.length < 8; e = e.cause) causes.push(e);
  return causes;
}

export const isAuthorization = (error: unknown): boolean => chain(error).some((cause) => cause instanceof errors.AuthorizationError || cause instanceof errors.UserAuthenticationExpiredError);
export const reasonOf = (error: unknown): string => chain(error).at(-1)?.message ?? String(error);
/** Nobody listens to the subject that was asked. */
export const isNobody = (error: unknown): boolean => chain(error).some((cause) => cause instanceof errors.NoRespondersError);
