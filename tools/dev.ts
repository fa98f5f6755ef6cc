// npm run dev: after every change of a source, the types of all layers and the unit tests that the change touches.
import { spawnSync } from 'node:child_process';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { node, root } from './root.ts';

const steps = [
  ['tools/check/types.ts'],
  ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--selectProjects', 'unit', 'tools', '--onlyChanged', '--passWithNoTests'],
];
let timer: NodeJS.Timeout | undefined;

function check(): void {
  for (const step of steps) spawnSync(node, step, { cwd: root, stdio: 'inherit' });
  console.log(`watching libs, apps and tools (${new Date().toLocaleTimeString()})`);
}

for (const folder of ['libs', 'apps', 'tools']) {
  watch(join(root, folder), { recursive: true }, (_event, file) => {
    if (file === null || !/\.(ts|mjs|json)$/.test(file)) return;
    clearTimeout(timer);
    timer = setTimeout(check, 150);
  });
}
check();
