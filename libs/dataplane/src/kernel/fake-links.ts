/** Devices that exist only in memory. */
import { checkDeviceName, checkVeth, checkVxlan } from './checks.ts';
import { KernelError, type LinkInfo, type Links, type VethOptions, type VxlanOptions } from './kernel.ts';

export class FakeLinks implements Links {
  readonly devices = new Map<string, LinkInfo & { veth?: VethOptions; vxlan?: VxlanOptions }>();
  #enter: () => void = () => {};
  #onVxlan: (ifindex: number) => void = () => {};
  #next = 10;

  attach(enter: () => void, onVxlan: (ifindex: number) => void): void {
    this.#enter = enter;
    this.#onVxlan = onVxlan;
  }

  ensureVxlan(options: VxlanOptions): number {
    this.#enter();
    checkVxlan(options);
    const ifindex = this.devices.get(options.name)?.ifindex ?? this.#next++;
    this.devices.set(options.name, { name: options.name, ifindex, kind: 'vxlan', up: true, mtu: options.mtu, vxlan: options });
    this.#onVxlan(ifindex);
    return ifindex;
  }

  prepareVeth(options: VethOptions): number {
    this.#enter();
    checkVeth(options);
    const known = this.devices.get(options.hostName);
    const ifindex = known?.ifindex ?? this.#next++;
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

  removeVeth(hostName: string): void {
    this.#enter();
    checkDeviceName(hostName);
    this.devices.delete(hostName);
  }

  list(): LinkInfo[] {
    this.#enter();
    return [...this.devices.values()].map(({ name, ifindex, kind, up, mtu }) => ({ name, ifindex, kind, up, mtu }));
  }
}

function missing(name: string): KernelError {
  return new KernelError('link-failed', 'there is no such device', `links.${name}`, 'Call prepareVeth first.');
}
