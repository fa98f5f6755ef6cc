/** Which network namespaces may be given to a workload: any that a runtime has put in its place, but never the node's or the agent's own. */
import { fstatSync, lstatSync, readlinkSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { KernelError } from './kernel.ts';
import { closeFd, openNetns } from './libc.ts';

/** A namespace is its inode: two paths with the same device and inode number are one (ioctl_ns(2)). */
export interface NamespaceId { readonly dev: number; readonly ino: number }
const ownPath = '/proc/self/ns/net';

/** Namespaces that no workload may have: the node's (`netnsPath`, or this process's) and this process's own. */
export const reservedNamespaces = (netnsPath: string | undefined): NamespaceId[] => [...new Set([ownPath, netnsPath ?? ownPath])].map((path) => statSync(path));

/** The kernel's own links to a process's namespace. */
const ofProcess = /^\/proc\/\d+\/(task\/\d+\/)?ns\/net$/;

const notAllowed = (reason: string, path: string): KernelError =>
  new KernelError('namespace-not-allowed', reason, path, 'Name the network namespace of the workload\'s own container.');

/** `.` and `..` would be another folder, and a link is followed once, where root or this process has made it. */
function checkPath(path: string): void {
  if (path !== resolve(path)) throw notAllowed('this path leads out of the folder of namespaces', path);
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (!entry?.isSymbolicLink() || ofProcess.test(path)) return;
  if (entry.uid !== 0 && entry.uid !== process.geteuid?.()) throw notAllowed('this link was made by another user', path);
  const target = resolve(path, '..', readlinkSync(path));
  if (!ofProcess.test(target) && lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink()) throw notAllowed('this link leads to another link', path);
}

/**
 * Opens a workload's namespace; close it with closeFd. What was looked at is what was opened: use the descriptor, not the path again.
 * `reserved`: those that no workload may have.
 */
export function openWorkloadNetns(path: string, reserved: readonly NamespaceId[]): number {
  checkPath(path);
  const fd = openNetns(path);
  try {
    const opened = fstatSync(fd);
    if (reserved.some(({ dev, ino }) => dev === opened.dev && ino === opened.ino)) throw notAllowed('this is the network namespace of the node or of its agent', path);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}
