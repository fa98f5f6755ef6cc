import { mkdirSync, readFileSync } from 'node:fs';
import { run, tryRun } from './run.ts';

/** Mount points in the order in which they were mounted. */
const mountPoints = (): string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map((line) => line.split(' ')[4] ?? '');

/** A BPF file system of the lab's own, in which the agents keep their programs and maps while no agent runs. */
export async function mountBpffs(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!mountPoints().includes(folder)) await run('mount', ['-t', 'bpf', '-o', 'mode=0700', 'bpf', folder]);
}

/** Whatever is mounted at the folder or under it, innermost first. */
export async function unmountUnder(folder: string): Promise<void> {
  const points = mountPoints().filter((point) => point === folder || point.startsWith(`${folder}/`)).reverse();
  for (const point of points) if ((await tryRun('umount', [point])).code !== 0) await run('umount', ['-l', point]);
}
