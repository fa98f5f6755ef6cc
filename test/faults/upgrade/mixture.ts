import { execFile } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lab, tellSupervisor } from '@osier/lab/lab';
import { repository } from '@osier/lab/paths';
import { waitReady } from '@osier/lab/readiness';
import { type ProcessSpec, readSpecs, readState, writeSpec } from '@osier/lab/supervisor/spec';
import type { Released } from './released.ts';

/** Runs a command of one tree's own `osier`; what it printed, or an error with all that it said. */
export function osierOf(tree: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(join(tree, 'osier'), args, { cwd: tree, timeout: 120_000 }, (error, out, err) => (error === null ? resolve(out) : reject(new Error(`osier ${args.join(' ')} of ${tree}: ${err || error.message}`))));
  });
}

const moved = (spec: ProcessSpec, from: string, to: string): ProcessSpec => ({
  ...spec,
  argv: spec.argv.map((word) => word.replace(from, to)),
  env: Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, value.replace(from, to)])),
});
export const specOf = (lab: Lab, name: string): ProcessSpec => {
  const found = readSpecs(lab.paths).find((spec) => spec.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
};

/** Which tree a running program is from. */
export function treeOf(lab: Lab, name: string): string {
  const state = readState(lab.paths, name);
  const file = readFileSync(`/proc/${state?.pid ?? 0}/cmdline`, 'utf8').split('\0')[1] ?? '';
  return realpathSync(file).replace(/\/apps\/.*$/, '');
}

/** Ends a program in an orderly way, as an upgrade does, and lets the supervisor start the one of the other version in its place. Without `ready` it may fail. */
export async function exchange(lab: Lab, name: string, from: string, to: string, ready = true): Promise<void> {
  await tellSupervisor(lab.paths, { do: 'hold', names: [name] });
  const spec = moved(specOf(lab, name), from, to);
  writeSpec(lab.paths, spec);
  await tellSupervisor(lab.paths, { do: 'release', names: [name] });
  if (!ready) return;
  await waitReady(lab.paths, [spec], { timeoutMs: 60_000 });
  if (treeOf(lab, name) !== realpathSync(to)) throw new Error(`${name} runs from ${treeOf(lab, name)}, not from ${to}`);
}
export const upgrade = (lab: Lab, name: string, old: Released): Promise<void> => exchange(lab, name, old.dir, repository);
export const downgrade = (lab: Lab, name: string, old: Released): Promise<void> => exchange(lab, name, repository, old.dir, false);

/** What a program has logged since, as soon as it says this. */
export async function said(lab: Lab, name: string, from: number, what: RegExp): Promise<string> {
  for (const until = Date.now() + 30_000; ; await sleep(100)) {
    const text = readFileSync(lab.paths.log(name), 'utf8').slice(from);
    const found = what.exec(text)?.[0];
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(`${name} did not say ${what}: ${text.slice(-2_000)}`);
  }
}
