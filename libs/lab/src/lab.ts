import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type Client, labClient } from './client.ts';
import { readJson } from './files.ts';
import { checkLabName, LabError, upCommand } from './names.ts';
import { labPaths, type LabPaths } from './paths.ts';
import { authorityOf } from './certificates.ts';
import { apiUrl } from './programs.ts';
import { labsOnThisMachine, type LabRecord, readRecord } from './record.ts';
import { askLine } from './line-socket.ts';
import { type ProcessState, readState, supervisorName } from './supervisor/spec.ts';
import type { ProcessView } from './supervisor/supervise.ts';
import { isAlive } from './system/processes.ts';

/** Where the HTTP door of a lab is and how to enter it; the command line reads the same file. */
export interface ClientFile { readonly server: string; readonly token: string; readonly ca?: string; readonly defaults: { readonly domain: string; readonly project: string } }

/** A lab that is there. */
export interface Lab { readonly paths: LabPaths; readonly record: LabRecord; readonly client: Client }

export function openLab(name: string): Lab {
  const paths = labPaths(checkLabName(name));
  const record = readRecord(paths);
  const file = readJson<ClientFile>(paths.client);
  if (record === undefined || file === undefined) throw noLab(name);
  return { paths, record, client: labClient({ server: apiUrl(record), token: file.token, ca: authorityOf(paths, record) }) };
}

function noLab(name: string): LabError {
  const others = labsOnThisMachine().map((record) => record.name).filter((other) => other !== name);
  const hint = others.length > 0 ? ` (running: ${others.join(', ')}; choose one with --name)` : '';
  return new LabError(`there is no running lab "${name}"`, `Start it: ${upCommand(name)}${hint}`);
}

export function runningSupervisor(paths: LabPaths): ProcessState | undefined {
  const state = readState(paths, supervisorName);
  return state !== undefined && isAlive(state) ? state : undefined;
}

/** Tells the supervisor something; answers with what every program is doing. */
export async function tellSupervisor(paths: LabPaths, what: { do: 'sync' | 'status' } | { do: 'hold' | 'release'; names: readonly string[]; signal?: 'SIGKILL' }): Promise<ProcessView[]> {
  try {
    return await askLine<ProcessView[]>(paths.supervisorSocket, what);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    const what = existsSync(paths.dir) ? 'the supervisor of this lab does not run' : 'there is no such lab';
    throw new LabError(what, `Run \`${upCommand(basename(paths.dir))}\`: it repairs what is there.`);
  }
}
