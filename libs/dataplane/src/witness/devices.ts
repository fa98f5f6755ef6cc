/** Devices and the programs attached to them, from two kinds of netlink dump. */
import type { Attachment, LinkSeen, ProgramSeen } from './dump.ts';
import { close, readFrom, routeSocket, WitnessError, writeTo } from './syscall.ts';

const GET_LINK = 18;
const GET_FILTER = 46;
const DUMP = 0x301;
const INGRESS = 0xfffffff2;
const EGRESS = 0xfffffff3;

/** Attributes of a message as [type, bytes]. */
function* walk(data: Buffer): Generator<[number, Buffer]> {
  for (let at = 0; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 4) return;
    yield [data.readUInt16LE(at + 2) & 0x3fff, data.subarray(at + 4, at + length)];
    at += (length + 3) & ~3;
  }
}

function pick(data: Buffer | undefined, wanted: number): Buffer | undefined {
  if (!data) return undefined;
  for (const [type, bytes] of walk(data)) if (type === wanted) return bytes;
  return undefined;
}

function word(data: Buffer | undefined): string {
  return data ? data.toString('utf8').replace(/\0.*$/, '') : '';
}

function dump(fd: number, type: number, body: Buffer): Buffer[] {
  const question = Buffer.alloc(16 + body.length);
  question.writeUInt32LE(question.length, 0);
  question.writeUInt16LE(type, 4);
  question.writeUInt16LE(DUMP, 6);
  body.copy(question, 16);
  writeTo(fd, question);
  const answers: Buffer[] = [];
  const buffer = Buffer.alloc(1 << 18);
  for (;;) {
    const length = readFrom(fd, buffer);
    for (let at = 0; at + 16 <= length; ) {
      const size = buffer.readUInt32LE(at);
      const kind = buffer.readUInt16LE(at + 4);
      if (kind === 3) return answers;
      if (kind === 2) throw new WitnessError('netlink answered with an error', 'netlink', -buffer.readInt32LE(at + 16));
      answers.push(Buffer.from(buffer.subarray(at + 16, at + size)));
      at += (size + 3) & ~3;
    }
  }
}

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
