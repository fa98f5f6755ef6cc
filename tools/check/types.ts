// Type-checks each pure package under its own settings (no Node, no DOM), then everything, with tests and tools, in one
// program under the common ones. The native compiler does it in seconds; two run at a time.
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../root.ts';

const compiler = join(root, 'node_modules/typescript-native/bin/tsc');

/** Result of one compiler run: `output` holds the diagnostics, empty when the project is clean. */
export interface TypeCheck {
  readonly project: string;
  readonly ok: boolean;
  readonly output: string;
}

export function checkTypes(project: string): Promise<TypeCheck> {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, '--pretty', 'false', '-p', project], { cwd: root, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ project, ok: error === null, output: `${stdout}${stderr}`.trim() });
    });
  });
}

/** Packages whose compiler settings are not the common ones, and `.`, the whole repository under the common ones. */
export function typeProjects(): string[] {
  const common = '{"extends":"../../tsconfig.base.json","include":["src"]}';
  const own = globSync('{libs,apps}/*/tsconfig.json', { cwd: root }).filter((file) => readFileSync(join(root, file), 'utf8').replace(/\s/g, '') !== common);
  return ['.', ...own.map((file) => dirname(file)).sort()];
}

async function main(): Promise<void> {
  const started = Date.now();
  const queue = typeProjects();
  const count = queue.length;
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
      const result = await checkTypes(project);
      if (result.ok) continue;
      failed.push(project);
      console.log(result.output);
    }
  };
  await Promise.all([worker(), worker()]);
  console.log(`types: ${count} projects, ${failed.length} with errors ${failed.join(' ')} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

if (!existsSync(compiler)) throw new Error('the compiler is not installed: run npm ci');
if (import.meta.main) await main();
