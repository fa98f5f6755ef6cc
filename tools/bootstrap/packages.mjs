// npm packages: installed exactly as package-lock.json says, judged by the record npm itself leaves when it finishes.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError, findCommand, run, step } from './run.mjs';

/** Not needed everywhere: npm leaves it out where it does not fit or nobody asks for it. */
const mayBeAbsent = (wanted) => Boolean(wanted.optional || wanted.devOptional || wanted.peer);

/** Names of the packages that have no folder, whatever npm's record says: `npm install --package-lock-only` writes that too. */
export function absentEntries(lock, hasFolder) {
  return Object.entries(lock.packages).filter(([path, wanted]) => path.startsWith('node_modules/') && !mayBeAbsent(wanted) && !hasFolder(path)).map(([path]) => path);
}

/** Names of the packages where what is installed differs from the lock; empty when they agree. */
export function staleEntries(lock, installed) {
  return Object.entries(lock.packages)
    .filter(([path, wanted]) => {
      if (!path.startsWith('node_modules/')) return false;
      const found = installed.packages[path];
      if (found === undefined) return !mayBeAbsent(wanted);
      return wanted.link ? found.resolved !== wanted.resolved : found.version !== wanted.version;
    })
    .map(([path]) => path);
}

const record = 'node_modules/.package-lock.json';

function staleIn(root) {
  const read = (file) => JSON.parse(readFileSync(join(root, file), 'utf8'));
  const lock = read('package-lock.json');
  const stale = [...staleEntries(lock, read(record)), ...absentEntries(lock, (path) => existsSync(join(root, path)))];
  return existsSync(join(root, 'node_modules/.bin/node')) ? stale : [...stale, 'node_modules/.bin/node'];
}

export function packagesInPlace(root) {
  try {
    return staleIn(root).length === 0;
  } catch {
    return false;
  }
}

/**
 * Brings node_modules to what the lock file says. An older set of packages is changed in place, so that programs which run
 * from it keep running; `npm ci`, which starts from nothing, is for the first time and for when that does not help.
 */
export async function installPackages(root) {
  if (packagesInPlace(root)) return;
  await step('npm packages', async () => {
    const fix = `check the network and the disk, run \`npm ci\` in ${root}, then run the command again`;
    const npm = findCommand('npm');
    if (npm === undefined) throw new SetupError('npm is not on the PATH', 'install npm (it comes with Node), then run the command again');
    const quiet = ['--loglevel=error', '--no-audit', '--no-fund'];
    if (existsSync(join(root, record))) {
      // Without its record npm looks at the folders themselves.
      rmSync(join(root, record));
      const update = await run(npm, ['install', '--no-save', ...quiet], { cwd: root });
      if (update.status === 0 && packagesInPlace(root)) return 'updated';
    }
    const result = await run(npm, ['ci', ...quiet], { cwd: root });
    if (result.status !== 0) throw new SetupError('npm could not install the packages', fix, result.output);
    const stale = staleIn(root);
    if (stale.length > 0) throw new SetupError(`npm finished, but ${stale.slice(0, 3).join(', ')} is not as package-lock.json says`, fix, result.output);
    return /added \d+ packages/.exec(result.output)?.[0] ?? 'installed';
  });
}
