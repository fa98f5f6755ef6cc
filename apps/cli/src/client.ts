import { type CertificateFault, certificateFault } from '@osier/bus/tls';
import type { Problem } from '@osier/contracts/problem';
import { fetchTrusting } from '@osier/lab/trusting';
import { type Connection, labUp } from './connection.ts';
import { exitCodes, Failure } from './failure.ts';

export interface Reply { readonly status: number; readonly body: unknown }

export interface CallOptions { readonly body?: unknown; readonly raw?: Uint8Array; readonly headers?: Record<string, string>; readonly timeoutMs?: number }

export interface Client {
  readonly server: string;
  /** Whether it has answered anything yet. */
  readonly answered: boolean;
  /** Any status of Osier's own is a reply. Throws a Failure when the server cannot be reached, or knows no such token. */
  call(method: string, path: string, o?: CallOptions): Promise<Reply>;
  /** As `call`, and a refusal is thrown as a Failure. */
  read(path: string): Promise<unknown>;
  lines(path: string, method?: string): AsyncGenerator<unknown>;
  /** The body as it comes. Throws a Failure where it is cut off. */
  bytes(method: string, path: string): AsyncGenerator<Uint8Array>;
}

interface Cause { readonly code?: string; readonly message?: string; readonly errors?: readonly Cause[] }

/** A server that is there and must not be spoken to. */
function notBelieved({ server, authority }: Connection, error: unknown): Failure | undefined {
  const found = certificateFault(error);
  if (found === undefined) return undefined;
  const fix: Record<CertificateFault, string> = {
    'unknown-authority': authority === undefined
      ? 'Give the file of the authority that signed it: --ca FILE or OSIER_CA.'
      : `It was not signed by the authority in ${authority.file}: give the file of the one that did (--ca or OSIER_CA). If the address is right, this may be somebody else's server.`,
    expired: 'Have the certificate of the server renewed, or correct the clock of this machine.',
    'not-yet-valid': 'Correct the clock of this machine, or that of the machine that made the certificate.',
    'other-name': "Use a name or address that the certificate holds (--server or OSIER_SERVER). If it is right, this may be somebody else's server.",
    'own-certificate': 'This server asks for a certificate of the client, which Osier itself never does: check the address.',
  };
  return new Failure(exitCodes.unreachable, found.fault, `the certificate of ${server} is not accepted: ${found.says}`, fix[found.fault]);
}

function unreachable(connection: Connection, error: unknown): Failure {
  const { server, lab } = connection;
  const untrusted = notBelieved(connection, error);
  if (untrusted !== undefined) return untrusted;
  const cause = ((error as { cause?: Cause }).cause ?? error) as Cause;
  const code = cause.code ?? cause.errors?.[0]?.code;
  if (/^ERR_SSL_/.test(code ?? '')) return new Failure(exitCodes.unreachable, 'no-tls', `${server} does not speak TLS as it should: ${code}`, 'Does it speak HTTP? Then write http://… (--server or OSIER_SERVER); what is sent there can be read on the way.');
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : code === 'ENOTFOUND' ? 'there is no such host' : (error as Error).name === 'TimeoutError' ? 'it did not answer in time' : (cause.message ?? code ?? 'the connection failed');
  const hungUp = code === 'UND_ERR_SOCKET' && server.startsWith('http:') ? ' It hung up: if it speaks HTTPS, write https://… (--server or OSIER_SERVER).' : '';
  return new Failure(exitCodes.unreachable, 'unreachable', `cannot reach Osier at ${server}: ${why}. Is it running?${hungUp}`, labUp(lab));
}

export const problemOf = (body: unknown): Problem | undefined => {
  const { problem } = (body ?? {}) as { problem?: Partial<Problem> };
  return typeof problem?.reason === 'string' ? { code: problem.code ?? 'refused', reason: problem.reason, path: problem.path ?? '', fix: problem.fix ?? '' } : undefined;
};

/** The Failure for a reply that is not what was asked for. */
export function failureOf(reply: Reply, server: string): Failure {
  const problem = problemOf(reply.body);
  if (problem === undefined) return new Failure(exitCodes.unreachable, 'not-osier', `${server} answered ${reply.status} with something that Osier does not say`, 'Check the address of the server: --server or OSIER_SERVER.');
  if (reply.status === 401) return new Failure(exitCodes.refused, problem.code, `Osier at ${server} does not know this token`, 'Set OSIER_CREDS, OSIER_TOKEN or --token-file; a credential may also have expired or been revoked. Leave out --server to use the lab of this machine.');
  return new Failure(reply.status === 503 || reply.status === 502 ? exitCodes.unreachable : exitCodes.refused, problem.code, problem.reason, problem.fix, problem.path);
}

const interrupted = (server: string, error: unknown): Failure =>
  new Failure(exitCodes.unreachable, 'interrupted', `the connection to Osier at ${server} was lost`, `Run the command again. (${(error as Error).message})`);

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function clientOf(connection: Connection, signal: AbortSignal): Client {
  const { server } = connection;
  let authorization: Promise<Record<string, string>> | undefined;
  const authorized = (): Promise<Record<string, string>> => (authorization ??= connection.token().then((token): Record<string, string> => (token === undefined ? {} : { authorization: `Bearer ${token}` })));
  const fetching = fetchTrusting(connection.authority?.pem);
  let answered = false;
  const send = async (method: string, path: string, o: CallOptions): Promise<Response> => {
    const shown = await authorized().catch((error: unknown) => {
      throw new Failure(exitCodes.usage, 'credentials-file', (error as Error).message, 'Correct --creds or OSIER_CREDS, or have a new file issued: osier credentials issue');
    });
    try {
      const response = await (await fetching)(`${server}${path}`, {
        method,
        headers: { ...shown, ...(o.raw ? { 'content-type': 'application/octet-stream' } : o.body === undefined ? {} : { 'content-type': 'application/json' }), ...o.headers },
        ...(o.raw ? { body: o.raw as Uint8Array<ArrayBuffer> } : o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
        signal: o.timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(o.timeoutMs)]),
      });
      answered = true;
      return response;
    } catch (error) {
      throw signal.aborted ? error : unreachable(connection, error);
    }
  };
  const call: Client['call'] = async (method, path, o = {}) => {
    const response = await send(method, path, { timeoutMs: 30_000, ...o });
    const body = await bodyOf(response).catch((error: unknown) => {
      throw signal.aborted ? error : unreachable(connection, error);
    });
    const reply = { status: response.status, body };
    if (reply.status === 401) throw failureOf(reply, server);
    return reply;
  };
  return {
    server,
    get answered() {
      return answered;
    },
    call,
    async read(path) {
      const reply = await call('GET', path);
      if (reply.status !== 200) throw failureOf(reply, server);
      return reply.body;
    },
    async *bytes(method, path) {
      const response = await send(method, path, {});
      if (response.status !== 200 || response.body === null) throw failureOf({ status: response.status, body: await bodyOf(response) }, server);
      try {
        for await (const chunk of response.body) yield chunk as Uint8Array;
      } catch (error) {
        if (signal.aborted) throw error;
        throw interrupted(server, error);
      }
    },
    async *lines(path, method = 'GET') {
      const response = await send(method, path, {});
      if (response.status !== 200 || response.body === null) throw failureOf({ status: response.status, body: await bodyOf(response) }, server);
      let rest = '';
      const decoder = new TextDecoder();
      try {
        for await (const chunk of response.body) {
          const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
          rest = parts.pop() ?? '';
          for (const part of parts) if (part !== '') yield JSON.parse(part);
        }
      } catch (error) {
        if (signal.aborted) return;
        throw interrupted(server, error);
      }
    },
  };
}
