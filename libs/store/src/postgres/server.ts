import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A PostgreSQL of one's own, for tests and labs: a directory, a process, a unix socket, and a port only where one is asked for. */
export interface PostgresServer {
  /** Of its one database; the socket is in the URL. */
  readonly url: string;
  readonly directory: string;
  readonly pid: number | undefined;
  log(): string;
  /** Starts it again after `stop` or `kill`, with the same files. */
  start(): Promise<void>;
  /** Ends it in an orderly way (SIGINT: open transactions are rolled back). */
  stop(): Promise<void>;
  /** Ends all of its processes as a power failure would (SIGKILL). */
  kill(): Promise<void>;
  /** Runs statements as its superuser; returns what psql prints, unaligned. */
  query(sql: string): string;
  /** Stops it and removes its directory. */
  remove(): Promise<void>;
}

/** PostgreSQL refuses to run as root. This user is on every Linux, owns nothing, and nobody can log in as it. */
const nobody = 65534;
/** Seconds. */
const patience = 20;

/**
 * Folder of `initdb`, `postgres` and `psql`: $OSIER_POSTGRES_BIN, Debian's own, the set-up's cache; the newest of each.
 * Throws, saying where it looked.
 */
export function findPostgres(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env['OSIER_CACHE_DIR'] ?? '/var/cache/osier';
  const folders = [env['OSIER_POSTGRES_BIN'] ?? '', ...versionsIn('/usr/lib/postgresql'), ...versionsIn(join(cache, 'postgresql/usr/lib/postgresql'))];
  const found = folders.find((folder) => folder !== '' && existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
  if (found === undefined) throw new Error(`no PostgreSQL in ${folders.filter(Boolean).join(', ') || '/usr/lib/postgresql'}: run the set-up (npm test), or set OSIER_POSTGRES_BIN to the folder of its initdb`);
  return found;
}
const versionsIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).sort((a, b) => Number(b) - Number(a)).map((version) => join(folder, version, 'bin')) : [];

/** What a PostgreSQL that was unpacked beside the system, and not installed into it, needs to find its libraries. */
function environment(bin: string): NodeJS.ProcessEnv {
  const libraries = join(bin, '../../../x86_64-linux-gnu');
  return { PATH: `${bin}:/usr/bin:/bin`, LC_ALL: 'C', ...(bin.startsWith('/usr/') ? {} : { LD_LIBRARY_PATH: libraries }), ...ofTheRun };
}
/** So that a test run finds whatever it has left behind. */
const ofTheRun = Object.fromEntries(Object.entries(process.env).filter(([name]) => name === 'OSIER_TEST_RUN'));

const settings = [
  "listen_addresses = ''", 'fsync = on', 'full_page_writes = on', 'jit = off', 'max_connections = 40', 'shared_buffers = 16MB',
  'dynamic_shared_memory_type = posix', 'recovery_init_sync_method = syncfs', 'autovacuum = on', 'log_timezone = UTC', 'timezone = UTC',
];

/** Makes a PostgreSQL in a new directory and starts it. Nobody but this machine's root and the user it runs as gets in. */
export async function startPostgres(options: { settings?: readonly string[]; listen?: Listen } = {}): Promise<PostgresServer> {
  const bin = findPostgres();
  // Short, since the path of a unix socket has at most 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'osier-pg-'));
  const owner = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  const data = join(directory, 'data');
  const env = environment(bin);
  mkdirSync(data, { mode: 0o700 });
  if (owner.uid !== undefined) for (const folder of [directory, data]) chownSync(folder, owner.uid, owner.gid);
  const run = (program: string, args: readonly string[], input?: string): string => {
    const result = spawnSync(join(bin, program), args, { ...owner, env, cwd: directory, encoding: 'utf8', maxBuffer: 1 << 28, timeout: patience * 1_000, ...(input === undefined ? {} : { input }) });
    if (result.status !== 0) throw new Error(`${program} failed: ${result.error?.message ?? result.stderr}`);
    return result.stdout;
  };

  const port = options.listen?.port ?? 5432;
  const socket = join(directory, `.s.PGSQL.${port}`);
  let child: ChildProcess | undefined;
  let output = '';

  async function start(): Promise<void> {
    const started = spawn(join(bin, 'postgres'), ['-D', data], { ...owner, env, cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const until = Date.now() + patience * 1_000;
    while (!(await answers(socket)) || spawnSync(join(bin, 'pg_isready'), ['-q', '-h', directory, '-p', String(port)], { env }).status !== 0) {
      if (started.exitCode !== null || Date.now() > until) throw new Error(`PostgreSQL does not start: ${output.slice(-2_000)}`);
      await sleep(20);
    }
  }
  async function end(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending?.pid === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = new Promise((resolve) => ending.once('exit', resolve));
    // Its backends are processes of their own that outlive a killed parent for a moment.
    const backends = signal === 'SIGKILL' ? childrenOf(ending.pid) : [];
    process.kill(ending.pid, signal);
    for (const pid of backends) killed(pid);
    await gone;
    while (backends.some(isAlive)) await sleep(5);
  }

  const server: PostgresServer = {
    url: `postgres://osier@localhost${options.listen === undefined ? '' : `:${port}`}/osier?host=${encodeURIComponent(directory)}`,
    directory,
    get pid() {
      return child?.pid;
    },
    log: () => output,
    start, stop: () => end('SIGINT'), kill: () => end('SIGKILL'),
    query: (sql) => run('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', directory, '-p', String(port), '-U', 'osier', 'osier'], sql).trim(),
    remove: async () => {
      await end('SIGINT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    run('initdb', ['--pgdata', data, '--username', 'osier', '--auth', 'trust', '--encoding', 'UTF8', '--no-locale', '--no-sync']);
    writeFileSync(join(data, 'postgresql.conf'), [...settings, `unix_socket_directories = '${directory}'`, ...listening(options.listen, directory), ...(options.settings ?? []), ''].join('\n'));
    for (const [name, text] of Object.entries(options.listen?.tls ?? {})) ownFile(join(directory, `${name}.pem`), text, owner);
    await start();
    run('psql', ['-Xq', '-h', directory, '-p', String(port), '-U', 'osier', '-c', 'create database osier', 'postgres']);
    return server;
  } catch (error) {
    await server.remove();
    throw error;
  }
}

/** On the loopback address; `tls`: PEM texts. */
interface Listen { readonly port: number; readonly tls?: { readonly cert: string; readonly key: string } }
const listening = (listen: Listen | undefined, directory: string): string[] => (listen === undefined ? [] : [
  "listen_addresses = '127.0.0.1'", `port = ${listen.port}`,
  ...(listen.tls === undefined ? [] : ['ssl = on', `ssl_cert_file = '${join(directory, 'cert.pem')}'`, `ssl_key_file = '${join(directory, 'key.pem')}'`]),
]);
/** It refuses a key that others may read, or that is not its user's. */
function ownFile(file: string, text: string, owner: { uid?: number; gid?: number }): void {
  writeFileSync(file, text, { mode: 0o600 });
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(file, owner.uid, owner.gid);
}

const answers = (path: string): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ path });
  socket.once('connect', () => resolve((socket.destroy(), true))).once('error', () => resolve(false));
});
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}
function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
