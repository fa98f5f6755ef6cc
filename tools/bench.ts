// npm run bench -- NAME: runs test/bench/NAME.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { node, root } from './root.ts';

const [name, ...rest] = process.argv.slice(2);
const names = globSync('test/bench/*.ts', { cwd: root }).map((file) => basename(file, '.ts'));
const file = join(root, 'test/bench', `${name}.ts`);
if (name === undefined || !/^[a-z0-9-]+$/.test(name) || !existsSync(file)) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  console.error(`bench ${name ?? '(no name)'}: not built yet in ${version}; there is ${names.length === 0 ? 'none' : names.join(', ')}`);
  process.exitCode = 2;
} else {
  process.exitCode = spawnSync(node, [file, ...rest], { cwd: root, stdio: 'inherit' }).status ?? 1;
}
