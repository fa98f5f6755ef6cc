import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeJson } from '../files.ts';
import type { LabPaths } from '../paths.ts';
import { isAlive, type ProcessIdentity } from '../system/processes.ts';

/** One long-running program of a lab, as a file in `processes/`. The file is the wish; the supervisor makes it so. */
export interface ProcessSpec {
  readonly name: string;
  readonly argv: readonly string[];
  /** Added to the supervisor's own. No secret is here: programs get the path of a file that only their owner may read. */
  readonly env: Readonly<Record<string, string>>;
  /** Network namespace by name; absent: the machine's. */
  readonly namespace?: string;
  readonly log: string;
  /** Started in this order, ended in the opposite one. */
  readonly order: number;
  readonly ready: Readiness;
  /** What a person calls it. */
  readonly title: string;
}
export type Readiness =
  | { readonly kind: 'http'; readonly url: string; /** File of its authority, where it speaks TLS. */ readonly ca?: string }
  | { readonly kind: 'nats'; readonly port: number }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'running' };

/** What the supervisor last did about a process. */
export interface ProcessState extends ProcessIdentity { readonly startedAt: string; readonly restarts: number }

const specFile = (paths: LabPaths, name: string): string => join(paths.processes, `${name}.json`);
const pidFile = (paths: LabPaths, name: string): string => join(paths.pids, `${name}.json`);

export const writeSpec = (paths: LabPaths, spec: ProcessSpec): void => writeJson(specFile(paths, spec.name), spec);
export const removeSpec = (paths: LabPaths, name: string): void => rmSync(specFile(paths, name), { force: true });
export function readSpecs(paths: LabPaths): ProcessSpec[] {
  const specs = names(paths.processes).map((name) => readJson<ProcessSpec>(specFile(paths, name))).filter((spec) => spec !== undefined);
  return specs.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
}

export const writeState = (paths: LabPaths, name: string, state: ProcessState): void => writeJson(pidFile(paths, name), state);
export const readState = (paths: LabPaths, name: string): ProcessState | undefined => readJson<ProcessState>(pidFile(paths, name));
export const removeState = (paths: LabPaths, name: string): void => rmSync(pidFile(paths, name), { force: true });

/** Every process of the lab that is alive, whoever started it, the supervisor among them. */
export function living(paths: LabPaths): { name: string; state: ProcessState }[] {
  return names(paths.pids).flatMap((name) => {
    const state = readState(paths, name);
    return state !== undefined && isAlive(state) ? [{ name, state }] : [];
  });
}
/** The supervisor's own entry among the processes. */
export const supervisorName = 'supervisor';

function names(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length)).sort();
  } catch {
    return [];
  }
}
