import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type Problem, problem } from '@osier/contracts/problem';
import { ExpressAdapter } from '@nestjs/platform-express';
import { minVersion, type Pair } from './certificate.ts';

/** What one client may take of the door; what happens at each is said beside it. */
export const doorLimits = {
  /** Bytes of the request line and all headers. More: 431. */
  headerBytes: 16 * 1024,
  /** Milliseconds until all headers are there, and until all of the body is. Later: 408, and the connection ends. */
  headersMs: 10_000,
  requestMs: 60_000,
  /** How often connections are looked at for these. */
  lookEveryMs: 1_000,
  /** Connections at a time. One more is closed at once. */
  connections: 4_096,
  /** Requests of one credential. More often: 429, with `retry-after`. */
  askingPerSecond: 500,
  askingBurst: 2_000,
  /** Requests from one address with a token that is not known. More often: 429, and it is not recorded any more. */
  guessesPerSecond: 5,
  guessesBurst: 100,
  /** How often the files of the certificate are read again. */
  certificateEveryMs: 5_000,
};
export type DoorLimits = typeof doorLimits;

/** On every answer: nothing here is a page, and nothing of it is to be kept. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** On every answer over TLS (RFC 6797): a client that keeps to it never asks this host in plain text again. */
const onlySecure = { 'strict-transport-security': 'max-age=31536000' };
const headersOn = (socket: unknown): Readonly<Record<string, string>> => ((socket as Partial<TLSSocket> | null)?.encrypted === true ? { ...securityHeaders, ...onlySecure } : securityHeaders);

/** An adapter whose server has these limits: Node takes some of them only when a server is made. */
export class GuardedAdapter extends ExpressAdapter {
  readonly #limits: DoorLimits;
  readonly #certificate: Pair | undefined;
  constructor(limits: DoorLimits, certificate?: Pair) {
    super();
    this.#limits = limits;
    this.#certificate = certificate;
  }
  override initHttpServer(): void {
    const { headerBytes, headersMs, requestMs, lookEveryMs, connections } = this.#limits;
    const options = { maxHeaderSize: headerBytes, headersTimeout: headersMs, requestTimeout: requestMs, connectionsCheckingInterval: lookEveryMs };
    const server = this.#certificate === undefined
      ? createServer(options, this.getInstance())
      : createSecureServer({ ...options, ...this.#certificate, minVersion, handshakeTimeout: headersMs }, this.getInstance());
    server.maxConnections = connections;
    guard(server);
    this.httpServer = server as typeof this.httpServer;
  }
}

const unreadable = problem('bad-request', '', 'The request is not HTTP as it is understood here.', 'Send HTTP/1.1 with a client library.');
const unheard: Readonly<Record<string, { status: number; problem: Problem }>> = {
  HPE_HEADER_OVERFLOW: { status: 431, problem: problem('headers-too-large', '', 'The request line and its headers are too large.', `Send at most ${doorLimits.headerBytes} bytes of them.`) },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, problem: problem('too-large', '', 'The extensions of the chunks are too large.', 'Send the body without any.') },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, problem: problem('request-too-slow', '', 'The request did not arrive in time.', 'Send it at once.') },
};

/** What Node itself refuses before there is a request gets words too. */
function guard(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const begun = (socket as { _httpMessage?: { _headerSent?: boolean } })._httpMessage?._headerSent === true;
    // Who does not speak TLS where it is spoken cannot be answered.
    if (!socket.writable || begun || error.code === 'ECONNRESET' || /^ERR_(SSL|TLS)_/.test(error.code ?? '')) return void socket.destroy();
    const { status, problem: what } = unheard[error.code ?? ''] ?? { status: 400, problem: unreadable };
    const body = `${JSON.stringify({ problem: what })}\n`;
    const headers = { ...headersOn(socket), 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body), connection: 'close' };
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${Object.entries(headers).map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n${body}`);
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    refuseEarly(response, 417, problem('expectation-failed', 'Expect', 'The header Expect asks for something that is not done here.', 'Leave it out.'));
  });
}

function refuseEarly(response: ServerResponse, status: number, what: Problem, headers: Readonly<Record<string, string>> = {}): void {
  const body = `${JSON.stringify({ problem: what })}\n`;
  response.writeHead(status, { ...headersOn(response.socket), 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body), connection: 'close', ...headers });
  response.end(body);
}

const methods = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);

/** Before any route. The framework would answer OPTIONS by itself, without a token. */
export function threshold(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  if (!methods.has(request.method ?? '')) {
    return refuseEarly(response, 405, problem('unknown-method', '', 'This method is not used here.', 'Use GET, PUT, POST or DELETE as /openapi.json says.'), { allow: [...methods].join(', ') });
  }
  for (const [name, text] of Object.entries(headersOn(request.socket))) response.setHeader(name, text);
  next();
}
