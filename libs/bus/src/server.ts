import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, openSync, closeSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Oldest that works: several filters per consumer and consumer metadata (2.10), and the data-loss fix of 2.10.23. */
export const oldestNatsServer = '2.10.23';

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly configFile: string;
  readonly pid: number | undefined;
  readonly log: () => string;
  /** New configuration for the running server. Connections may be made anew. */
  reload(config: string): Promise<void>;
  /** Starts it again after `stop` or `kill`, on the same port with the same files. */
  start(): Promise<void>;
  /** Ends it in an orderly way. */
  stop(): Promise<void>;
  /** Ends it as a power failure would (SIGKILL). */
  kill(): Promise<void>;
}

/** Where nats-server is: $OSIER_NATS_SERVER, the PATH, the workspace, the set-up's cache. Throws, saying where it looked. */
export function findNatsServer(env: NodeJS.ProcessEnv = process.env): string {
  const chosen = env.OSIER_NATS_SERVER;
  const candidates = chosen !== undefined && chosen !== '' ? [chosen] : [...onPath(env.PATH ?? ''), workspaceBinary, ...cached(env.OSIER_CACHE_DIR ?? '/var/cache/osier')];
  const seen: string[] = [];
  for (const file of candidates) {
    if (!executable(file)) continue;
    const version = versionOf(file);
    if (version !== undefined && atLeast(version, oldestNatsServer)) return file;
    seen.push(`${file} is ${version ?? 'not a nats-server'}`);
  }
  const found = seen.length > 0 ? ` (${seen.join('; ')})` : '';
  throw new Error(`no nats-server ${oldestNatsServer} or newer${found}: run the set-up (npm start), or set OSIER_NATS_SERVER to one`);
}

const workspaceBinary = join(import.meta.dirname, '../../../node_modules/.bin/nats-server');
const onPath = (path: string): string[] => path.split(delimiter).filter((folder) => folder !== '').map((folder) => join(folder, 'nats-server'));
function cached(cache: string): string[] {
  const folder = join(cache, 'nats-server');
  return existsSync(folder) ? readdirSync(folder).sort().reverse().map((version) => join(folder, version, 'nats-server')) : [];
}
function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
function versionOf(file: string): string | undefined {
  const result = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return /v?(\d+\.\d+\.\d+)/.exec(result.stdout ?? '')?.[1];
}
function atLeast(version: string, oldest: string): boolean {
  const [a, b] = [version.split('.').map(Number), oldest.split('.').map(Number)];
  for (const [index, wanted] of b.entries()) if ((a[index] ?? 0) !== wanted) return (a[index] ?? 0) > wanted;
  return true;
}

const given = new Set<number>();
/**
 * A port of the loopback address that is free now, and that this process is given once only. Not one that the system gives away by itself: such a port can be the near
 * end of anybody's connection in the next moment.
 */
export async function freePort(): Promise<number> {
  const [lowest, end] = [10_000, firstEphemeral()];
  for (let tries = 0; tries < 1_000; tries++) {
    const port = randomInt(lowest, end);
    if (given.has(port)) continue;
    given.add(port);
    if (await listens(port)) return port;
  }
  throw new Error(`no port of 127.0.0.1 between ${lowest} and ${end} is free`);
}
const listens = (port: number): Promise<boolean> => new Promise((resolve) => {
  const server = createServer().once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});
/** ip_local_port_range in the kernel's ip-sysctl. */
function firstEphemeral(): number {
  const first = Number(/\d+/.exec(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'))?.[0]);
  return first > 11_000 ? first : 32_768;
}

/**
 * Starts nats-server with this configuration as a part of this process, and returns when it accepts connections. `config` must have a `listen` on a fixed port
 * (see `freePort`); `dir` takes the configuration (readable by its owner only) and the log.
 */
export async function startNatsServer(o: { config: string; dir: string; binary?: string }): Promise<NatsServer> {
  const binary = o.binary ?? findNatsServer();
  const port = Number(/^listen: "?[^\s"]*:(\d+)"?/m.exec(o.config)?.[1]);
  if (!(port > 0)) throw new Error('the NATS configuration has no line `listen: "host:port"`');
  mkdirSync(o.dir, { recursive: true });
  const configFile = join(o.dir, 'nats-server.conf');
  const logFile = join(o.dir, 'nats-server.log');
  writeFileSync(configFile, o.config, { mode: 0o600 });
  let child: ChildProcess | undefined;
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');

  const start = async (): Promise<void> => {
    if (running(child)) return;
    const output = openSync(logFile, 'a');
    const [program = binary, ...args] = [...endWithUs(), binary, '-c', configFile];
    const started = spawn(program, args, { stdio: ['ignore', output, output] });
    closeSync(output);
    child = started;
    let failed: Error | undefined;
    started.once('error', (error) => (failed = error));
    for (const until = Date.now() + 20_000; ; ) {
      if (failed !== undefined || !running(started)) throw new Error(`nats-server did not start: ${failed?.message ?? lastLines(log())}`);
      if (await accepts(port)) return;
      if (Date.now() > until) throw new Error(`nats-server does not accept connections on port ${port}: ${lastLines(log())}`);
      await sleep(20);
    }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    if (ending === undefined || !running(ending)) return;
    const gone = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
    ending.kill(signal);
    await gone;
  };
  const signalReload = async (): Promise<void> => {
    const before = log().length;
    child?.kill('SIGHUP');
    for (const until = Date.now() + 10_000; Date.now() < until; await sleep(20)) {
      const said = log().slice(before);
      if (/Reloaded server configuration/.test(said)) return;
      if (/\[ERR\].*reload/i.test(said)) throw new Error(`nats-server refused the new configuration: ${lastLines(said)}`);
    }
    throw new Error(`nats-server did not confirm the new configuration: ${lastLines(log())}`);
  };
  const reload = async (config: string): Promise<void> => {
    writeFileSync(configFile, config, { mode: 0o600 });
    await signalReload();
  };
  await start();
  return {
    url: `nats://127.0.0.1:${port}`, port, configFile, log, start, reload,
    get pid() { return running(child) ? child?.pid : undefined; },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** Has the kernel end the server when we end, however we end (prctl(2), PR_SET_PDEATHSIG); a test that is killed leaves none behind. */
function endWithUs(): string[] {
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL'] : [];
}
const running = (child: ChildProcess | undefined): boolean => child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
const lastLines = (text: string): string => text.trim().split('\n').slice(-5).join('\n');
/** True when something says INFO there, as a NATS server does on every connection. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('data', (data) => done(data.toString().startsWith('INFO')));
  });
}
