import type { NatsConnection, Status } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusRefused, BusUnavailable } from '../bus.ts';
import { authenticatorOf, type Login } from '../login.ts';
import type { StreamReplicas } from '../replicas.ts';
import { type TlsFiles, tlsOptions, tlsRefusal } from '../tls.ts';
import { isAuthorization, reasonOf } from './errors.ts';
import { whyNoTls } from './handshake.ts';
import { Patience } from './patience.ts';

export type ConnectOptions = ConnectionOptions & (Login | {
  /** Asked each time that a connection is made, so that a file which was replaced meanwhile counts. */
  readonly login: () => Login;
});
export interface ConnectionOptions {
  /** `nats://host:port`, several separated by commas; `tls://` asks for TLS. */
  readonly url: string;
  /** How the connection is called in the server's lists and logs. */
  readonly name: string;
  readonly inboxPrefix?: string;
  /** On how many servers `ensureStreams` keeps each stream at least; absent: 1. */
  readonly replicas?: StreamReplicas;
  /** Given, or `tls://` in the URL: a server without TLS is refused. */
  readonly tls?: TlsFiles | undefined;
  /** Milliseconds to keep trying for the first connection; absent: for ever. */
  readonly patienceMs?: number;
  readonly onStatus?: (status: { readonly state: 'waiting' | 'connected' | 'disconnected' | 'error'; readonly reason: string }) => void;
}

export interface Connection {
  readonly nats: NatsConnection;
  readonly connected: () => boolean;
  /** Counts up with each connection that is made. */
  readonly session: () => number;
  /** The connection once it stands; BusUnavailable if it does not in time. */
  ready(timeoutMs?: number): Promise<NatsConnection>;
  /** Whether the server that it is connected to is one of a cluster. */
  clustered(): boolean;
  /** JetStream answered, or did not. A server that has lost the others keeps its connections and answers nothing: another one is looked for. */
  answered(): void;
  unanswered(): void;
  /** Aborts whatever waits on the connection that is now lost. */
  lost(): AbortSignal;
  close(): Promise<void>;
}

/** Milliseconds. */
const retryEvery = 250;
const defaultReadyTimeout = 5_000;
/** An election takes up to nine seconds, during which no server can answer. */
const leaveAfter = 10_000;

/** Connects, and stays so for ever. Throws only when the server refuses the user, or `patienceMs` is over. */
export async function openConnection(o: ConnectOptions): Promise<Connection> {
  const nats = await first(o);
  const target = (): string => `${nats.getServer()} as ${o.name}`;
  let up = true;
  let session = 1;
  let loss = new AbortController();
  const waiting = new Set<() => void>();
  const patience = new Patience(leaveAfter);
  const say = (state: 'connected' | 'disconnected' | 'error', reason: string): void => o.onStatus?.({ state, reason });

  const follow = (status: Status): void => {
    if (status.type === 'disconnect') {
      up = false;
      session++;
      loss.abort();
      say('disconnected', `lost ${status.server} as ${o.name}`);
    } else if (status.type === 'reconnect') {
      up = true;
      loss = new AbortController();
      for (const wake of waiting) wake();
      waiting.clear();
      say('connected', target());
    } else if (status.type === 'error') say('error', reasonOf(status.error));
  };
  void (async () => {
    for await (const status of nats.status()) follow(status);
    up = false;
    loss.abort();
  })();
  say('connected', target());

  return {
    nats,
    connected: () => up && !nats.isClosed(),
    session: () => session,
    lost: () => loss.signal,
    clustered: () => nats.info?.cluster !== undefined,
    answered: () => patience.answered(),
    unanswered: () => {
      if (!up || nats.isClosed() || nats.getServers().length < 2 || !patience.isOver(Date.now())) return;
      say('error', `${nats.getServer()} has not answered for JetStream for ${leaveAfter / 1000} s: trying another server`);
      void nats.reconnect();
    },
    ready: async (timeoutMs = defaultReadyTimeout) => {
      if (nats.isClosed()) throw new BusUnavailable(`the connection to ${o.url} was closed`);
      if (up) return nats;
      let wake = (): void => undefined;
      const again = new Promise<void>((resolve) => (wake = resolve));
      waiting.add(wake);
      const timer = setTimeout(wake, timeoutMs);
      await again;
      clearTimeout(timer);
      waiting.delete(wake);
      if (!up) throw new BusUnavailable(`not connected to ${o.url} as ${o.name}: trying again all the time${await because(o)}`);
      return nats;
    },
    close: async () => {
      await nats.drain().catch(() => undefined);
      await nats.close();
    },
  };
}

async function because(o: ConnectOptions): Promise<string> {
  if (tlsOptions(o.url, o.tls) === undefined) return '';
  const insecure = await whyNoTls(o.url, o.tls);
  return insecure === undefined ? '' : `. ${insecure.message} ${insecure.fix}`;
}

function dial(o: ConnectOptions): Promise<NatsConnection> {
  const tls = tlsOptions(o.url, o.tls);
  return connect({
    servers: o.url.split(','), authenticator: authenticatorOf('login' in o ? o.login : () => o), name: o.name,
    reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: retryEvery, reconnectJitter: 100, ignoreAuthErrorAbort: true,
    pingInterval: 10_000, maxPingOut: 2, timeout: 5_000,
    // Otherwise each request takes two stack traces, in case it fails; what fails here says where in its own words.
    noAsyncTraces: true,
    ...(o.inboxPrefix === undefined ? {} : { inboxPrefix: o.inboxPrefix }),
    ...(tls === undefined ? {} : { tls }),
  });
}

async function first(o: ConnectOptions): Promise<NatsConnection> {
  tlsOptions(o.url, o.tls);
  const until = o.patienceMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + o.patienceMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await dial(o);
    } catch (error) {
      const insecure = tlsRefusal(error, o.url, o.tls) ?? (isAuthorization(error) || tlsOptions(o.url, o.tls) === undefined ? undefined : await whyNoTls(o.url, o.tls));
      if (insecure !== undefined) throw insecure;
      if (isAuthorization(error)) throw new BusRefused(`${o.url} does not take the credentials of ${o.name}: they are revoked, expired, or of another installation. Put a valid credentials file in place (osier credentials issue)`);
      if (Date.now() > until) throw new BusUnavailable(`cannot connect to ${o.url}: ${reasonOf(error)}; check that nats-server runs there`);
      if (attempt === 0) o.onStatus?.({ state: 'waiting', reason: `cannot connect to ${o.url} yet: ${reasonOf(error)}` });
      await sleep(retryEvery);
    }
  }
}
