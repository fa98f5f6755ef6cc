/** Devices that exist only in memory. */
import { checkDeviceName, checkVeth, checkVxlan } from './checks.ts';
import { KernelError, type LinkInfo, type Links, type VethOptions, type VxlanOptions } from './kernel.ts';

export type FakeDevice = LinkInfo & { veth?: VethOptions; vxlan?: VxlanOptions; bare?: boolean };

const FIRST_IFINDEX = 10;

export class FakeLinks implements Links {
  readonly devices: Map<string, FakeDevice>;
  readonly #enter: () => void;
  readonly #onVxlan: (ifindex: number) => void;

  constructor(devices: Map<string, FakeDevice>, enter: () => void, onVxlan: (ifindex: number) => void) {
    this.devices = devices;
    this.#enter = enter;
    this.#onVxlan = onVxlan;
  }

  ensureVxlan(options: VxlanOptions): number {
    this.#enter();
    checkVxlan(options);
    const ifindex = this.devices.get(options.name)?.ifindex ?? this.#unused();
    this.devices.set(options.name, { name: options.name, ifindex, kind: 'vxlan', up: true, mtu: options.mtu, vxlan: options });
    this.#onVxlan(ifindex);
    return ifindex;
  }

  prepareVeth(options: VethOptions): number {
    this.#enter();
    checkVeth(options);
    const known = this.devices.get(options.hostName);
    const ifindex = known?.ifindex ?? this.#unused();
    const up = known?.up ?? false;
    this.devices.set(options.hostName, { name: options.hostName, ifindex, kind: 'veth', up, mtu: options.mtu, veth: options });
    return ifindex;
  }

  activateVeth(hostName: string): void {
    this.#enter();
    checkDeviceName(hostName);
    const known = this.devices.get(hostName);
    if (!known) throw missing(hostName);
    known.up = true;
  }

  ensureVeth(options: VethOptions): number {
    const ifindex = this.prepareVeth(options);
    this.activateVeth(options.hostName);
    return ifindex;
  }

  /** Somebody takes the programs off; the next `prepareVeth` puts them on. */
  strip(hostName: string): void {
    const known = this.devices.get(hostName);
    if (!known) throw missing(hostName);
    known.bare = true;
  }

  removeVeth(hostName: string): void {
    this.#enter();
    checkDeviceName(hostName);
    this.devices.delete(hostName);
  }

  /** As in the kernel, a number is not given twice while it is in use. */
  #unused(): number {
    return Math.max(FIRST_IFINDEX - 1, ...[...this.devices.values()].map((device) => device.ifindex)) + 1;
  }

  list(): LinkInfo[] {
    this.#enter();
    return [...this.devices.values()].map(({ name, ifindex, kind, up, mtu }) => ({ name, ifindex, kind, up, mtu }));
  }
}

function missing(name: string): KernelError {
  return new KernelError('link-failed', 'there is no such device', `links.${name}`, 'Call prepareVeth first.');
}
