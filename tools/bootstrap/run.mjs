// Child processes and progress for set-up. Runs on Node 20 without any package installed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/** A failure a person can act on: what failed, then what to run. */
export class SetupError extends Error {
  constructor(what, fix, detail = '') {
    super(what);
    this.fix = fix;
    this.detail = detail.trim().split('\n').slice(-12).join('\n');
  }
}

/** PATH without any node_modules/.bin, with the sbin folders that a root shell has. */
export function machinePath() {
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => !/node_modules\/\.bin\/?$|node-gyp-bin\/?$/.test(folder));
  for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin']) if (!folders.includes(folder)) folders.push(folder);
  return folders.join(':');
}

/** Absolute path of an executable on the machine's PATH, or undefined. */
export function findCommand(name, path = machinePath()) {
  for (const folder of path.split(':')) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not here
    }
  }
  return undefined;
}

/** Runs to the end and returns { status, output } (stdout and stderr together); never throws. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    let output = '';
    let stdout = '';
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
      env: { ...process.env, PATH: machinePath(), LC_ALL: 'C', ...options.env },
    });
    child.stdout.on('data', (chunk) => ((output += chunk), (stdout += chunk)));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ status: 127, output: error.message, stdout: '' }));
    child.on('close', (code, signal) => resolve({ status: code ?? 128, output: signal ? `${output}\n${signal}` : output, stdout }));
  });
}

/** First line a program prints, or undefined when it cannot run. */
export function firstLine(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  return result.status === 0 ? result.stdout.split('\n')[0] : undefined;
}

/** Shows a step while it runs and how long it took; on a terminal the clock ticks. */
export async function step(title, work) {
  const started = Date.now();
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  const live = process.stdout.isTTY;
  if (!live) console.log(`set-up  ${title} …`);
  const ticker = live ? setInterval(() => process.stdout.write(`\rset-up  ${title} … ${seconds()} `), 250) : undefined;
  try {
    const note = await work();
    console.log(`${live ? '\r' : ''}set-up  ${title}: ${note ?? 'done'} (${seconds()})`);
  } finally {
    clearInterval(ticker);
  }
}

/** True when a shared library is in one of the folders the loader looks in. */
export function hasLibrary(name) {
  const folders = ['/usr/lib/x86_64-linux-gnu', '/lib/x86_64-linux-gnu', '/usr/lib64', '/lib64', '/usr/lib', '/usr/local/lib'];
  return folders.some((folder) => existsSync(join(folder, name)));
}
