//   CLI, console, curl ──HTTP──► door (routes from the contracts, bearer token, span)
//                                  │ PUT, DELETE          │ GET              │ enforcement          │ flows        │ connections
//                                  ▼                      ▼                  ▼                      ▼              ▼
//                    INTENTS ◄─ submit            ask ──► <owner>.list   topology.enforcement     FLOWS       each node concerned
//                                  ▲
//                    OUTCOMES ─► followOutcomes (one follower for all who wait)
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { connectBus } from '@osier/bus/jetstream';
import { loginFrom } from '@osier/runtime/config';
import { natsTls } from '@osier/runtime/nats-settings';
import { cleared } from '@osier/runtime/scratch';
import { createLog } from '@osier/telemetry/log';
import { startTracing } from '@osier/telemetry/start';
import { startApi } from './app.ts';
import { certificateFiles, readConfig } from './config.ts';
import { deferredBus } from './deferred-bus.ts';
import { readTokens } from './tokens.ts';

/** Milliseconds within which a stop ends. */
const stopWithin = 1500;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog({ service: 'api', level: config.OSIER_LOG_LEVEL });
  const authenticate = readTokens(config.OSIER_TOKENS_FILE);
  const login = loginFrom(config.OSIER_CREDENTIALS_FILE);
  const { OSIER_READY_FILE: readyFile } = config;
  if (readyFile !== undefined) rmSync(readyFile, { force: true });
  const tracing = await startTracing('api');
  const bus = deferredBus(connectBus({ url: config.OSIER_NATS_URL, login, name: 'osier-api', tls: natsTls(config) }).catch(end));
  const folder = config.OSIER_DATA_DIR === undefined ? {} : { folder: cleared(config.OSIER_DATA_DIR, /^osier-(backup|upload)-/) };
  const api = await startApi({ bus, authenticate, log, host: config.OSIER_API_HOST, port: config.OSIER_API_PORT, tls: certificateFiles(config), ...folder });
  log.info({ url: api.url }, 'listening');
  if (readyFile !== undefined) {
    writeFileSync(`${readyFile}.tmp`, `${JSON.stringify({ pid: process.pid, url: api.url })}\n`);
    renameSync(`${readyFile}.tmp`, readyFile);
  }

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(0), stopWithin);
    for (const end of [() => api.stop(), () => bus.close(), () => tracing.shutdown()]) await end().catch((err: unknown) => log.warn({ err }, 'stopping a part failed'));
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
}

function end(error: unknown): never {
  process.stderr.write(`osier api cannot start: ${error instanceof Error ? `${error.message}${'fix' in error ? ` ${String(error.fix)}` : ''}` : String(error)}\n`);
  process.exit(1);
}

main().catch(end);
