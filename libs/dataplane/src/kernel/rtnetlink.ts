/** Devices, addresses, routes and tc filters as netlink messages. Numbers from include/uapi/linux/{if_link,rtnetlink,pkt_cls}.h. */
import {
  align4,
  attribute,
  attributes,
  type Netlink,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  number32,
  readText,
  readU32,
  text,
} from './netlink.ts';

const RTM = { newLink: 16, delLink: 17, getLink: 18, newAddress: 20, delAddress: 21, getAddress: 22, newRoute: 24, newQdisc: 36, newFilter: 44 };
const IFLA = { address: 1, name: 3, mtu: 4, link: 5, info: 18, afSpec: 26, netnsFd: 28 };
const INFO = { kind: 1, data: 2 };
const VXLAN = { link: 3, learning: 7, port: 15, collectMetadata: 25 };
const VETH_PEER = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_NONE = 1;
const IFF_UP = 1;

export interface Device {
  ifindex: number;
  name: string;
  kind: string;
  up: boolean;
  mtu: number;
  mac: Uint8Array;
  /** ifindex of the other end, for a veth. */
  link: number;
  port: number;
}

/** An absent number leaves a property as it is. */
export interface DeviceChange {
  mac?: Uint8Array;
  mtu?: number;
  up?: boolean;
}

function ifinfo(ifindex: number, flags = 0, change = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return bytes;
}

/** No IPv6 address, hence no IPv6 packets of the host's own, on a device of ours. It cannot be said when the device is created. */
export function refuseIpv6(netlink: Netlink, ifindex: number): void {
  const mode = attribute(INET6_ADDR_GEN_MODE, Uint8Array.of(ADDR_GEN_NONE));
  try {
    netlink.change(RTM.newLink, 0, ifinfo(ifindex), attribute(IFLA.afSpec, attribute(AF_INET6, mode)));
  } catch (error) {
    // a kernel or namespace without IPv6
    if (!(error instanceof NetlinkError) || error.errno !== 'EAFNOSUPPORT') throw error;
  }
}

function readDevice(body: Uint8Array): Device {
  const view = new DataView(body.buffer, body.byteOffset);
  const found = attributes(body.subarray(16));
  const info = attributes(found.get(IFLA.info) ?? new Uint8Array(0));
  const port = attributes(info.get(INFO.data) ?? new Uint8Array(0)).get(VXLAN.port);
  const kind = readText(info.get(INFO.kind));
  return {
    ifindex: view.getInt32(4, true),
    name: readText(found.get(IFLA.name)),
    kind,
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    mtu: readU32(found.get(IFLA.mtu)),
    mac: found.get(IFLA.address) ?? new Uint8Array(6),
    link: readU32(found.get(IFLA.link)),
    port: kind === 'vxlan' && port ? (port[0]! << 8) | port[1]! : 0,
  };
}

export function devices(netlink: Netlink): Device[] {
  return netlink.dump(RTM.getLink, ifinfo(0)).map((message) => readDevice(message.body));
}

export function findDevice(netlink: Netlink, name: string): Device | undefined {
  try {
    const [answer] = netlink.ask(RTM.getLink, ifinfo(0), attribute(IFLA.name, text(name)));
    return answer && readDevice(answer.body);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === 'ENODEV') return undefined;
    throw error;
  }
}

export function changeDevice(netlink: Netlink, ifindex: number, change: DeviceChange): void {
  const parts = [ifinfo(ifindex, change.up ? IFF_UP : 0, change.up === undefined ? 0 : IFF_UP)];
  if (change.mac) parts.push(attribute(IFLA.address, change.mac));
  if (change.mtu !== undefined) parts.push(attribute(IFLA.mtu, number32(change.mtu)));
  netlink.change(RTM.newLink, 0, ...parts);
}

export function deleteDevice(netlink: Netlink, ifindex: number): void {
  netlink.change(RTM.delLink, 0, ifinfo(ifindex));
}

export function createVeth(netlink: Netlink, name: string, mtu: number, peer: { name: string; netnsFd: number; mac: Uint8Array }): void {
  const peerMessage = attribute(
    VETH_PEER,
    ifinfo(0),
    attribute(IFLA.name, text(peer.name)),
    attribute(IFLA.mtu, number32(mtu)),
    attribute(IFLA.address, peer.mac),
    attribute(IFLA.netnsFd, number32(peer.netnsFd)),
  );
  netlink.change(
    RTM.newLink,
    NLM_F_CREATE | NLM_F_EXCL,
    ifinfo(0),
    attribute(IFLA.name, text(name)),
    attribute(IFLA.mtu, number32(mtu)),
    attribute(IFLA.info, attribute(INFO.kind, text('veth')), attribute(INFO.data, peerMessage)),
  );
}

export function createVxlan(netlink: Netlink, name: string, port: number, mtu: number, underlay?: number): void {
  const data = [
    attribute(VXLAN.collectMetadata, Uint8Array.of(1)),
    attribute(VXLAN.learning, Uint8Array.of(0)),
    attribute(VXLAN.port, Uint8Array.of(port >> 8, port & 0xff)),
  ];
  if (underlay !== undefined) data.push(attribute(VXLAN.link, number32(underlay)));
  netlink.change(
    RTM.newLink,
    NLM_F_CREATE | NLM_F_EXCL,
    ifinfo(0),
    attribute(IFLA.name, text(name)),
    attribute(IFLA.mtu, number32(mtu)),
    attribute(IFLA.info, attribute(INFO.kind, text('vxlan')), attribute(INFO.data, ...data)),
  );
}

const IFA_LOCAL = 2;
const IFA_ADDRESS = 1;

function ifaddr(ifindex: number, prefix: number): Uint8Array {
  const bytes = Uint8Array.of(AF_INET, prefix, 0, 0, 0, 0, 0, 0);
  new DataView(bytes.buffer).setUint32(4, ifindex, true);
  return bytes;
}

/** Makes `address`/32 the only IPv4 address of a device. */
export function setOnlyAddress(netlink: Netlink, ifindex: number, address: Uint8Array): void {
  for (const { body } of netlink.dump(RTM.getAddress, ifaddr(0, 0))) {
    if (new DataView(body.buffer, body.byteOffset).getUint32(4, true) !== ifindex || body[0] !== AF_INET) continue;
    const local = attributes(body.subarray(8)).get(IFA_LOCAL);
    if (!local || (body[1] === 32 && local.every((byte, index) => byte === address[index]))) continue;
    netlink.change(RTM.delAddress, 0, ifaddr(ifindex, body[1] ?? 32), attribute(IFA_LOCAL, local));
  }
  const flags = NLM_F_CREATE | NLM_F_REPLACE;
  netlink.change(RTM.newAddress, flags, ifaddr(ifindex, 32), attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address));
}

const RTA = { destination: 1, device: 4, gateway: 5 };
const TABLE_MAIN = 254;
const PROTOCOL_STATIC = 4;
const UNICAST = 1;
export const SCOPE_UNIVERSE = 0;
export const SCOPE_LINK = 253;

export function setRoute(netlink: Netlink, ifindex: number, route: { to?: Uint8Array; via?: Uint8Array; scope: number }): void {
  const header = Uint8Array.of(AF_INET, route.to ? 32 : 0, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, route.scope, UNICAST, 0, 0, 0, 0);
  const parts = [header, attribute(RTA.device, number32(ifindex))];
  if (route.to) parts.push(attribute(RTA.destination, route.to));
  if (route.via) parts.push(attribute(RTA.gateway, route.via));
  netlink.change(RTM.newRoute, NLM_F_CREATE | NLM_F_REPLACE, ...parts);
}

export const PARENT_INGRESS = 0xfffffff2;
export const PARENT_EGRESS = 0xfffffff3;
const PARENT_CLSACT = 0xfffffff1;
const HANDLE_CLSACT = 0xffff0000;
const TCA = { kind: 1, options: 2 };
const TCA_BPF = { fd: 6, name: 7, flags: 8 };
const DIRECT_ACTION = 1;
const HANDLE = 1;
/** Priority 1, protocol ETH_P_ALL in network order. */
const PRIORITY_AND_PROTOCOL = (1 << 16) | 0x0300;

function tcmsg(ifindex: number, handle: number, parent: number, info: number): Uint8Array {
  const bytes = new Uint8Array(align4(20));
  const view = new DataView(bytes.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return bytes;
}

export function ensureClsact(netlink: Netlink, ifindex: number): void {
  try {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    netlink.change(RTM.newQdisc, flags, tcmsg(ifindex, HANDLE_CLSACT, PARENT_CLSACT, 0), attribute(TCA.kind, text('clsact')));
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== 'EEXIST') throw error;
  }
}

/** Attaches a program, or puts it in place of the former one at once: no packet passes between the two. */
export function attachProgram(netlink: Netlink, ifindex: number, parent: number, programFd: number, name: string): void {
  const options = attribute(
    TCA.options,
    attribute(TCA_BPF.fd, number32(programFd)),
    attribute(TCA_BPF.name, text(name)),
    attribute(TCA_BPF.flags, number32(DIRECT_ACTION)),
  );
  const message = tcmsg(ifindex, HANDLE, parent, PRIORITY_AND_PROTOCOL);
  netlink.change(RTM.newFilter, NLM_F_CREATE, message, attribute(TCA.kind, text('bpf')), options);
}
