import { existsSync, rmSync } from 'node:fs';
import { openKernel, pinFolders } from '@osier/dataplane/kernel/open';

/**
 * Removes all that an agent leaves in the kernel so that traffic does not depend on it: devices with their programs, then the pins, and
 * with them the maps. Stop the agent first.
 */
export function cleanup(o: { OSIER_PIN_DIR: string; OSIER_NODE_NETNS?: string | undefined }): void {
  const pins = pinFolders(o.OSIER_PIN_DIR);
  if (!pins.some((folder) => existsSync(folder))) return;
  const netns = o.OSIER_NODE_NETNS;
  // Devices go with their namespace; without it, those of this process's own would be somebody else's.
  if (netns === undefined || existsSync(netns)) removeDevices(o.OSIER_PIN_DIR, netns);
  for (const folder of pins) rmSync(folder, { recursive: true, force: true });
}

function removeDevices(pinDir: string, netnsPath: string | undefined): void {
  const kernel = openKernel({ pinDir, ...(netnsPath === undefined ? {} : { netnsPath }) });
  try {
    for (const { name } of kernel.links.list()) kernel.links.removeVeth(name);
  } finally {
    kernel.close();
  }
}
