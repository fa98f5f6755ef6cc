import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { belongsTo } from '../names.ts';
import { end, identityOf } from './processes.ts';
import { run, tryRun } from './run.ts';

/** `ip netns` keeps namespaces here by name, and puts the files of `/etc/netns/<name>` over those of `/etc` for what runs in one (ip-netns(8)). */
export const namespacesFolder = '/run/netns';
const filesFolder = '/etc/netns';

export const namespaceExists = (name: string): boolean => existsSync(join(namespacesFolder, name));
const under = (folder: string, lab: string): string[] => (existsSync(folder) ? readdirSync(folder) : []).filter((name) => belongsTo(lab, name)).sort();
export const namespacesOf = (lab: string): string[] => under(namespacesFolder, lab);

/** Makes what is missing of these, each with its loopback device up. Two at once trip over the first set-up of the folder, hence one batch. */
export async function makeNamespaces(names: readonly string[]): Promise<void> {
  const missing = names.filter((name) => !namespaceExists(name));
  if (missing.length === 0) return;
  await run('ip', ['-batch', '-'], missing.map((name) => `netns add ${name}\n`).join(''));
  for (const name of missing) await inNamespace(name, ['link set lo up']);
}

/** Commands of `ip`, one per line, inside a namespace. */
export async function inNamespace(name: string, commands: readonly string[]): Promise<void> {
  await run('ip', ['-n', name, '-batch', '-'], commands.map((line) => `${line}\n`).join(''));
}

/** The hosts file that programs in this namespace see. */
export function writeHosts(namespace: string, hosts: ReadonlyMap<string, string>): void {
  const lines = ['127.0.0.1 localhost', ...[...hosts].map(([name, address]) => `${address} ${name}`)];
  mkdirSync(join(filesFolder, namespace), { recursive: true });
  writeFileSync(join(filesFolder, namespace, 'hosts'), `${lines.join('\n')}\n`);
}

/** Ends what runs in the lab's namespaces, whoever started it there, and removes them. Also what a killed run left half made. */
export async function removeNamespaces(lab: string): Promise<void> {
  const names = namespacesOf(lab);
  const pids = await Promise.all(names.map(async (name) => (await tryRun('ip', ['netns', 'pids', name])).stdout.split('\n').filter(Boolean).map(Number)));
  await end(pids.flat().map(identityOf).filter((identity) => identity !== undefined), 0);
  for (const name of names) await removeNamespace(name);
  for (const name of under(filesFolder, lab)) rmSync(join(filesFolder, name), { recursive: true, force: true });
}

async function removeNamespace(name: string): Promise<void> {
  const removed = await tryRun('ip', ['netns', 'delete', name]);
  // A killed `ip netns add` can leave the file without a namespace mounted on it.
  if (removed.code !== 0) rmSync(join(namespacesFolder, name), { force: true });
  rmSync(join(filesFolder, name), { recursive: true, force: true });
}
export async function removeWorkloadNamespace(name: string): Promise<void> {
  if (namespaceExists(name)) await removeNamespace(name);
}
