/** Frames byte by byte, and their checksums read back. */
export interface Host {
  ip: string;
  mac: Uint8Array;
}

export const ROUTER = Uint8Array.of(0x02, 0x6f, 0x73, 0x69, 0x65, 0x72);
export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const SCTP = 132;
/** Chunk types (RFC 9260, 3.2). */
export const DATA = 0;
export const INIT = 1;
export const INIT_ACK = 2;
export const ABORT = 6;
export const SHUTDOWN_COMPLETE = 14;
export const COOKIE_ECHO = 10;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export function quad(ip: string): number[] {
  return ip.split('.').map(Number);
}

function be16(value: number): number[] {
  return [value >> 8, value & 0xff];
}

/** Sum of 16-bit words in one's complement; 0 over data that holds its own right checksum. */
export function checksum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

export interface Ip {
  from: Host;
  to: string;
  ttl?: number;
  /** Flags and offset of a fragment. */
  fragment?: number;
  /** Overrides the length in the header. */
  length?: number;
  /** Overrides version and header length. */
  first?: number;
}

export function ethernet(from: Uint8Array, type: number, payload: number[]): Uint8Array {
  return Uint8Array.from([...ROUTER, ...from, ...be16(type), ...payload]);
}

export function ipv4Bytes(ip: Pick<Ip, 'ttl' | 'fragment' | 'length' | 'first'>, from: string, to: string, protocol: number, payload: number[]): number[] {
  const length = ip.length ?? 20 + payload.length;
  const header = [ip.first ?? 0x45, 0, ...be16(length), 0, 1, ...be16(ip.fragment ?? 0), ip.ttl ?? 64, protocol, 0, 0, ...quad(from), ...quad(to)];
  header.splice(10, 2, ...be16(checksum(header)));
  return [...header, ...payload];
}

export function ipv4(ip: Ip, protocol: number, payload: number[]): Uint8Array {
  return ethernet(ip.from.mac, 0x0800, ipv4Bytes(ip, ip.from.ip, ip.to, protocol, payload));
}

function withChecksum(from: string, to: string, protocol: number, bytes: number[], at: number): number[] {
  const pseudo = [...quad(from), ...quad(to), 0, protocol, ...be16(bytes.length)];
  bytes.splice(at, 2, ...be16(checksum([...pseudo, ...bytes])));
  return bytes;
}

export function tcpBytes(from: string, to: string, sourcePort: number, port: number, flags: number): number[] {
  const bytes = [...be16(sourcePort), ...be16(port), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
  return withChecksum(from, to, TCP, bytes, 16);
}

export function tcp(ip: Ip, sourcePort: number, port: number, flags = SYN): Uint8Array {
  return ipv4(ip, TCP, tcpBytes(ip.from.ip, ip.to, sourcePort, port, flags));
}

export function udpBytes(from: string, to: string, sourcePort: number, port: number, text = 'data'): number[] {
  const data = [...new TextEncoder().encode(text)];
  return withChecksum(from, to, UDP, [...be16(sourcePort), ...be16(port), ...be16(8 + data.length), 0, 0, ...data], 6);
}

export function udp(ip: Ip, sourcePort: number, port: number): Uint8Array {
  return ipv4(ip, UDP, udpBytes(ip.from.ip, ip.to, sourcePort, port));
}

/** CRC32c (RFC 9260, appendix A), least significant byte first. */
function crc32c(bytes: readonly number[]): number[] {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return [0, 8, 16, 24].map((shift) => (~crc >>> shift) & 0xff);
}

/** A chunk with as much in it as its type needs, or the bytes that are given. */
export function chunk(type: number, value: readonly number[] = Array<number>(type === INIT || type === INIT_ACK ? 16 : type === DATA ? 13 : 0).fill(1), length = 4 + value.length): number[] {
  return [type, 0, ...be16(length), ...value, ...Array<number>(-value.length & 3).fill(0)];
}

export function sctpBytes(sourcePort: number, port: number, chunks: readonly number[], tag = 7): number[] {
  const bytes = [...be16(sourcePort), ...be16(port), 0, 0, 0, tag, 0, 0, 0, 0, ...chunks];
  bytes.splice(8, 4, ...crc32c(bytes));
  return bytes;
}

/** An SCTP packet of these chunks; an INIT has the tag 0. */
export function sctp(ip: Ip, sourcePort: number, port: number, ...types: number[]): Uint8Array {
  return ipv4(ip, SCTP, sctpBytes(sourcePort, port, types.flatMap((type) => chunk(type)), types[0] === INIT ? 0 : 7));
}

export function icmp(ip: Ip, type: number, id: number, rest: number[] = []): Uint8Array {
  const bytes = [type, 0, 0, 0, ...be16(id), 0, 1, ...rest];
  bytes.splice(2, 2, ...be16(checksum(bytes)));
  return ipv4(ip, ICMP, bytes);
}

/** An ICMP error of `type` about a packet that `ip.to` sent. */
export function icmpError(ip: Ip, type: number, original: { from: string; to: string; protocol: number; payload: number[] }): Uint8Array {
  return icmp(ip, type, 0, ipv4Bytes({}, original.from, original.to, original.protocol, original.payload).slice(0, 28));
}

export function arp(from: Host, target: string, options: { operation?: number; sender?: string; senderMac?: Uint8Array } = {}): Uint8Array {
  const sender = quad(options.sender ?? from.ip);
  const body = [0, 1, 8, 0, 6, 4, ...be16(options.operation ?? 1), ...(options.senderMac ?? from.mac), ...sender, 0, 0, 0, 0, 0, 0, ...quad(target)];
  return ethernet(from.mac, 0x0806, body);
}

/** Whether the IP header's and the TCP, UDP or SCTP checksum of a frame are right. */
export function checksumsAreRight(frame: Uint8Array): boolean {
  const header = frame.subarray(14, 34);
  const payload = frame.subarray(34);
  if (header[9] === SCTP) return checksum(header) === 0 && crc32c([...payload.subarray(0, 8), 0, 0, 0, 0, ...payload.subarray(12)]).every((byte, at) => byte === payload[8 + at]);
  const pseudo = [...header.subarray(12, 20), 0, header[9]!, ...be16(payload.length), ...payload];
  return checksum(header) === 0 && checksum(header[9] === ICMP ? payload : pseudo) === 0;
}
