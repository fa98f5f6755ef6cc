/** Netlink dumps as the witness reads them; none of the writer's code. */
import { readFrom, WitnessError, writeTo } from './syscall.ts';

const DUMP = 0x301;

/** Attributes of a message as [type, bytes]. */
export function* walk(data: Buffer): Generator<[number, Buffer]> {
  for (let at = 0; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 4) return;
    yield [data.readUInt16LE(at + 2) & 0x3fff, data.subarray(at + 4, at + length)];
    at += (length + 3) & ~3;
  }
}

export function pick(data: Buffer | undefined, wanted: number): Buffer | undefined {
  if (!data) return undefined;
  for (const [type, bytes] of walk(data)) if (type === wanted) return bytes;
  return undefined;
}

export function word(data: Buffer | undefined): string {
  return data ? data.toString('utf8').replace(/\0.*$/, '') : '';
}

/** Of every dump, one after the other: what is kept of it is copied. */
let buffer: Buffer | undefined;

export function dump(fd: number, type: number, body: Buffer): Buffer[] {
  const question = Buffer.alloc(16 + body.length);
  question.writeUInt32LE(question.length, 0);
  question.writeUInt16LE(type, 4);
  question.writeUInt16LE(DUMP, 6);
  body.copy(question, 16);
  writeTo(fd, question);
  const answers: Buffer[] = [];
  buffer ??= Buffer.alloc(1 << 18);
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
