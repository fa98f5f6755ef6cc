// Writes every derived file, or with --check says which are stale.
//
// A generator is a file `generate.ts` in `libs/*/`, `libs/*/tools/`, `apps/*/`, `apps/*/tools/` or `tools/generate/*/` that exports
//   generate(): Promise<Record<path, content>>
// with paths relative to the repository. It reads what it likes and writes nothing itself.
// The records of the dataplane are the exception: they come with the BPF object, which needs clang to build.
// `libs/dataplane/tools/check-bpf.ts` says whether the committed object and records are those of the sources.
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
const EXCEPT = ['libs/dataplane/tools/generate.ts'];
const BPF_CHECK = 'libs/dataplane/tools/check-bpf.ts';

export const generators = (): string[] => PLACES.flatMap((place) => globSync(place, { cwd: root })).filter((file) => !EXCEPT.includes(file)).sort();

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

/** Runs one generator; the answer says what it made, what was stale, or why it could not run. */
async function runOne(generator: string, check: boolean): Promise<{ count: number; stale: string[]; error?: string }> {
  try {
    const { generate } = (await import(pathToFileURL(join(root, generator)).href)) as Generator;
    const files = await generate();
    const stale = staleFiles(files, root);
    if (!check) write(files, stale);
    return { count: Object.keys(files).length, stale };
  } catch (error) {
    return { count: 0, stale: [], error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function main(check: boolean): Promise<void> {
  const started = Date.now();
  let count = 0;
  let stale = 0;
  let failed = false;
  for (const generator of generators()) {
    const result = await runOne(generator, check);
    count += result.count;
    stale += result.stale.length;
    if (result.error !== undefined) console.log(`${generator} failed: ${result.error}`);
    for (const path of result.stale) console.log(check ? `stale: ${path} (from ${generator})` : `wrote ${path}`);
    failed ||= result.error !== undefined || (check && result.stale.length > 0);
  }
  if (check && stale > 0) console.log('fix: run `npm run generate` and commit the result');
  if (check && existsSync(join(root, BPF_CHECK))) {
    failed = spawnSync(process.execPath, [join(root, BPF_CHECK)], { cwd: root, stdio: 'inherit' }).status !== 0 || failed;
  }
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`generate: ${generators().length} generators, ${count} files, ${stale} ${check ? 'stale' : 'written'} (${seconds} s)`);
  process.exitCode = failed ? 1 : 0;
}

if (import.meta.main) await main(process.argv.includes('--check'));
