import { spawn } from 'node:child_process';
import { findWorkload, readInventory } from './inventory.ts';
import { openLab } from './lab.ts';

/** Runs a command in a workload's network namespace, with its names in the hosts file; resolves with the command's exit code. */
export function execIn(lab: string, workload: string, words: readonly string[]): Promise<number> {
  const { paths } = openLab(lab);
  const { namespace } = findWorkload(readInventory(paths), workload);
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['netns', 'exec', namespace, ...words], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128));
  });
}
