import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UserLogin } from '@osier/bus/authority';
import { credsText } from '@osier/bus/login';
import { nodeBinary, program } from '@osier/lab/paths';
import { services } from '@osier/lab/record';

export interface RunningServices {
  readonly paths: { data(service: string): string };
  /** What all of them have said. */
  log(): string;
  stop(): Promise<void>;
}

/** The four services as they are run everywhere, each a process with its database, on three copies of each stream. Returns when all are ready. */
export async function startServices(o: { dir: string; url: string; logins: Readonly<Record<string, UserLogin>> }): Promise<RunningServices> {
  const file = (service: string, what: string): string => join(o.dir, `${service}.${what}`);
  const started = services.map((service): [string, ChildProcess] => {
    const login = o.logins[service];
    if (login === undefined) throw new Error(`no login for ${service}`);
    writeFileSync(file(service, 'creds'), credsText(login), { mode: 0o600 });
    const child = spawn(nodeBinary, ['--no-warnings', program(service)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env, NODE_OPTIONS: '', OSIER_NATS_URL: o.url, OSIER_STREAM_REPLICAS: '3', OSIER_CREDENTIALS_FILE: file(service, 'creds'),
        OSIER_DATA_DIR: join(o.dir, service), OSIER_READY_FILE: file(service, 'ready'),
      },
    });
    const log = createWriteStream(file(service, 'log'));
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    return [service, child];
  });
  const log = (): string => services.map((service) => (existsSync(file(service, 'log')) ? readFileSync(file(service, 'log'), 'utf8') : '')).join('');
  for (const until = Date.now() + 60_000; services.some((service) => !existsSync(file(service, 'ready'))); await sleep(100)) {
    const ended = started.find(([, child]) => child.exitCode !== null);
    if (ended !== undefined || Date.now() > until) throw new Error(`${ended?.[0] ?? 'a service'} did not start:\n${log().slice(-3_000)}`);
  }
  return {
    paths: { data: (service) => join(o.dir, service) },
    log,
    stop: async () => {
      await Promise.all(started.map(([, child]) => new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      })));
    },
  };
}
