import { BusRefused, BusUnavailable, ConsumerMissing } from '../bus.ts';
import type { Connection } from './connection.ts';
import { explain } from './errors.ts';

/** The JetStream API as the server speaks it: JSON requests on `$JS.API.…` (https://docs.nats.io/reference/reference-protocols/nats_api_reference). */
export interface ApiError { readonly code: number; readonly err_code?: number; readonly description?: string }
export class JetStreamRefused extends BusRefused {
  readonly code: number;
  constructor(error: ApiError, subject: string) {
    super(`${subject}: ${error.description ?? `error ${error.code}`}`);
    this.code = error.err_code ?? error.code;
  }
}
export const apiCodes = { noPeers: 10005, consumerNotFound: 10014, noMessage: 10037, streamNameInUse: 10058, deleteFailed: 10057, streamNotFound: 10059, wrongLastSequence: 10071, wrongLastSequenceUnknown: 10164 } as const;
export const hasCode = (error: unknown, code: number): boolean => error instanceof JetStreamRefused && error.code === code;

export type Api = <T>(subject: string, body?: unknown) => Promise<T>;
/** Milliseconds. */
const apiTimeout = 5_000;
const temporary = new Set([503, 408, 500]);
/** What comes as a failure of the server, and stays so: what the stream's own settings forbid, a message that is not there. */
const lasting = ({ description = '' }: ApiError): boolean => /not permitted|no message found/.test(description);

export function jetStreamApi(connection: Pick<Connection, 'ready' | 'answered' | 'unanswered'>): Api {
  return async <T>(subject: string, body?: unknown): Promise<T> => {
    const nats = await connection.ready();
    const full = `$JS.API.${subject}`;
    let answer: T & { error?: ApiError };
    try {
      answer = (await nats.request(full, body === undefined ? undefined : JSON.stringify(body), { timeout: apiTimeout })).json();
    } catch (error) {
      connection.unanswered();
      throw explain(error, full, () => new BusUnavailable(`JetStream does not answer on ${full}: the server is starting, or this user may not ask`));
    }
    if (answer.error === undefined) {
      connection.answered();
      return answer;
    }
    if (answer.error.err_code === apiCodes.consumerNotFound) throw new ConsumerMissing(`${subject}: there is no such consumer`);
    if (temporary.has(answer.error.code) && !lasting(answer.error)) {
      connection.unanswered();
      throw new BusUnavailable(`${full}: ${answer.error.description ?? answer.error.code}`);
    }
    throw new JetStreamRefused(answer.error, full);
  };
}
