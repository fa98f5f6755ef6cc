import { hash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { type Kernel, KernelError, LINK_PREFIX } from '@osier/dataplane/kernel';
import { mapped16 } from '@osier/domain/net/ipv4';
import type { LocalEndpoint, NodeProgram, Pending } from '@osier/domain/reconcile/program';
import { macBytes } from './records.ts';

/** Bytes that VXLAN over IPv4 adds: outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const overlayBytes = 50;
export const vxlanName = `${LINK_PREFIX}vxlan`;

/** A device name has 15 characters; 48 bits of the endpoint's id are enough to tell one node's endpoints apart. */
export const hostNameOf = (endpointId: string): string => `${LINK_PREFIX}${hash('sha256', endpointId, 'hex').slice(0, 12)}`;

/** A container's entry in the folder, and nothing beside or above it, whatever the contract lets through. */
function namespaceOf(folder: string, containerId: string): string {
  const path = join(folder, containerId);
  if (basename(containerId) === containerId && dirname(path) === resolve(folder)) return path;
  throw new KernelError('namespace-not-allowed', `"${containerId}" is not the name of a namespace in ${folder}`, path, 'Name the network namespace of the workload\'s own container.');
}

export interface DeviceOptions {
  /** Where the network namespaces of workloads are, by container id. */
  readonly netnsDir: string;
  readonly underlayMtu: number;
  readonly underlayDevice: string | undefined;
  readonly vxlanPort: number;
}

export interface Devices {
  /** The one overlay device; repairs it and its program. */
  ensureOverlay(): void;
  /**
   * Removes the devices of endpoints that are gone, then makes a device for each endpoint, still down where it is new. What could not
   * be made is told in `pending` and left out. `thorough`: also go over devices that are there already (their programs, their other side).
   */
  prepare(program: NodeProgram, thorough: boolean): { ifindexes: Map<string, number>; pending: Pending[] };
  /** Whether one of these endpoints has come or gone, or needs another device than was made for it. */
  touchedBy(program: NodeProgram, endpoints: ReadonlySet<string>): boolean;
  /** Brings up what was prepared. Call it when the kernel's tables know the endpoints. */
  activate(program: NodeProgram): void;
  /** Names of devices that should be up and are not there or are down. */
  missing(program: NodeProgram, ifindexes: ReadonlyMap<string, number>): string[];
}

export function createDevices(kernel: Kernel, o: DeviceOptions): Devices {
  const mtu = o.underlayMtu - overlayBytes;
  /** What this process has gone over, by host name: the options as text. */
  const prepared = new Map<string, string>();
  /** The same by endpoint, in short. */
  const made = new Map<string, string>();
  const inShort = (e: LocalEndpoint): string => `${e.containerId} ${e.interface} ${e.mac} ${e.address}`;
  const optionsOf = (e: LocalEndpoint) => ({
    hostName: hostNameOf(e.id), netnsPath: namespaceOf(o.netnsDir, e.containerId), peerName: e.interface, mtu, mac: macBytes(e.mac), address: mapped16(e.address),
  });
  const veths = () => new Map(kernel.links.list().filter((l) => l.kind === 'veth').map((l) => [l.name, l]));
  return {
    ensureOverlay: () => void kernel.links.ensureVxlan({ name: vxlanName, port: o.vxlanPort, mtu, ...(o.underlayDevice === undefined ? {} : { device: o.underlayDevice }) }),
    prepare(program, thorough) {
      const there = veths();
      const wanted = new Set(program.endpoints.map((e) => hostNameOf(e.id)));
      for (const name of there.keys()) if (!wanted.has(name)) kernel.links.removeVeth(name);
      for (const name of prepared.keys()) if (!wanted.has(name) || !there.has(name)) prepared.delete(name);
      const ifindexes = new Map<string, number>();
      const pending: Pending[] = [];
      made.clear();
      for (const e of program.endpoints) {
        const hostName = hostNameOf(e.id);
        try {
          const options = optionsOf(e);
          const [known, text] = [there.get(hostName), JSON.stringify(options)];
          const ifindex = known && !thorough && prepared.get(hostName) === text ? known.ifindex : kernel.links.prepareVeth(options);
          prepared.set(hostName, text);
          ifindexes.set(e.id, ifindex);
          made.set(e.id, inShort(e));
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          prepared.delete(hostName);
          pending.push({ kind: 'endpoint', id: e.id, path: e.path, code: error.code, reason: `${error.reason} (${error.path}).` });
        }
      }
      return { ifindexes, pending };
    },
    touchedBy(program, endpoints) {
      if (endpoints.size === 0) return false;
      const there = new Map(program.endpoints.map((e) => [e.id, e]));
      return [...endpoints].some((id) => {
        const e = there.get(id);
        return made.get(id) !== (e && inShort(e));
      });
    },
    activate(program) {
      const there = veths();
      for (const e of program.endpoints) {
        const link = there.get(hostNameOf(e.id));
        if (link && !link.up && prepared.has(link.name)) kernel.links.activateVeth(link.name);
      }
    },
    missing(program, ifindexes) {
      const there = veths();
      return program.endpoints.filter((e) => ifindexes.has(e.id)).flatMap((e) => {
        const link = there.get(hostNameOf(e.id));
        return link?.up && link.ifindex === ifindexes.get(e.id) ? [] : [`device ${hostNameOf(e.id)} of ${e.path}`];
      });
    },
  };
}
