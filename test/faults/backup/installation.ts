// An installation without nodes' kernels: nats-server, the four services and the api, each a process of its own, started again when it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from '@osier/bus/accounts';
import { newInstallation } from '@osier/bus/installation';
import { credsText } from '@osier/bus/login';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';

export const repository = join(import.meta.dirname, '../../..');
export const services = ['tenant', 'ipam', 'topology', 'policy'] as const;
export type Program = (typeof services)[number] | 'api';
const programs: readonly Program[] = [...services, 'api'];
const token = 'a-token-of-enough-length';

export interface Installation {
  readonly nats: NatsServer;
  readonly url: string;
  /** Credentials file of whoever looks into the bus. */
  readonly creds: string;
  readonly tokenFile: string;
  /** What programs put somewhere for a while, and did not remove. */
  left(): string[];
  database(service: string): string;
  log(program: Program): string;
  kill(program: Program): Promise<void>;
  /** Whether a program answers at all, ready or not. */
  answers(): Promise<void>;
  /** Not started again until `release`. */
  hold(program: Program): Promise<void>;
  release(program: Program): Promise<void>;
  /** As `release`, and does not wait until it is ready. */
  start(program: Program): void;
  ready(): Promise<void>;
  remove(): Promise<void>;
}

const parentGone = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];

export async function install(o: { databaseUrl?: string } = {}): Promise<Installation> {
  const dir = mkdtempSync(join(tmpdir(), 'osier-faults-backup-'));
  const secret = (name: string, content: object): string => {
    writeFileSync(join(dir, name), JSON.stringify(content), { mode: 0o600 });
    return join(dir, name);
  };
  const keys = await newInstallation();
  const credsOf = (name: string): string => join(dir, `${name}.creds`);
  for (const name of [...programs, 'admin'] as const) writeFileSync(credsOf(name), credsText(await keys.service(name)), { mode: 0o600 });
  const authority = secret('authority.json', keys.authority);
  const config = natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'js'), trust: keys.trust });
  const nats = await startNatsServer({ dir, config });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const tokens = secret('tokens.json', { tokens: [{ token, credential: 'operator' }] });
  const scratch = join(dir, 'scratch');
  mkdirSync(scratch);
  const data = (service: string): string => join(dir, 'data', service);
  const readyFile = (program: Program): string => join(dir, `${program}.ready`);
  const logFile = (program: Program): string => join(dir, `${program}.log`);
  const running = new Map<Program, ChildProcess>();
  const held = new Set<Program>();
  let over = false;

  const start = (program: Program): void => {
    if (over || held.has(program) || running.has(program)) return;
    rmSync(readyFile(program), { force: true });
    const env: Record<string, string> = {
      PATH: process.env['PATH'] ?? '', TMPDIR: scratch, NODE_COMPILE_CACHE: join(repository, '.cache/compile'), ...(process.env['OSIER_TEST_RUN'] ? { OSIER_TEST_RUN: process.env['OSIER_TEST_RUN'] } : {}),
      OSIER_NATS_URL: nats.url, OSIER_CREDENTIALS_FILE: credsOf(program), ...(program === 'tenant' ? { OSIER_AUTHORITY_FILE: authority } : {}), OSIER_READY_FILE: readyFile(program), OSIER_LOG_LEVEL: 'info',
      OSIER_DATA_DIR: data(program),
      ...(program === 'api' ? { OSIER_TOKENS_FILE: tokens, OSIER_API_PORT: String(port) } : { ...(o.databaseUrl ? { OSIER_DATABASE_URL: o.databaseUrl } : {}) }),
    };
    const output = openSync(logFile(program), 'a');
    const [command = process.execPath, ...args] = [...parentGone, process.execPath, join(repository, `apps/${program}/src/main.ts`)];
    const child = spawn(command, args, { stdio: ['ignore', output, output], env });
    closeSync(output);
    running.set(program, child);
    child.once('exit', (code, signal) => {
      rmSync(readyFile(program), { force: true });
      appendFileSync(logFile(program), `-- ended: ${code ?? signal}\n`);
      running.delete(program);
      setTimeout(() => start(program), 100);
    });
  };
  const end = async (program: Program): Promise<void> => {
    const child = running.get(program);
    if (!child) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  const ready = async (): Promise<void> => {
    for (const until = Date.now() + 60_000; ; await sleep(50)) {
      const waiting = programs.filter((program) => !held.has(program) && !existsSync(readyFile(program)));
      if (waiting.length === 0) return;
      if (Date.now() > until) throw new Error(`not ready: ${waiting.join(', ')}\n${waiting.map((program) => readFileSync(logFile(program), 'utf8').slice(-1_000)).join('\n')}`);
    }
  };
  for (const program of programs) start(program);
  await ready();
  return {
    nats, url, creds: credsOf('admin'), tokenFile, ready,
    left: () => [...readdirSync(scratch), ...programs.flatMap((program) => (existsSync(data(program)) ? readdirSync(data(program)) : []).filter((name) => name.startsWith('osier-')))],
    database: (service) => join(data(service), `${service}.db`),
    log: (program) => (existsSync(logFile(program)) ? readFileSync(logFile(program), 'utf8') : ''),
    kill: end,
    answers: async () => {
      for (const until = Date.now() + 30_000; Date.now() < until; await sleep(50)) if (await fetch(`${url}/healthz`).then((r) => r.ok, () => false)) return;
      throw new Error('the api does not answer');
    },
    hold: async (program) => {
      held.add(program);
      await end(program);
    },
    start: (program) => {
      held.delete(program);
      start(program);
    },
    release: async (program) => {
      held.delete(program);
      start(program);
      await ready();
    },
    remove: async () => {
      over = true;
      await Promise.all(programs.map(end));
      await nats.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface Ran { readonly code: number | null; readonly out: string; readonly err: string; readonly ms: number }

/** The command line, as a person runs it. */
export function osier(at: Installation, args: readonly string[], o: { onStart?: (child: ChildProcess) => void } = {}): Promise<Ran> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(repository, 'apps/cli/src/main.ts'), ...args, ...(args.includes('verify') ? [] : ['--server', at.url, '--token-file', at.tokenFile])], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: join(repository, '.cache/compile') } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err, ms: Math.round(performance.now() - since) }));
    o.onStart?.(child);
  });
}
