import 'reflect-metadata';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type Bus, BusRefused } from '@osier/bus/bus';
import { connectBus } from '@osier/bus/jetstream';
import { JetStreamStrategy } from '@osier/bus/nest';
import { openSqlite } from '@osier/store/sqlite';
import type { Store } from '@osier/store/store';
import { createLog, type Log } from '@osier/telemetry/log';
import { startTracing } from '@osier/telemetry/start';
import { v7 as newId } from 'uuid';
import type { StartCompanion } from './companion.ts';
import type { AnyDefinition } from './context.ts';
import { ConfigProblem, loginFrom, readServiceConfig, type ServiceConfig } from './config.ts';
import { healthModule } from './health.ts';
import { natsTls } from './nats-settings.ts';
import { isWhole, standingOf } from './restore/phase.ts';
import { waitForRestore } from './restore/waiting.ts';
import { cleared } from './scratch.ts';
import { prepared } from './serve.ts';
import { createService, type Service } from './service.ts';

/** Milliseconds within which a stop ends, whatever it is waiting for: all that matters is committed already. */
const stopWithin = 1_500;
/** What whoever runs it is told when it wants to be started anew (sysexits.h, EX_TEMPFAIL). */
const startAnew = 75;

export interface RunOptions {
  readonly companion?: StartCompanion;
  /** Instead: one that depends on the configuration. May throw a ConfigProblem. */
  readonly companionOf?: (environment: NodeJS.ProcessEnv) => StartCompanion | undefined;
}

/**
 * A service's process, from its environment to its end. Never returns before SIGTERM or SIGINT.
 * What cannot be mended by waiting (configuration, a database of a newer version) ends it with code 1 and one sentence.
 */
export async function runService(definition: AnyDefinition, options: RunOptions = {}): Promise<void> {
  try {
    await run(definition, options);
  } catch (error) {
    const known = error instanceof ConfigProblem || error instanceof BusRefused || (error instanceof Error && 'fix' in error);
    const text = known ? `${error.message}${'fix' in error ? ` ${String(error.fix)}` : ''}` : error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`osier ${definition.name} cannot start: ${text}\n`);
    process.exit(1);
  }
}

async function run(definition: AnyDefinition, options: RunOptions): Promise<void> {
  const name = definition.name;
  const config = readServiceConfig(process.env);
  const login = loginFrom(config.OSIER_CREDENTIALS_FILE);
  const companion = options.companion ?? options.companionOf?.(process.env);
  const log = createLog({ service: name, level: config.OSIER_LOG_LEVEL });
  if (config.OSIER_READY_FILE) rmSync(config.OSIER_READY_FILE, { force: true });

  const closers: (() => Promise<unknown>)[] = [];
  const stop = stopper(log, closers);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop({ signal }, 'stopping', 0));
  const restart = (why: string): void => stop({ why }, 'ending, to be started anew', startAnew);
  const tracing = await startTracing(name);
  closers.unshift(() => tracing.shutdown());

  const up: { service?: Service } = {};
  const app = await NestFactory.create(healthModule(() => up.service?.readiness() ?? { ready: false }), { logger: false, abortOnError: false });
  await app.listen(config.OSIER_HEALTH_PORT, '127.0.0.1');
  const healthPort = (app.getHttpServer().address() as AddressInfo).port;
  log.info({ healthPort }, 'starting');

  const store = await openStore(config, name, log);
  closers.unshift(() => store.close());
  const bus = await connectBus({
    url: config.OSIER_NATS_URL, login, name: `osier-${name}`, tls: natsTls(config), replicas: config.OSIER_STREAM_REPLICAS,
    onStatus: ({ state, reason }) => log[state === 'connected' ? 'info' : 'warn']({ bus: state }, reason),
  });
  closers.unshift(() => bus.close());
  const folder = scratchFolder(config, name);
  if (!isWhole(await standingOf(store))) {
    const waiting = await waitForRestore({ service: name, store, log, folder, restart, bus });
    closers.unshift(() => waiting.stop());
    return;
  }
  const running = createService(definition, { bus, store, log, now: Date.now, newId: () => newId(), companion, folder, restart });
  await prepared(running, log);
  await serveWithNest(app, running, bus, log);
  closers.unshift(async () => running.letGo(), () => app.close(), () => running.stop());
  await running.start();
  up.service = running;
  if (config.OSIER_READY_FILE) announce(config.OSIER_READY_FILE, healthPort);
  log.info({ healthPort }, 'ready');
}

async function serveWithNest(app: INestApplication, service: Service, bus: Bus, log: Log): Promise<void> {
  const strategy = new JetStreamStrategy({
    bus, consumers: service.consumers(), responders: service.responders,
    onProblem: (problem, durable) => log.warn({ err: problem, durable }, 'consuming was interrupted; going on'),
  });
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();
}

async function openStore(config: ServiceConfig, name: string, log: Log): Promise<Store> {
  const url = config.OSIER_DATABASE_URL;
  if (url !== undefined) {
    const { openPostgres } = await import('@osier/store/postgres');
    // Started anew by whatever runs it, it waits until the other one ends.
    return openPostgres({ url, service: name, log, onLost: () => process.exit(1) });
  }
  mkdirSync(config.OSIER_DATA_DIR, { recursive: true, mode: 0o700 });
  return openSqlite({ file: join(config.OSIER_DATA_DIR, `${name}.db`) });
}

function announce(file: string, healthPort: number): void {
  writeFileSync(`${file}.tmp`, `${JSON.stringify({ pid: process.pid, healthPort })}\n`);
  renameSync(`${file}.tmp`, file);
}

/** Where dumps may lie for a while: beside the database, where there is room for as much again. What an earlier life left is removed. */
function scratchFolder(config: ServiceConfig, name: string): string {
  if (config.OSIER_DATABASE_URL !== undefined && config.OSIER_DATA_DIR === '.') return tmpdir();
  return cleared(config.OSIER_DATA_DIR, new RegExp(`^osier-(dump|restore)-${name}-`));
}

function stopper(log: Log, closers: readonly (() => Promise<unknown>)[]): (facts: object, text: string, code: number) => void {
  let stopping = false;
  const stop = async (facts: object, text: string, code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info(facts, text);
    setTimeout(() => process.exit(code), stopWithin);
    // An answer that is on its way gets out.
    await new Promise((resolve) => setImmediate(resolve));
    for (const close of closers) await close().catch((error: unknown) => log.warn({ err: error }, 'stopping a part failed'));
    process.exit(code);
  };
  return (facts, text, code) => void stop(facts, text, code);
}
