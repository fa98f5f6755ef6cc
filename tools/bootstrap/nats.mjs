// nats-server: one that is new enough from the PATH, else Debian's own package for a newer release, else built with Go.
// Whatever is chosen ends as node_modules/.bin/nats-server, the one path every program of Osier starts.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NATS_DEBIAN_SUITE, NATS_GO_VERSION, NATS_MINIMUM, compareVersions } from './versions.mjs';
import { SetupError, findCommand, firstLine, run, step } from './run.mjs';

export const cacheFolder = () => process.env.OSIER_CACHE_DIR ?? '/var/cache/osier';
const linkPath = (root) => join(root, 'node_modules/.bin/nats-server');

/** Version a nats-server binary reports, when it runs and is new enough. */
export function usableVersion(file) {
  const version = /v?(\d+\.\d+\.\d+)/.exec(firstLine(file, ['--version']) ?? '')?.[1];
  return version !== undefined && compareVersions(version, NATS_MINIMUM) >= 0 ? version : undefined;
}

export const natsInPlace = (root) => existsSync(linkPath(root)) && usableVersion(linkPath(root)) !== undefined;

export async function installNats(root) {
  if (natsInPlace(root)) return;
  await step('nats-server', async () => {
    const found = existingServer();
    if (found !== undefined) return link(root, found);
    const problems = [];
    for (const way of [fromDebian, fromGo]) {
      try {
        return link(root, await way());
      } catch (error) {
        problems.push(`${error.message}${error.detail ? `\n${error.detail}` : ''}`);
      }
    }
    const fix = `put a nats-server ${NATS_MINIMUM} or newer on the PATH, then run the command again`;
    throw new SetupError(`no nats-server ${NATS_MINIMUM} or newer, and none could be installed`, fix, problems.join('\n'));
  });
}

function existingServer() {
  const cache = join(cacheFolder(), 'nats-server');
  const cached = existsSync(cache) ? readdirSync(cache).sort().reverse().map((version) => join(cache, version, 'nats-server')) : [];
  return [findCommand('nats-server'), ...cached].find((file) => file !== undefined && existsSync(file) && usableVersion(file));
}

function link(root, file) {
  const temporary = `${linkPath(root)}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  symlinkSync(file, temporary);
  renameSync(temporary, linkPath(root));
  return `${usableVersion(file)} from ${file}`;
}

/** Moves a finished binary into the cache in one rename; a second set-up that got there first wins. */
function keep(binary) {
  const version = usableVersion(binary);
  if (version === undefined) throw new SetupError(`${binary} does not run or is older than ${NATS_MINIMUM}`, '');
  const folder = join(cacheFolder(), 'nats-server', version);
  mkdirSync(folder, { recursive: true });
  chmodSync(binary, 0o755);
  renameSync(binary, join(folder, 'nats-server'));
  return join(folder, 'nats-server');
}

async function inTemporaryFolder(work) {
  mkdirSync(cacheFolder(), { recursive: true, mode: 0o755 });
  const folder = mkdtempSync(join(cacheFolder(), 'tmp-'));
  chmodSync(folder, 0o755);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The machine's own Debian mirror, from the text of its apt sources (one-line or deb822); undefined where it has none.
 * The same mirror carries every release, so a newer suite can be asked of it.
 */
export function debianMirror(sources) {
  const found = [...sources.matchAll(/^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+)/gm)].map((match) => match[1]);
  return found.find((uri) => /\/debian\/?$/.test(uri));
}

function aptSources() {
  const parts = '/etc/apt/sources.list.d';
  const files = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(parts, name)) : [];
  return ['/etc/apt/sources.list', ...files].filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8')).join('\n');
}

/** Lets apt itself fetch and verify the package, with state of its own: the machine's apt configuration is not touched. */
function fromDebian() {
  const apt = findCommand('apt-get');
  const unpack = findCommand('dpkg-deb');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  if (apt === undefined || unpack === undefined || !existsSync(keyring)) throw new SetupError('Debian package: apt or its keyring is not here', '');
  const mirror = debianMirror(aptSources());
  if (mirror === undefined) throw new SetupError('Debian package: no Debian mirror among the apt sources of this machine', '');
  return inTemporaryFolder(async (folder) => {
    for (const name of ['state/lists/partial', 'cache/archives/partial', 'parts', 'unpacked']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'status'), '');
    writeFileSync(join(folder, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${NATS_DEBIAN_SUITE} main\n`);
    const settings = {
      'Dir::State': join(folder, 'state'),
      'Dir::State::status': join(folder, 'status'),
      'Dir::Cache': join(folder, 'cache'),
      'Dir::Etc::sourcelist': join(folder, 'sources.list'),
      'Dir::Etc::sourceparts': join(folder, 'parts'),
      'Acquire::Languages': 'none',
      'Acquire::Retries': '2',
      'APT::Sandbox::User': 'root',
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    for (const command of [['update'], ['download', 'nats-server']]) {
      const result = await run(apt, [...options, ...command], { cwd: folder });
      if (result.status !== 0) throw new SetupError(`Debian package: apt-get ${command.join(' ')} failed`, '', result.output);
    }
    const archive = readdirSync(folder).find((name) => /^nats-server_.*\.deb$/.test(name));
    if (archive === undefined) throw new SetupError('Debian package: apt-get downloaded nothing', '');
    const result = await run(unpack, ['-x', join(folder, archive), join(folder, 'unpacked')]);
    if (result.status !== 0) throw new SetupError('Debian package: dpkg-deb failed', '', result.output);
    const binary = ['usr/sbin/nats-server', 'usr/bin/nats-server'].map((name) => join(folder, 'unpacked', name)).find((file) => existsSync(file));
    if (binary === undefined) throw new SetupError('Debian package: it contains no nats-server', '');
    return keep(binary);
  });
}

function fromGo() {
  const go = findCommand('go');
  if (go === undefined) throw new SetupError('Go: not on the PATH', '');
  return inTemporaryFolder(async (folder) => {
    const result = await run(go, ['install', `github.com/nats-io/nats-server/v2@v${NATS_GO_VERSION}`], {
      env: { GOBIN: folder, CGO_ENABLED: '0', GOFLAGS: '-trimpath' },
    });
    if (result.status !== 0) throw new SetupError('Go: go install failed', '', result.output);
    return keep(join(folder, 'nats-server'));
  });
}
