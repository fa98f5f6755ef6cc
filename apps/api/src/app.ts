import 'reflect-metadata';
import { tmpdir } from 'node:os';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Log } from '@osier/telemetry/log';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { v7 } from 'uuid';
import { type CertificateFiles, followCertificate, minVersion, readCertificate } from './certificate.ts';
import { askConnections } from './connections/questions.ts';
import type { ApiBus } from './context.ts';
import { followCredentials } from './credentials.ts';
import { controllerOf, type Door, filterOf } from './door.ts';
import { type DoorLimits, doorLimits, GuardedAdapter, threshold } from './guard.ts';
import { followOutcomes } from './outcomes.ts';
import { Rates } from './rate.ts';
import { Uploads } from './restore/upload.ts';
import { type Authenticate, withSigned } from './tokens.ts';

export interface ApiOptions {
  readonly bus: ApiBus;
  readonly authenticate: Authenticate;
  readonly log: Log;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly newId?: () => string;
  readonly limits?: Partial<DoorLimits>;
  /** HTTPS by these files; absent: HTTP. */
  readonly tls?: CertificateFiles | undefined;
  /** Where archives may lie for a while. Default: the system's folder for such. */
  readonly folder?: string;
}

export interface RunningApi {
  /** `http://127.0.0.1:7480` */
  readonly url: string;
  /** Ends waiting requests and streams, then stops; leaves the bus open. */
  stop(): Promise<void>;
}

export async function startApi({ bus, authenticate, log, host, port, newId = v7, limits, tls, folder = tmpdir() }: ApiOptions): Promise<RunningApi> {
  const stopping = new AbortController();
  const allowed = { ...doorLimits, ...limits };
  const outcomes = followOutcomes(bus, (err) => log.warn({ err }, 'following the outcomes was interrupted; going on'));
  const credentials = followCredentials(bus, (err) => log.warn({ err }, 'following the credentials was interrupted; going on'));
  const connections = askConnections(bus, (err) => log.warn({ err }, 'what nodes say of their connections is not heard yet'));
  const { askingPerSecond, askingBurst, guessesPerSecond, guessesBurst } = allowed;
  const rates = { asking: new Rates({ perSecond: askingPerSecond, burst: askingBurst }), guessing: new Rates({ perSecond: guessesPerSecond, burst: guessesBurst }) };
  const uploads = new Uploads(folder);
  const context = { bus, outcomes, connections, log, newId: () => newId(), folder, installation: { busy: undefined, uploads } };
  const door: Door = { context, authenticate: withSigned(authenticate, credentials), stopping: stopping.signal, rates };


  class Api {}
  Module({ controllers: [controllerOf(door)] })(Api);
  const app = await NestFactory.create(Api, new GuardedAdapter(allowed, tls && readCertificate(tls)), { bodyParser: false, logger: false, abortOnError: false });
  app.use(threshold);
  app.useGlobalFilters(filterOf(door));
  (app.getHttpAdapter().getInstance() as { disable(setting: string): void }).disable('x-powered-by');
  const server = app.getHttpServer() as Server;
  const renewal = tls && followCertificate(tls, { everyMs: allowed.certificateEveryMs, log, onRenewed: (pair) => (server as HttpsServer).setSecureContext({ ...pair, minVersion }) });
  await app.listen(port, host);
  const address = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    async stop() {
      renewal?.stop();
      stopping.abort();
      outcomes.stop();
      credentials.stop();
      connections.stop();
      uploads.remove();
      setTimeout(() => server.closeAllConnections(), 500).unref();
      await app.close();
    },
  };
}
