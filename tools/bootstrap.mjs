#!/usr/bin/env node
// Makes a fresh clone on a fresh machine ready to run: npm packages, machine packages, nats-server.
// With --tests also what only tests need: PostgreSQL.
// Runs on Node 20 with nothing installed; does only what is missing, so a second run takes a fraction of a second.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkMachine, installNeeds, missingNeeds } from './bootstrap/machine.mjs';
import { installPackages, packagesInPlace } from './bootstrap/packages.mjs';
import { cacheFolder, installNats, natsInPlace } from './bootstrap/nats.mjs';
import { installPostgres, postgresInPlace } from './bootstrap/postgres.mjs';
import { SetupError, findCommand } from './bootstrap/run.mjs';

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const forTests = process.argv.includes('--tests');
const ready = () => packagesInPlace(root) && missingNeeds().length === 0 && natsInPlace(root) && (!forTests || postgresInPlace());

async function install() {
  const started = Date.now();
  await installPackages(root);
  await installNeeds();
  await installNats(root);
  if (forTests) await installPostgres();
  console.log(`set-up  ready (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}

/**
 * Runs the installing part under flock: the kernel drops the lock with its holder, so a killed set-up never blocks the next.
 * `-o` keeps the lock from leaking into children. Returns the exit code of the part.
 */
function installLocked() {
  mkdirSync(cacheFolder(), { recursive: true });
  const lock = join(cacheFolder(), 'set-up.lock');
  const flock = findCommand('flock');
  if (flock === undefined) throw new SetupError('flock is not on the PATH', 'install util-linux, then run the command again');
  const part = [process.execPath, self, '--locked', ...(forTests ? ['--tests'] : [])];
  const BUSY = 75;
  const options = { stdio: 'inherit', cwd: root };
  const first = spawnSync(flock, ['-o', '-n', '-E', String(BUSY), lock, ...part], options);
  if (first.status !== BUSY) return first.status ?? 1;
  console.log(`set-up  another set-up is running on this machine; waiting for it (lock ${lock})`);
  return spawnSync(flock, ['-o', lock, ...part], options).status ?? 1;
}

try {
  checkMachine();
  if (process.argv.includes('--locked')) await install();
  else if (!ready()) process.exitCode = installLocked();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\nset-up failed: ${error.message}`);
  if (error.detail) console.error(error.detail.replace(/^/gm, '    '));
  console.error(`fix: ${error.fix}\n`);
  process.exitCode = 1;
}
