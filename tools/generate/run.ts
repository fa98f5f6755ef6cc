// Writes every derived file, or with --check says which are stale.
//
// A generator is a file `generate.ts` in `libs/*/`, `libs/*/tools/`, `apps/*/`, `apps/*/tools/` or `tools/generate/*/` that exports
//   generate(): Promise<Record<path, content>>
// with paths relative to the repository. It reads what it likes and writes nothing itself.
// `libs/dataplane/tools/check-bpf.ts` is run with --check as well: it compares the committed BPF object with its sources.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../root.ts';

export type Generated = Readonly<Record<string, string>>;
interface Generator {
  readonly generate: () => Promise<Generated>;
}

const PLACES = ['{libs,apps}/*/generate.ts', '{libs,apps}/*/tools/generate.ts', 'tools/generate/*/generate.ts'];
const BPF_CHECK = 'libs/dataplane/tools/check-bpf.ts';

export const generators = (): string[] => PLACES.flatMap((place) => globSync(place, { cwd: root })).sort();

/** Paths whose file is missing or differs from what its generator makes of today's sources. */
export function staleFiles(files: Generated, folder: string): string[] {
  const current = (path: string): string | undefined => (existsSync(join(folder, path)) ? readFileSync(join(folder, path), 'utf8') : undefined);
  return Object.entries(files).filter(([path, content]) => current(path) !== content).map(([path]) => path);
}

function write(files: Generated, paths: readonly string[]): void {
  for (const path of paths) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.tmp`, files[path] ?? '');
    renameSync(`${file}.tmp`, file);
  }
}

async function main(check: boolean): Promise<void> {
  const started = Date.now();
  const stale: string[] = [];
  let count = 0;
  for (const generator of generators()) {
    const { generate } = (await import(pathToFileURL(join(root, generator)).href)) as Generator;
    const files = await generate();
    count += Object.keys(files).length;
    const paths = staleFiles(files, root);
    if (check) stale.push(...paths.map((path) => `${path} (from ${generator})`));
    else write(files, paths);
    if (!check) for (const path of paths) console.log(`wrote ${path}`);
  }
  for (const line of stale) console.log(`stale: ${line}`);
  let failed = stale.length > 0;
  if (failed) console.log('fix: run `npm run generate` and commit the result');
  if (check && existsSync(join(root, BPF_CHECK))) {
    failed = spawnSync(process.execPath, [join(root, BPF_CHECK)], { cwd: root, stdio: 'inherit' }).status !== 0 || failed;
  }
  console.log(`generate: ${generators().length} generators, ${count} files, ${stale.length} stale (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  process.exitCode = failed ? 1 : 0;
}

if (import.meta.main) await main(process.argv.includes('--check'));
