import { randomBytes } from 'node:crypto';
import { greet, type Greeting, type ProbeResult, type ProbeTarget, readGreeting } from './protocol.ts';
import { openRaw, type RawSocket } from './raw.ts';

/**
 * As much of SCTP (RFC 9260) as tells whether an association could begin: INIT, INIT ACK, ABORT. The listener's greeting travels in the state
 * cookie of its INIT ACK, which the protocol leaves to whoever writes it (5.1.3).
 */
const SCTP = 132;
const [INIT, INIT_ACK, ABORT] = [1, 2, 6];
const STATE_COOKIE = 7;
const againMs = 250;

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});
/** CRC32c (RFC 9260, appendix A). */
export const crc32c = (bytes: Uint8Array): number => (bytes.reduce((crc, byte) => ((table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)) >>> 0, 0xffff_ffff) ^ 0xffff_ffff) >>> 0;

export interface SctpPacket { readonly source: number; readonly destination: number; readonly tag: number; readonly type: number; readonly value: Buffer }

export function encode({ source, destination, tag, type, value }: SctpPacket): Buffer {
  const bytes = Buffer.alloc(16 + Math.ceil(value.length / 4) * 4);
  bytes.writeUInt16BE(source, 0);
  bytes.writeUInt16BE(destination, 2);
  bytes.writeUInt32BE(tag, 4);
  bytes.writeUInt8(type, 12);
  bytes.writeUInt16BE(4 + value.length, 14);
  value.copy(bytes, 16);
  // The checksum stands with its least significant byte first (appendix A).
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return bytes;
}

/** Of a packet its first chunk; undefined: it is none, or was damaged on its way. */
export function decode(bytes: Buffer): SctpPacket | undefined {
  if (bytes.length < 16) return undefined;
  const length = bytes.readUInt16BE(14);
  const unsigned = Buffer.from(bytes);
  unsigned.writeUInt32LE(0, 8);
  if (length < 4 || 12 + length > bytes.length || crc32c(unsigned) !== bytes.readUInt32LE(8)) return undefined;
  return { source: bytes.readUInt16BE(0), destination: bytes.readUInt16BE(2), tag: bytes.readUInt32BE(4), type: bytes.readUInt8(12), value: bytes.subarray(16, 12 + length) };
}

/** Of an INIT and of an INIT ACK: tag, window, streams out and in, first number; then parameters. */
function initValue(tag: number, cookie?: string): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32BE(tag, 0);
  fixed.writeUInt32BE(65_536, 4);
  fixed.writeUInt16BE(1, 8);
  fixed.writeUInt16BE(1, 10);
  if (cookie === undefined) return fixed;
  const header = Buffer.alloc(4);
  header.writeUInt16BE(STATE_COOKIE, 0);
  header.writeUInt16BE(4 + Buffer.byteLength(cookie), 2);
  return Buffer.concat([fixed, header, Buffer.from(cookie)]);
}
const newTag = (): number => randomBytes(4).readUInt32BE() || 1;
const empty = Buffer.alloc(0);

/** Answers whoever wants to begin an association with one of the ports, and aborts whatever wants another. */
export function answerSctp(greeting: Greeting, isOpen: (port: number) => boolean, heard: (port: number, peer: string) => void): RawSocket {
  const socket: RawSocket = openRaw(SCTP, {
    hear: (packet) => {
      const asked = decode(packet.payload);
      if (asked?.type !== INIT || asked.value.length < 16) return;
      const back = { source: asked.destination, destination: asked.source, tag: asked.value.readUInt32BE(0) };
      if (!isOpen(asked.destination)) return void socket.send(packet.source, encode({ ...back, type: ABORT, value: empty }));
      heard(asked.destination, `${packet.source}:${asked.source}`);
      socket.send(packet.source, encode({ ...back, type: INIT_ACK, value: initValue(newTag(), greet(greeting)) }));
    },
  });
  return socket;
}

export function probeSctp(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const started = performance.now();
    const [tag, source] = [newTag(), 32_768 + (randomBytes(2).readUInt16BE() % 28_000)];
    const ms = (): number => Math.round(performance.now() - started);
    let socket: RawSocket | undefined;
    const done = (result: ProbeResult): void => {
      clearTimeout(limit);
      clearInterval(again);
      socket?.close();
      resolve(result);
    };
    const ask = (): void => void socket?.send(target.address, encode({ source, destination: target.port, tag: 0, type: INIT, value: initValue(tag) }));
    const limit = setTimeout(() => done({ result: 'timeout', ms: ms() }), timeoutMs);
    const again = setInterval(ask, againMs);
    try {
      socket = openRaw(SCTP, {
        peer: target.address,
        hear: ({ payload }) => {
          const answer = decode(payload);
          if (answer === undefined || answer.source !== target.port || answer.destination !== source || answer.tag !== tag) return;
          if (answer.type === ABORT) return done({ result: 'refused', ms: ms() });
          if (answer.type !== INIT_ACK || answer.value.length < 20) return;
          // Whoever asked and does not go on says so, and nothing waits for the rest.
          socket?.send(target.address, encode({ source, destination: target.port, tag: answer.value.readUInt32BE(0), type: ABORT, value: empty }));
          const greeting = readGreeting(answer.value.subarray(20).toString('latin1'));
          done(greeting === undefined ? { result: 'silent', ms: ms() } : { result: 'answered', greeting, ms: ms() });
        },
      });
    } catch (error) {
      return done({ result: 'unreachable', ms: ms(), detail: (error as Error).message });
    }
    ask();
  });
}
