import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A folder where files lie for a while, made if need be; what an earlier life of this process left there is removed. */
export function cleared(folder: string, left: RegExp): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const entry of readdirSync(folder)) if (left.test(entry)) rmSync(join(folder, entry), { recursive: true, force: true });
  return folder;
}
