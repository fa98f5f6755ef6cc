// What a test run may leave behind: processes, network namespaces, mounts. Anything left counts as a failed test.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

/** Every process started by a run carries the run's id in its environment under this name. */
export const RUN_VARIABLE = 'OSIER_TEST_RUN';

export interface Machine {
  readonly namespaces: readonly string[];
  readonly mounts: readonly string[];
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};

/** Mounts that come and go with the machine itself. */
const FOREIGN_MOUNTS = /^\/run\/(netns|user|credentials|systemd)\b|^\/var\/lib\/(docker|containerd)\b/;

/** All named network namespaces and mounts: what a run adds and does not take away is its leftover, whatever its name. */
export function lookAround(): Machine {
  const folder = '/run/netns';
  const namespaces = existsSync(folder) ? readdirSync(folder) : [];
  const points = read('/proc/self/mountinfo').split('\n').flatMap((line) => line.split(' ')[4] ?? []);
  return { namespaces, mounts: points.filter((point) => !FOREIGN_MOUNTS.test(point)) };
}

const processIds = (): number[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
const commandLine = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();

/** Processes of this run, apart from the runner itself; `run` is the value of RUN_VARIABLE. */
export function processesOf(run: string): string[] {
  const marker = `${RUN_VARIABLE}=${run}`;
  return processIds()
    .filter((pid) => pid !== process.pid && read(`/proc/${pid}/environ`).split('\0').includes(marker))
    .map((pid) => ({ pid, command: commandLine(pid) }))
    .filter(({ command }) => command !== '')
    .map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`);
}

/**
 * True when an Osier or a test that this run did not start is running on this machine: the namespaces and mounts it adds
 * cannot be told from leftovers.
 */
export function othersRunning(run: string): boolean {
  const ours = /\/?apps\/(lab|node-agent|topology)\/src\/|\/jest\/bin\/jest\.js|\/jest-worker\//;
  return processIds().some((pid) => {
    if (pid === process.pid) return false;
    const marks = read(`/proc/${pid}/environ`).split('\0').filter((entry) => entry.startsWith(`${RUN_VARIABLE}=`));
    return !marks.includes(`${RUN_VARIABLE}=${run}`) && (marks.length > 0 || ours.test(commandLine(pid)));
  });
}

function heldByProcesses(namespace: string): boolean {
  return spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).stdout?.trim() !== '';
}

/** What is here now and was not here before, as lines to print. */
export function newSince(before: Machine, now: Machine): string[] {
  const fresh = (list: readonly string[], old: readonly string[]): string[] => list.filter((item) => !old.includes(item));
  return [
    ...fresh(now.namespaces, before.namespaces).map((name) => `network namespace ${name}${heldByProcesses(name) ? ' (with processes)' : ''}`),
    ...fresh(now.mounts, before.mounts).map((point) => `mount ${point}`),
  ];
}

/**
 * Leftovers of a run, after giving stopping programs a few seconds. `unjudged` holds namespaces and mounts
 * that may belong to another Osier on this machine.
 */
export async function leftovers(run: string, before: Machine, patience = 5_000): Promise<{ left: string[]; unjudged: string[] }> {
  const deadline = Date.now() + patience;
  for (;;) {
    const processes = processesOf(run);
    const things = newSince(before, lookAround());
    if (processes.length + things.length === 0 || Date.now() > deadline) {
      return othersRunning(run) ? { left: processes, unjudged: things } : { left: [...processes, ...things], unjudged: [] };
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
