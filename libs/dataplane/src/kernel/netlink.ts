/** rtnetlink in one namespace: messages out, answers in. https://docs.kernel.org/userspace-api/netlink/intro.html */
import { closeFd, errnoName, insideNetns, openSocket, receive, sendAll, setOption } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const HEADER = 16;
const TYPE_MASK = 0x3fff;

export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** The kernel's refusal of one message; `errno` is its name. */
export class NetlinkError extends Error {
  readonly errno: string;

  constructor(number: number, detail: string) {
    super(detail ? `${errnoName(number)}: ${detail}` : errnoName(number));
    this.errno = errnoName(number);
  }
}

export function align4(length: number): number {
  return (length + 3) & ~3;
}

export function attribute(type: number, ...payload: Uint8Array[]): Uint8Array {
  const length = 4 + payload.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(align4(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  let at = 4;
  for (const part of payload) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

export function attributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = view.getUint16(at, true);
    if (length < 4) break;
    found.set(view.getUint16(at + 2, true) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return found;
}

export function readText(bytes: Uint8Array | undefined): string {
  if (!bytes) return '';
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function readU32(bytes: Uint8Array | undefined): number {
  return bytes && bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0;
}

export interface Message {
  type: number;
  body: Uint8Array;
}

export class Netlink {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(256 * 1024);
  #sequence = 1;

  constructor(netnsPath?: string) {
    this.#fd = insideNetns(netnsPath, () => openSocket(AF_NETLINK, SOCK_RAW, 0));
    setOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, number32(1));
  }

  close(): void {
    closeFd(this.#fd);
  }

  /** Sends one change and waits for its acknowledgement; throws NetlinkError. */
  change(type: number, flags: number, ...parts: Uint8Array[]): void {
    this.#exchange(type, flags | NLM_F_ACK, parts);
  }

  /** The answer to a question about one thing. */
  ask(type: number, ...parts: Uint8Array[]): Message[] {
    return this.#exchange(type, NLM_F_ACK, parts);
  }

  dump(type: number, ...parts: Uint8Array[]): Message[] {
    return this.#exchange(type, NLM_F_DUMP, parts);
  }

  #exchange(type: number, flags: number, parts: Uint8Array[]): Message[] {
    const length = HEADER + parts.reduce((sum, part) => sum + part.length, 0);
    const message = new Uint8Array(length);
    const view = new DataView(message.buffer);
    const sequence = this.#sequence++;
    view.setUint32(0, length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags | NLM_F_REQUEST, true);
    view.setUint32(8, sequence, true);
    let at = HEADER;
    for (const part of parts) {
      message.set(part, at);
      at += part.length;
    }
    sendAll(this.#fd, message);
    const answers: Message[] = [];
    while (!this.#readInto(answers, sequence));
    return answers;
  }

  /** Reads one datagram; true once the exchange is complete. */
  #readInto(answers: Message[], sequence: number): boolean {
    const length = receive(this.#fd, this.#buffer);
    const view = new DataView(this.#buffer.buffer, 0, length);
    for (let at = 0; at + HEADER <= length; ) {
      const size = view.getUint32(at, true);
      const type = view.getUint16(at + 4, true);
      const flags = view.getUint16(at + 6, true);
      if (view.getUint32(at + 8, true) === sequence) {
        if (type === NLMSG_DONE) return true;
        if (type === NLMSG_ERROR) {
          const code = view.getInt32(at + HEADER, true);
          if (code === 0) return true;
          throw new NetlinkError(code, this.#detail(at, size, flags));
        }
        answers.push({ type, body: this.#buffer.slice(at + HEADER, at + size) });
      }
      at += align4(size);
    }
    return false;
  }

  #detail(at: number, size: number, flags: number): string {
    if (!(flags & NLM_F_ACK_TLVS)) return '';
    const request = new DataView(this.#buffer.buffer, at + HEADER + 4).getUint32(0, true);
    const skip = HEADER + 4 + (flags & NLM_F_CAPPED ? HEADER : align4(request));
    return readText(attributes(this.#buffer.subarray(at + skip, at + size)).get(NLMSGERR_ATTR_MSG));
  }
}
