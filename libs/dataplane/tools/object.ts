/** Where the sources, the committed object and its provenance are, and how the object is built. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const LIBRARY = join(import.meta.dirname, '..');
export const OBJECT = join(LIBRARY, 'bpf/osier.bpf.o');
export const PROVENANCE = join(LIBRARY, 'bpf/osier.bpf.o.json');
export const RECORDS = join(LIBRARY, 'src/records.gen.ts');

export interface Provenance {
  /** File name in bpf/ → sha256. */
  sources: Record<string, string>;
  object: string;
  clang: string;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function sourceHashes(library: string = LIBRARY): Record<string, string> {
  const folder = join(library, 'bpf');
  const names = readdirSync(folder).filter((name) => /\.[ch]$/.test(name)).sort();
  return Object.fromEntries(names.map((name) => [name, sha256(readFileSync(join(folder, name)))]));
}

/** Compiles `bpf/osier.bpf.c` of a library folder. Only BTF is kept of the debug information, and no path of this machine. */
export function compile(library: string, output: string, clang: string): void {
  const multiarch = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const flags = ['-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wall', '-Werror', '-fdebug-compilation-dir=.', '-I', `/usr/include/${multiarch}`];
  execFileSync(clang, [...flags, '-c', 'bpf/osier.bpf.c', '-o', output], { cwd: library, stdio: ['ignore', 'inherit', 'inherit'] });
  execFileSync(clang.replace('clang', 'llvm-strip'), ['-g', output], { stdio: 'inherit' });
}

export function clangVersion(clang: string): string {
  return execFileSync(clang, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}
