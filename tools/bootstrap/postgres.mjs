// PostgreSQL, for tests: the machine's own if it has one, else Debian's package unpacked beside the system. It is not installed, since
// installing makes a database cluster and a running service that would outlive the tests.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './nats.mjs';
import { POSTGRES_PACKAGE } from './versions.mjs';
import { SetupError, findCommand, run, step } from './run.mjs';

const unpackedTo = () => join(cacheFolder(), 'postgresql');
/** Folders of initdb below a root of the file system: /usr/lib/postgresql/<version>/bin. */
function programsIn(root) {
  const folder = join(root, 'usr/lib/postgresql');
  const folders = existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version, 'bin')) : [];
  return folders.filter((bin) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(join(bin, name))));
}
export const postgresInPlace = () => Boolean(process.env.OSIER_POSTGRES_BIN) || programsIn('/').length > 0 || programsIn(unpackedTo()).length > 0;

/** Not needed to run it, and large: the compiler for its just-in-time compilation, which the tests turn off, and its helpers in Perl. */
const LEFT_OUT = /^(libllvm|libz3|perl|libperl|postgresql-common|postgresql_|ssl-cert|sysstat|libjson-perl)/;

export async function installPostgres() {
  if (postgresInPlace()) return;
  await step('PostgreSQL, for tests', async () => {
    const fix = 'install PostgreSQL 14 or newer yourself, or set OSIER_POSTGRES_BIN to the folder of its initdb, then run the command again';
    const apt = findCommand('apt-get');
    const unpack = findCommand('dpkg-deb');
    if (apt === undefined || unpack === undefined) throw new SetupError('no PostgreSQL, and this machine has no apt', fix);
    mkdirSync(cacheFolder(), { recursive: true, mode: 0o755 });
    const folder = mkdtempSync(join(cacheFolder(), 'tmp-'));
    try {
      chmodSync(folder, 0o755);
      for (const name of ['archives/partial', 'unpacked']) mkdirSync(join(folder, name), { recursive: true });
      // Apt finds out what this machine lacks, fetches and verifies it, and installs nothing.
      const download = () => run(apt, ['-y', '-o', `Dir::Cache::archives=${join(folder, 'archives')}`, '-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1', 'install', '--download-only', '--no-install-recommends', POSTGRES_PACKAGE]);
      let result = await download();
      if (result.status !== 0) {
        const update = await run(apt, ['-o', 'DPkg::Lock::Timeout=120', 'update']);
        result = await download();
        if (result.status !== 0) throw new SetupError('apt could not fetch PostgreSQL', fix, update.output + result.output);
      }
      const packages = readdirSync(join(folder, 'archives')).filter((name) => name.endsWith('.deb') && !LEFT_OUT.test(name));
      for (const name of packages) {
        const unpacked = await run(unpack, ['-x', join(folder, 'archives', name), join(folder, 'unpacked')]);
        if (unpacked.status !== 0) throw new SetupError(`dpkg-deb could not unpack ${name}`, fix, unpacked.output);
      }
      if (programsIn(join(folder, 'unpacked')).length === 0) throw new SetupError('the packages that apt fetched hold no PostgreSQL', fix, packages.join(' '));
      rmSync(unpackedTo(), { recursive: true, force: true });
      renameSync(join(folder, 'unpacked'), unpackedTo());
      return `unpacked to ${unpackedTo()}`;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
