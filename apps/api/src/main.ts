//   CLI, console, curl ──HTTP──► door (routes from the contracts, bearer token)
//                                  │ PUT, DELETE          │ GET            │ enforcement      │ flows
//                                  ▼                      ▼                ▼                  ▼
//                    INTENTS ◄─ submit            ask ─► <owner>.list   topology.enforcement  FLOWS
//                                  ▲
//                    OUTCOMES ─► followOutcomes (one follower for all who wait)
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connectBus } from '@osier/bus/jetstream';
import { createLog } from '@osier/telemetry/log';
import { startApi } from './app.ts';
import { readConfig } from './config.ts';
import { readTokens } from './tokens.ts';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog({ service: 'api', level: config.OSIER_LOG_LEVEL });
  const authenticate = readTokens(config.OSIER_TOKENS_FILE);
  const { user, password } = JSON.parse(readFileSync(config.OSIER_CREDENTIALS_FILE, 'utf8')) as { user: string; password: string };
  const bus = await connectBus({ url: config.OSIER_NATS_URL, user, password, name: 'osier-api' });
  const api = await startApi({ bus, authenticate, log, host: config.OSIER_API_HOST, port: config.OSIER_API_PORT });
  if (config.OSIER_READY_FILE !== undefined) {
    writeFileSync(`${config.OSIER_READY_FILE}.tmp`, `${JSON.stringify({ url: api.url, pid: process.pid })}\n`);
    renameSync(`${config.OSIER_READY_FILE}.tmp`, config.OSIER_READY_FILE);
  }
  log.info({ url: api.url }, 'listening');

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    await api.stop();
    await Promise.race([bus.close(), new Promise((resolve) => setTimeout(resolve, 1000))]);
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
}

main().catch((error: unknown) => {
  process.stderr.write(`osier-api cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
  setTimeout(() => process.exit(1), 100).unref();
});
