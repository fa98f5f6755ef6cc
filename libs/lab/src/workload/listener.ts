import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import type { RawSocket } from './raw.ts';
import { countWord, greet, type Greeting, type WorkloadPort } from './protocol.ts';

export interface Listening {
  accepted(): number;
  /** Also on these, for as many callers as ask. */
  add(ports: readonly WorkloadPort[]): Promise<void>;
  drop(ports: readonly WorkloadPort[]): void;
  close(): void;
}

/** Opens the ports; resolves when all of them listen. `log` hears of every peer. */
export async function listen(o: { greeting: Greeting; ports: readonly WorkloadPort[]; log: (event: Record<string, unknown>) => void }): Promise<Listening> {
  let accepted = 0;
  const open = new Map<string, { users: number; readonly opened: Promise<() => void> }>();
  const sctpPorts = new Set<number>();
  let sctp: RawSocket | undefined;
  const heard = (protocol: string, port: number, peer: string): void => {
    accepted += 1;
    o.log({ event: 'peer', protocol, port, peer, nonce: o.greeting.nonce });
  };
  const openSctp = async (port: number): Promise<() => void> => {
    const { answerSctp } = await import('./sctp.ts');
    sctp ??= answerSctp(o.greeting, (asked) => sctpPorts.has(asked), (asked, peer) => heard('SCTP', asked, peer));
    sctpPorts.add(port);
    return () => void sctpPorts.delete(port);
  };
  const ways = { TCP: (port: number) => tcp(o.greeting, port, heard), UDP: (port: number) => udp(o.greeting, port, heard), SCTP: openSctp };
  const key = ({ protocol, port }: WorkloadPort): string => `${protocol} ${port}`;
  const drop = (ports: readonly WorkloadPort[]): void => {
    for (const one of ports) {
      const there = open.get(key(one));
      if (there === undefined || --there.users > 0) continue;
      open.delete(key(one));
      void there.opened.then((close) => close(), () => undefined);
    }
  };
  const add = async (ports: readonly WorkloadPort[]): Promise<void> => {
    await Promise.all(ports.map(async (one) => {
      const there = open.get(key(one)) ?? { users: 0, opened: ways[one.protocol](one.port) };
      open.set(key(one), there);
      there.users += 1;
      await there.opened;
    }));
  };
  await add(o.ports);
  return {
    accepted: () => accepted, add, drop,
    close: () => {
      for (const { opened } of open.values()) void opened.then((close) => close(), () => undefined);
      sctp?.close();
    },
  };
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
