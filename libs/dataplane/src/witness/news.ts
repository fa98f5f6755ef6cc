/** What the kernel says by itself when a device, or what is attached to one, becomes another. Costs one system call where it has nothing to say. */
import { pick, word } from './netlink.ts';
import { close, newsSocket, readNews } from './syscall.ts';

const LINKS = [16, 17];
/** Queueing disciplines, which carry the filters and take them along, classes, filters, chains. */
const TRAFFIC_CONTROL = [36, 37, 40, 41, 44, 45, 100, 101];
/** RTNLGRP_LINK and RTNLGRP_TC, as bits. */
const GROUPS = 0b1001;

export class DeviceNews {
  readonly #fd: number;
  readonly #prefix: string;
  readonly #buffer = Buffer.alloc(1 << 16);

  /** From now on. */
  constructor(netnsPath: string | undefined, prefix: string) {
    this.#fd = newsSocket(netnsPath, GROUPS);
    this.#prefix = prefix;
  }

  /** Whether there was any since the last call about devices with this prefix, or about these; also where some may have been lost. */
  take(known: ReadonlySet<number>): boolean {
    let any = false;
    for (;;) {
      const length = readNews(this.#fd, this.#buffer);
      if (length === 'none') return any;
      if (length === 'lost') any = true;
      else if (!any) any = this.#concerns(length, known);
    }
  }

  #concerns(length: number, known: ReadonlySet<number>): boolean {
    for (let at = 0; at + 16 <= length; ) {
      const size = this.#buffer.readUInt32LE(at);
      if (size < 16) return true;
      const kind = this.#buffer.readUInt16LE(at + 4);
      const body = this.#buffer.subarray(at + 16, Math.min(at + size, length));
      const ifindex = body.length < 8 ? 0 : body.readInt32LE(4);
      // Of several devices at once, or of none that could be told.
      if (ifindex <= 0 || known.has(ifindex)) return true;
      if (LINKS.includes(kind) ? word(pick(body.subarray(16), 3)).startsWith(this.#prefix) : !TRAFFIC_CONTROL.includes(kind)) return true;
      at += (size + 3) & ~3;
    }
    return false;
  }

  close(): void {
    close(this.#fd);
  }
}
