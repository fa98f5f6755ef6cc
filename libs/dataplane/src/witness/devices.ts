/** Devices and the programs attached to them, from two kinds of netlink dump. */
import type { Attachment, LinkSeen, ProgramSeen } from './dump.ts';
import { dump, pick, word } from './netlink.ts';
import { close, routeSocket } from './syscall.ts';

const GET_LINK = 18;
const GET_FILTER = 46;
const INGRESS = 0xfffffff2;
const EGRESS = 0xfffffff3;

/** The filter that runs first: the lowest priority. */
function program(fd: number, ifindex: number, parent: number): ProgramSeen | undefined {
  const question = Buffer.alloc(20);
  question.writeInt32LE(ifindex, 4);
  question.writeUInt32LE(parent, 12);
  const filters = dump(fd, GET_FILTER, question)
    .map((answer) => ({ priority: answer.readUInt32LE(16) >>> 16, options: pick(answer.subarray(20), 2) }))
    .filter(({ options }) => options !== undefined)
    .sort((a, b) => a.priority - b.priority);
  const options = filters[0]?.options;
  if (!options) return undefined;
  return { name: word(pick(options, 7)), tag: pick(options, 10)?.toString('hex') ?? '' };
}

export function devicesOf(netnsPath: string | undefined, prefix: string): { links: LinkSeen[]; attachments: Attachment[] } {
  const fd = routeSocket(netnsPath);
  try {
    const links = dump(fd, GET_LINK, Buffer.alloc(16))
      .map((answer): LinkSeen => {
        const data = answer.subarray(16);
        return {
          name: word(pick(data, 3)),
          ifindex: answer.readInt32LE(4),
          kind: word(pick(pick(data, 18), 1)),
          up: (answer.readUInt32LE(8) & 1) === 1,
          mtu: pick(data, 4)?.readUInt32LE(0) ?? 0,
        };
      })
      .filter((link) => link.name.startsWith(prefix));
    const attachments = links.map((link): Attachment => {
      const ingress = program(fd, link.ifindex, INGRESS);
      const egress = program(fd, link.ifindex, EGRESS);
      return { device: link.name, ifindex: link.ifindex, ...(ingress && { ingress }), ...(egress && { egress }) };
    });
    return { links, attachments };
  } finally {
    close(fd);
  }
}
