/** The real devices of a node. */
import { checkDeviceName, checkVeth, checkVxlan } from './checks.ts';
import { KernelError, LINK_PREFIX, type LinkInfo, type Links, type VethOptions, type VxlanOptions } from './kernel.ts';
import { closeFd } from './libc.ts';
import { type NamespaceId, openWorkloadNetns, reservedNamespaces } from './namespace.ts';
import { Netlink, NetlinkError } from './netlink.ts';
import * as rt from './rtnetlink.ts';

export interface ProgramFds {
  fromEndpoint: number;
  toEndpoint: number;
  fromVxlan: number;
}

const GATEWAY = Uint8Array.of(169, 254, 1, 1);
const LOOPBACK = 1;

export class KernelLinks implements Links {
  readonly #netlink: Netlink;
  readonly #programs: ProgramFds;
  readonly #onVxlan: (ifindex: number) => void;
  readonly #enter: () => void;
  readonly #reserved: readonly NamespaceId[];

  constructor(netnsPath: string | undefined, programs: ProgramFds, onVxlan: (ifindex: number) => void, enter: () => void) {
    this.#netlink = new Netlink(netnsPath);
    this.#programs = programs;
    this.#onVxlan = onVxlan;
    this.#enter = enter;
    this.#reserved = reservedNamespaces(netnsPath);
  }

  /** Puts the present programs in place of the former process's on every device of ours. */
  replacePrograms(): void {
    for (const device of this.#ours()) this.#attach(device);
  }

  ensureVxlan(options: VxlanOptions): number {
    checkVxlan(options);
    return this.#explain(options.name, () => {
      let device = rt.findDevice(this.#netlink, options.name);
      if (device && (device.kind !== 'vxlan' || device.port !== options.port)) {
        rt.deleteDevice(this.#netlink, device.ifindex);
        device = undefined;
      }
      if (!device) {
        const underlay = options.device === undefined ? undefined : this.#require(options.device).ifindex;
        rt.createVxlan(this.#netlink, options.name, options.port, options.mtu, underlay);
        device = this.#require(options.name);
      }
      rt.refuseIpv6(this.#netlink, device.ifindex);
      this.#attach(device);
      rt.changeDevice(this.#netlink, device.ifindex, { mtu: options.mtu, up: true });
      this.#onVxlan(device.ifindex);
      return device.ifindex;
    });
  }

  prepareVeth(options: VethOptions): number {
    checkVeth(options);
    return this.#explain(options.hostName, () => {
      const netnsFd = openWorkloadNetns(options.netnsPath, this.#reserved);
      try {
        return this.#prepareInside(options, netnsFd);
      } finally {
        closeFd(netnsFd);
      }
    });
  }

  activateVeth(hostName: string): void {
    checkDeviceName(hostName);
    this.#explain(hostName, () => rt.changeDevice(this.#netlink, this.#require(hostName).ifindex, { up: true }));
  }

  ensureVeth(options: VethOptions): number {
    const ifindex = this.prepareVeth(options);
    this.activateVeth(options.hostName);
    return ifindex;
  }

  removeVeth(hostName: string): void {
    checkDeviceName(hostName);
    this.#explain(hostName, () => {
      const device = rt.findDevice(this.#netlink, hostName);
      if (device) rt.deleteDevice(this.#netlink, device.ifindex);
    });
  }

  list(): LinkInfo[] {
    this.#enter();
    return this.#ours().map(({ name, ifindex, kind, up, mtu }) => ({ name, ifindex, kind: kind as 'veth' | 'vxlan', up, mtu }));
  }

  close(): void {
    this.#netlink.close();
  }

  #ours(): rt.Device[] {
    return rt.devices(this.#netlink).filter((device) => device.name.startsWith(LINK_PREFIX) && ['veth', 'vxlan'].includes(device.kind));
  }

  #require(name: string): rt.Device {
    const device = rt.findDevice(this.#netlink, name);
    if (device) return device;
    throw new KernelError('link-failed', 'there is no such device', `links.${name}`, 'Create it first (prepareVeth), or correct its name.');
  }

  #attach(device: rt.Device): void {
    rt.ensureClsact(this.#netlink, device.ifindex);
    if (device.kind === 'vxlan') {
      rt.attachProgram(this.#netlink, device.ifindex, rt.PARENT_INGRESS, this.#programs.fromVxlan, 'from_vxlan');
      return;
    }
    rt.attachProgram(this.#netlink, device.ifindex, rt.PARENT_EGRESS, this.#programs.toEndpoint, 'to_endpoint');
    rt.attachProgram(this.#netlink, device.ifindex, rt.PARENT_INGRESS, this.#programs.fromEndpoint, 'from_endpoint');
  }

  #prepareInside(options: VethOptions, netnsFd: number): number {
    const workload = new Netlink(`/proc/self/fd/${netnsFd}`);
    try {
      const host = this.#ensurePair(options, workload, netnsFd);
      this.#attach(host);
      rt.refuseIpv6(this.#netlink, host.ifindex);
      if (host.mtu !== options.mtu) rt.changeDevice(this.#netlink, host.ifindex, { mtu: options.mtu });
      configureWorkload(workload, options);
      return host.ifindex;
    } finally {
      workload.close();
    }
  }

  /** A pair whose peer is not in the workload (another workload took the name, or it lost its device) is made anew. */
  #ensurePair(options: VethOptions, workload: Netlink, netnsFd: number): rt.Device {
    const host = rt.findDevice(this.#netlink, options.hostName);
    if (host) {
      const peer = rt.findDevice(workload, options.peerName);
      if (host.kind === 'veth' && peer?.kind === 'veth' && peer.link === host.ifindex && host.link === peer.ifindex) return host;
      rt.deleteDevice(this.#netlink, host.ifindex);
    }
    rt.createVeth(this.#netlink, options.hostName, options.mtu, { name: options.peerName, netnsFd, mac: options.mac });
    return this.#require(options.hostName);
  }

  #explain<T>(name: string, act: () => T): T {
    this.#enter();
    try {
      return act();
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno === 'EPERM') {
        throw new KernelError('not-privileged', `the device was refused with ${error.message}`, `links.${name}`, 'Run as root, or with CAP_NET_ADMIN.');
      }
      throw new KernelError('link-failed', inWords(error), `links.${name}`, 'Look at the device with `ip -d link` in the namespace.');
    }
  }
}

/** What the kernel's refusal of a device means, with its own word behind it. */
const meanings: Record<string, string> = {
  EEXIST: 'a device or an address of that name is there already',
  EINVAL: 'the kernel takes no such name or value for a device',
  ENODEV: 'the device is not there any more',
  ENOENT: 'what it belongs to is not there any more',
  ESRCH: 'what it belongs to is not there any more',
  ENETUNREACH: 'its router cannot be reached through the device',
  EBUSY: 'the device is in use',
  ENOMEM: 'the kernel has no memory left for it',
  ENOSPC: 'the kernel has no room left for it',
  EADDRINUSE: 'the address or the port is in use',
  EOPNOTSUPP: 'this kernel does not support such a device',
};
const inWords = (error: NetlinkError): string => `${meanings[error.errno] ?? 'the kernel refused the device'} [${error.message}]`;

function configureWorkload(workload: Netlink, options: VethOptions): void {
  const peer = rt.findDevice(workload, options.peerName);
  if (!peer) throw new KernelError('link-failed', 'the workload side is missing', `links.${options.peerName}`, 'Try again.');
  const change: rt.DeviceChange = { up: true };
  if (peer.mtu !== options.mtu) change.mtu = options.mtu;
  if (!options.mac.every((byte, index) => byte === peer.mac[index])) change.mac = options.mac;
  rt.refuseIpv6(workload, peer.ifindex);
  rt.changeDevice(workload, LOOPBACK, { up: true });
  rt.changeDevice(workload, peer.ifindex, change);
  rt.setOnlyAddress(workload, peer.ifindex, options.address.subarray(12));
  rt.setRoute(workload, peer.ifindex, { to: GATEWAY, scope: rt.SCOPE_LINK });
  rt.setRoute(workload, peer.ifindex, { via: GATEWAY, scope: rt.SCOPE_UNIVERSE });
}
