// Type-checks every package under the compiler settings of its layer, then tests and tools together.
// The native compiler does it in a second or so; two run at a time.
import { execFile } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
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

/** Packages with source, and the root project with tests and tools. */
export function typeProjects(): string[] {
  const packages = globSync('{libs,apps}/*/tsconfig.json', { cwd: root }).map((file) => join(file, '..'));
  return [...packages.filter((folder) => globSync(join(root, folder, 'src/**/*.ts')).length > 0).sort(), '.'];
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
