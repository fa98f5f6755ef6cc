import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readJson } from './files.ts';
import { LabError } from './names.ts';
import { isAlive, type ProcessIdentity, self } from './system/processes.ts';

interface Holder extends ProcessIdentity { readonly doing: string; readonly since: string }

/**
 * One change of a lab at a time. The lock lies beside the lab's folder, since `down` removes that. A holder that was killed holds nothing.
 * The holder itself may enter again: Ctrl-C takes down what the same process was bringing up.
 */
export async function withLock<T>(labDir: string, doing: string, work: () => Promise<T>): Promise<T> {
  const file = `${labDir}.lock`;
  const me = self();
  const holder = take(file, { ...me, doing, since: new Date().toISOString() });
  if (holder !== undefined && holder.pid !== me.pid) {
    throw new LabError(`the lab is busy: process ${holder.pid} is ${holder.doing} since ${holder.since}`, `Wait for it, end it (kill ${holder.pid}), or choose another name (--name lab2).`);
  }
  try {
    return await work();
  } finally {
    if (holder === undefined) rmSync(file, { force: true });
  }
}

/** Returns who has it, or nothing when it is ours now. */
function take(file: string, me: Holder): Holder | undefined {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const mine = join(dirname(file), `.${me.pid}.lock.tmp`);
  writeFileSync(mine, JSON.stringify(me));
  try {
    for (;;) {
      try {
        // A link, unlike a file opened with O_EXCL, is never seen without its content.
        linkSync(mine, file);
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readJson<Holder>(file);
      if (holder !== undefined && isAlive(holder)) return holder;
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}
