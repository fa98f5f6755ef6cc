import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from '@osier/lab/paths';

export interface Released {
  readonly version: string;
  readonly dir: string;
  remove(): void;
}

/** Versions whose programs are kept; the newest last. */
export const releasedVersions = (): string[] => {
  const folder = join(repository, 'test/released');
  return readdirSync(folder).filter((version) => existsSync(join(folder, version, 'programs.tar.gz'))).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
};

/** The programs of a released version in a folder of their own: each imports the packages of its own version, and what is from npm as it is installed here. */
export function unpackReleased(version: string): Released {
  const dir = mkdtempSync(join(tmpdir(), `osier-${version}-`));
  execFileSync('tar', ['-xzf', join(repository, 'test/released', version, 'programs.tar.gz'), '-C', dir]);
  const [from, to] = [join(repository, 'node_modules'), join(dir, 'node_modules')];
  mkdirSync(join(to, '@osier'), { recursive: true });
  for (const entry of readdirSync(from)) if (entry !== '@osier') symlinkSync(join(from, entry), join(to, entry));
  for (const kind of ['libs', 'apps']) {
    for (const name of readdirSync(join(dir, kind))) {
      const { name: packageName } = JSON.parse(readFileSync(join(dir, kind, name, 'package.json'), 'utf8')) as { name: string };
      symlinkSync(join(dir, kind, name), join(to, packageName));
    }
  }
  return { version, dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
