import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { withLock } from './lock.ts';
import { checkLabName } from './names.ts';
import { labPaths, labsFolder } from './paths.ts';
import { living, supervisorName } from './supervisor/spec.ts';
import { unmountUnder } from './system/bpffs.ts';
import { membersOf } from './system/members.ts';
import { namespacesOf, removeNamespaces } from './system/namespaces.ts';
import { end, type ProcessIdentity } from './system/processes.ts';

/** What was there and is gone; all zero when there was nothing. */
export interface Removed { readonly processes: number; readonly namespaces: number; readonly folder: boolean }

/** Removes everything of a lab, also of one that was killed or is half made. May be repeated. */
export async function labDown(name: string): Promise<Removed> {
  const paths = labPaths(checkLabName(name));
  if (!existsSync(labsFolder) && namespacesOf(name).length === 0) return { processes: 0, namespaces: 0, folder: false };
  const removed = await withLock(paths.dir, 'ending it', async () => {
    const processes = await endPrograms(paths);
    const namespaces = namespacesOf(name).length;
    await removeNamespaces(name);
    await unmountUnder(paths.bpf);
    const folder = existsSync(paths.dir);
    rmSync(paths.dir, { recursive: true, force: true });
    return { processes, namespaces, folder };
  });
  if (existsSync(labsFolder) && readdirSync(labsFolder).length === 0) rmdirSync(labsFolder);
  return removed;
}

/** The supervisor first: it would start the others again. */
async function endPrograms(paths: ReturnType<typeof labPaths>): Promise<number> {
  const known = living(paths);
  const supervisor = known.filter(({ name }) => name === supervisorName).map(({ state }) => state);
  await end(supervisor, 2_000);
  const all = new Map<number, ProcessIdentity>([...known.map(({ state }) => state), ...membersOf(paths.dir)].map((identity) => [identity.pid, identity]));
  for (const { pid } of supervisor) all.delete(pid);
  await end([...all.values()], 4_000);
  return all.size + supervisor.length;
}
