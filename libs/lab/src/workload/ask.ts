import type { LabPaths } from '../paths.ts';
import { LabError } from '../names.ts';
import { askLine } from '../line-socket.ts';
import type { WorkloadAnswers } from './protocol.ts';

/** Asks a workload's own process; it acts from inside its namespace. */
export async function askWorkload<D extends keyof WorkloadAnswers>(
  paths: LabPaths, path: string, what: D, more: Readonly<Record<string, unknown>> = {}, timeoutMs = 60_000,
): Promise<WorkloadAnswers[D]> {
  try {
    return await askLine<WorkloadAnswers[D]>(paths.workloadSocket(path), { do: what, ...more }, timeoutMs);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    throw new LabError(`the process of workload ${path} does not run`, `Look into ${paths.logs} for what it said.`);
  }
}
