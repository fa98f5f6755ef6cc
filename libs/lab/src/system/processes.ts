import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process beyond doubt: the kernel gives a pid to another process some day, but not with the same start time (proc_pid_stat(5), field 22). */
export interface ProcessIdentity { readonly pid: number; readonly startTime: string }

/** Undefined when there is no such process, or only its zombie is left. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    return state === 'Z' || state === 'X' || startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

export const isAlive = (process: ProcessIdentity): boolean => identityOf(process.pid)?.startTime === process.startTime;

export const self = (): ProcessIdentity => {
  const identity = identityOf(process.pid);
  if (identity === undefined) throw new Error('/proc does not show this process: is /proc mounted?');
  return identity;
};

/** Returns false when it was gone already. */
export function signal(target: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Asks all of them to end, and after `graceMs` makes those that have not. Returns when none is left. */
export async function end(targets: readonly ProcessIdentity[], graceMs: number): Promise<void> {
  for (const target of targets) signal(target, 'SIGTERM');
  for (const until = Date.now() + graceMs; targets.some(isAlive) && Date.now() < until; ) await sleep(20);
  for (const target of targets) signal(target, 'SIGKILL');
  for (const until = Date.now() + 10_000; targets.some(isAlive); await sleep(20)) {
    if (Date.now() > until) throw new Error(`process ${targets.filter(isAlive).map((t) => t.pid).join(', ')} does not end, not even by SIGKILL`);
  }
}
