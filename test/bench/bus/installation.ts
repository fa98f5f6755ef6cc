import { type ChildProcess, fork, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from '@osier/bus/accounts';
import type { UserLogin } from '@osier/bus/authority';
import type { Bus } from '@osier/bus/bus';
import type { ServiceName } from '@osier/bus/grants';
import { newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { credsText } from '@osier/bus/login';
import { freePort, startNatsServer } from '@osier/bus/server';
import { node, root } from '../../../tools/root.ts';
import type { Answer, Order } from './publisher.ts';
import { credential, domain } from './wishes.ts';

export const services = ['tenant', 'ipam', 'topology', 'policy'] as const;
export const token = 'token-of-the-bench';
/** Milliseconds. */
const patience = { ready: 30_000, end: 5_000 };

/** A nats-server as Osier configures it, with the streams of Osier, in a folder of its own; whatever speaks to it is started beside. */
export interface Installation {
  readonly url: string;
  readonly dir: string;
  /** As a service: for what goes before and is looked at afterwards. */
  readonly bus: Bus;
  login(name: ServiceName): Promise<UserLogin & { readonly url: string }>;
  /** As whoever may wish anything in the domain of the bench. */
  tenant(): Promise<UserLogin>;
  node(name: string): Promise<UserLogin>;
  /** Starts a program of this repository and returns when it has written its ready file. */
  start(name: string, file: string, o: { env?: Readonly<Record<string, string>>; args?: readonly string[]; readyFile: string; patienceMs?: number }): Promise<void>;
  publisher(): Promise<Publisher>;
  /** Seconds of processor time that each program has used so far. */
  cpu(): Record<string, number>;
  /** Megabytes of memory that each holds now. */
  memory(): Record<string, number>;
  close(): Promise<void>;
}
export interface Publisher { tell(order: Order): Promise<Extract<Answer, { ms: number }>> }

/** Has the kernel end a program when we end, however we end (prctl(2), PR_SET_PDEATHSIG). */
const endsWithUs = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];
const alive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
async function end(child: ChildProcess): Promise<void> {
  if (!alive(child)) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), patience.end);
  await gone;
  clearTimeout(late);
}

/** User and system time of a process and all its threads (proc_pid_stat(5)), in ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const residentMegabytes = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

export async function installation(o: { nodes?: readonly string[] } = {}): Promise<Installation> {
  const dir = mkdtempSync(join(tmpdir(), 'osier-bench-'));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  const keys = await newInstallation({ credentials: [{ domain, project: '_', name: credential, role: 'admin' }], nodes: o.nodes ?? [] });
  const config = natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'jetstream'), trust: keys.trust });
  const server = await startNatsServer({ config, dir: join(dir, 'nats') });
  const children = new Map<string, ChildProcess>();
  const bus = await connectBus({ url: server.url, ...(await keys.service('admin')), name: 'setup of the bench' });
  await bus.ensureStreams();
  const login = async (name: ServiceName) => ({ url: server.url, ...(await keys.service(name)) });

  const ofEach = (measure: (pid: number) => number): Record<string, number> =>
    Object.fromEntries([['nats-server', server.pid] as const, ...[...children].map(([name, { pid }]) => [name, pid] as const)].map(([name, pid]) => [name, measure(pid ?? 0)]));
  return {
    url: server.url, dir, bus, login, tenant: () => keys.credential(`${domain}/${credential}`), node: (name) => keys.node(name),
    start: async (name, file, { env = {}, args = [], readyFile, patienceMs = patience.ready }) => {
      const logFile = join(dir, `${name}.log`);
      const log = openSync(logFile, 'a');
      const [program = node, ...rest] = [...endsWithUs, node, join(root, file), ...args];
      const child = spawn(program, rest, { cwd: root, stdio: ['ignore', log, log], env: { ...process.env, NODE_COMPILE_CACHE: join(root, '.cache/compile'), ...env } });
      closeSync(log);
      children.set(name, child);
      for (const until = Date.now() + patienceMs; !existsSync(readyFile); await sleep(20)) {
        if (alive(child) && Date.now() < until) continue;
        throw new Error(`${name} did not start: ${readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n')}`);
      }
    },
    publisher: async () => {
      const child = fork(join(root, 'test/bench/bus/publisher.ts'), { execPath: node });
      children.set('publisher', child);
      const publisher = { tell: (order: Order) => tell(child, order) };
      await publisher.tell({ do: 'enter', url: server.url, ...(await keys.credential(`${domain}/${credential}`)) });
      return publisher;
    },
    cpu: () => ofEach(cpuSeconds),
    memory: () => ofEach(residentMegabytes),
    close: async () => {
      await bus.close();
      for (const child of [...children.values()].reverse()) await end(child);
      await server.stop();
      remove();
      process.off('exit', remove);
    },
  };
}

function tell(child: ChildProcess, order: Order): Promise<Extract<Answer, { ms: number }>> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error(`the publisher ended during ${order.do}`));
    child.once('exit', gone);
    child.once('message', (answer: Answer) => {
      child.off('exit', gone);
      if ('failed' in answer) reject(new Error(`the publisher could not: ${answer.failed}`));
      else resolve(answer);
    });
    child.send(order);
  });
}

/** Folders and files that a program of Osier's is told about by its environment. */
export async function environmentOf(place: Installation, name: ServiceName): Promise<{ env: Record<string, string>; readyFile: string }> {
  const folder = join(place.dir, name);
  mkdirSync(folder);
  const [credentials, readyFile] = [join(folder, 'credentials.creds'), join(folder, 'ready')];
  writeFileSync(credentials, credsText(await place.login(name)), { mode: 0o600 });
  return { env: { OSIER_NATS_URL: place.url, OSIER_CREDENTIALS_FILE: credentials, OSIER_DATA_DIR: folder, OSIER_READY_FILE: readyFile }, readyFile };
}
