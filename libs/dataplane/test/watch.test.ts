/** The kernel's own word about devices: whatever the read-back would show is told, and what does not concern us is not. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Kernel } from '../src/kernel/kernel.ts';
import { ensureBpffs, openKernel } from '../src/kernel/open.ts';
import { DeviceWatch } from '../src/witness/witness.ts';

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });
const folder = mkdtempSync(join(tmpdir(), 'osier-watch-'));
const pinDir = join(folder, 'bpf');
const [here, workload] = ['n', 'w'].map((role) => `dpw${process.pid}${role}`) as [string, string];
const veth = (last: number) => ({
  hostName: `osrwatch${last}`, netnsPath: `/run/netns/${workload}`, peerName: `eth${last}`, mtu: 1450, mac: Uint8Array.of(2, 0, 0, 0, 0, last),
  address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, last),
});
let kernel: Kernel;
let watch: DeviceWatch;

beforeAll(() => {
  for (const name of [here, workload]) run('ip', 'netns', 'add', name);
  ensureBpffs(pinDir);
  kernel = openKernel({ pinDir, netnsPath: `/run/netns/${here}`, sizes: { conntrack: 64 } });
  kernel.links.ensureVxlan({ name: 'osrwvx', port: 4789, mtu: 1450 });
  kernel.links.ensureVeth(veth(1));
  watch = new DeviceWatch({ pinDir, netnsPath: `/run/netns/${here}` });
});
afterAll(() => {
  watch.close();
  kernel.close();
  for (const name of [here, workload]) run('ip', 'netns', 'del', name);
  run('umount', pinDir);
  rmSync(folder, { recursive: true });
});

/** A device that comes up is told of a second time, some time after. */
async function quiet(): Promise<void> {
  for (let still = 0; still < 3; still++) {
    if (watch.changed()) still = -1;
    watch.readBack();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const there = (command: string) => run('ip', ...['netns', 'exec', here, ...command.split(' ')]);

it('changed is what nobody has looked at', () => {
  expect(watch.changed()).toBe(true);
  watch.readBack();
});

it.each<[string, () => unknown, boolean]>([
  ['nothing', () => undefined, false],
  ['tables', () => kernel.rules.remove([1]), false],
  ['a device of somebody else', () => (there('ip link add other type veth peer name another'), there('tc qdisc add dev other clsact'), there('ip link del other')), false],
  ['a device that is down', () => there('ip link set osrwatch1 down'), true],
  ['a device that is up again', () => kernel.links.activateVeth('osrwatch1'), true],
  ['another MTU', () => there('ip link set osrwatch1 mtu 1400'), true],
  ['a program that is taken off one side', () => there('tc filter del dev osrwatch1 egress'), true],
  ['the programs of a device put on again', () => kernel.links.ensureVeth(veth(1)), true],
  ['a filter beside ours', () => run('ip', 'netns', 'exec', here, ...'tc filter add dev osrwatch1 ingress pref 2 protocol all bpf da bytecode'.split(' '), '1,6 0 0 0'), true],
  ['all filters of a device gone with their queue', () => there('tc qdisc del dev osrwatch1 clsact'), true],
  ['a new device', () => kernel.links.prepareVeth(veth(2)), true],
  ['a device that has gone', () => kernel.links.removeVeth('osrwatch2'), true],
  ['a device whose other side has gone', () => run('ip', '-n', workload, 'link', 'del', 'eth1'), true],
  ['another name', () => there('ip link set osrwvx down name wvx'), true],
])('%s: is told, or not', async (_name, happens, told) => {
  await quiet();
  happens();
  expect(watch.changed()).toBe(told);
  // Until somebody looks.
  expect(watch.changed()).toBe(told);
  watch.readBack();
});
