import { readdirSync, readFileSync } from 'node:fs';
import { identityOf, type ProcessIdentity } from './processes.ts';

/** Every program of a lab, and whatever it starts, carries this in its environment: so even one whose pid was never written down is found. */
export const memberVariable = 'OSIER_LAB_MEMBER';

/** Processes that belong to the lab in this folder; never the caller or what the caller was started by. */
export function membersOf(dir: string): ProcessIdentity[] {
  const marker = `${memberVariable}=${dir}`;
  const spared = ancestors();
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => !spared.has(pid) && read(`/proc/${pid}/environ`).split('\0').includes(marker))
    .map(identityOf).filter((identity) => identity !== undefined);
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 0 && !found.has(pid); ) {
    found.add(pid);
    const stat = read(`/proc/${pid}/stat`);
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
