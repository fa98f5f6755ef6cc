import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { countWord, greet, type Greeting, type WorkloadPort } from './protocol.ts';

export interface Listening { accepted(): number; close(): void }

/** Opens the ports; resolves when all of them listen. `log` hears of every peer. */
export async function listen(o: { greeting: Greeting; ports: readonly WorkloadPort[]; log: (event: Record<string, unknown>) => void }): Promise<Listening> {
  let accepted = 0;
  const closers: (() => void)[] = [];
  const heard = (protocol: string, port: number, peer: string): void => {
    accepted += 1;
    o.log({ event: 'peer', protocol, port, peer, nonce: o.greeting.nonce });
  };
  for (const { protocol, port } of o.ports) {
    if (protocol === 'TCP') closers.push(await tcp(o.greeting, port, heard));
    else closers.push(await udp(o.greeting, port, heard));
  }
  return { accepted: () => accepted, close: () => closers.forEach((close) => close()) };
}
type Heard = (protocol: string, port: number, peer: string) => void;

function tcp(greeting: Greeting, port: number, heard: Heard): Promise<() => void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    heard('TCP', port, `${socket.remoteAddress}:${socket.remotePort}`);
    socket.on('error', () => socket.destroy());
    socket.write(greet(greeting));
    converse(socket);
  });
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, '0.0.0.0', () => resolve(() => server.close())));
}

/** Echoes, or counts when the first bytes ask for it. */
function converse(socket: Socket): void {
  let counting: { bytes: number; last: number; longest: number } | undefined;
  let first = true;
  socket.on('data', (data: Buffer) => {
    const now = performance.now();
    if (first && data.subarray(0, countWord.length).toString('latin1') === countWord) {
      counting = { bytes: data.length - countWord.length, last: now, longest: 0 };
    } else if (counting === undefined) {
      socket.write(data);
    } else {
      counting.bytes += data.length;
      counting.longest = Math.max(counting.longest, now - counting.last);
      counting.last = now;
    }
    first = false;
  });
  socket.on('end', () => {
    if (counting !== undefined) socket.write(`${JSON.stringify({ bytes: counting.bytes, longestGapMs: Math.round(counting.longest) })}\n`);
    socket.end();
  });
}

function udp(greeting: Greeting, port: number, heard: Heard): Promise<() => void> {
  const socket = createSocket('udp4');
  socket.on('message', (_data, peer) => {
    heard('UDP', port, `${peer.address}:${peer.port}`);
    socket.send(greet(greeting), peer.port, peer.address, () => undefined);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '0.0.0.0', () => {
      socket.off('error', reject).on('error', () => undefined);
      resolve(() => socket.close());
    });
  });
}
