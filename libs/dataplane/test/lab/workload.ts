/**
 * A workload for tests: runs inside a namespace, takes one request per IPC message and answers each with the same id.
 * Its servers echo what they get; a client reports what came back.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import koffi from 'koffi';

export type Request =
  | { kind: 'tcp-listen' | 'udp-listen'; port: number }
  | { kind: 'tcp' | 'udp'; host: string; port: number; text: string; timeout: number; from?: number }
  | { kind: 'open'; host: string; port: number }
  | { kind: 'say'; text: string; timeout: number }
  | { kind: 'ping'; host: string; ttl?: number; timeout: number }
  | { kind: 'datagrams'; host: string; port: number; bytes: number[]; count?: number; every?: number }
  | { kind: 'raw'; protocol: number; host: string; bytes: number[] }
  | { kind: 'raw-heard'; protocol: number; timeout: number }
  | { kind: 'tally'; port: number }
  | { kind: 'tallied' }
  | { kind: 'stream'; host: string; port: number; ms: number };

export interface Answer {
  ok: boolean;
  text: string;
}

type Handler<K extends Request['kind']> = (request: Extract<Request, { kind: K }>) => Promise<Answer>;

function once(act: (done: (answer: Answer) => void) => void, timeout: number): Promise<Answer> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ ok: false, text: 'timeout' }), timeout);
    act((answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

let open: net.Socket | undefined;

const tcpListen: Handler<'tcp-listen'> = ({ port }) =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
    server.listen(port, '0.0.0.0', () => resolve({ ok: true, text: 'listening' }));
  });

const udpListen: Handler<'udp-listen'> = ({ port }) =>
  new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
    socket.bind(port, () => resolve({ ok: true, text: 'listening' }));
  });

const tcp: Handler<'tcp'> = async ({ host, port, text, timeout, from }) => {
  const options = from === undefined ? { host, port } : { host, port, localPort: from };
  const socket = net.connect(options);
  const answer = await once((done) => {
    socket.on('connect', () => socket.write(text));
    socket.on('data', (bytes) => done({ ok: bytes.toString() === text, text: bytes.toString() }));
    socket.on('error', (error) => done({ ok: false, text: error.message }));
  }, timeout);
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    if (answer.ok) socket.end();
    else socket.destroy();
  });
  return answer;
};

const udp: Handler<'udp'> = async ({ host, port, text, timeout, from }) => {
  const socket = dgram.createSocket('udp4');
  const answer = await once((done) => {
    socket.on('message', (bytes) => done({ ok: bytes.toString() === text, text: bytes.toString() }));
    socket.on('error', (error) => done({ ok: false, text: error.message }));
    // connected, so that an ICMP error about it comes back
    socket.bind(from ?? 0, () => socket.connect(port, host, () => socket.send(text)));
  }, timeout);
  socket.close();
  return answer;
};

const openConnection: Handler<'open'> = ({ host, port }) =>
  once((done) => {
    open = net.connect({ host, port });
    open.on('connect', () => done({ ok: true, text: 'open' }));
    open.on('error', (error) => done({ ok: false, text: error.message }));
  }, 2000);

/** Says something on the connection that `open` made. */
const say: Handler<'say'> = ({ text, timeout }) =>
  once((done) => {
    open?.removeAllListeners('data').on('data', (bytes) => done({ ok: true, text: bytes.toString() }));
    open?.write(text);
  }, timeout);

const libc = koffi.load('libc.so.6');
const socketCall = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func('int64_t sendto(int fd, const void *bytes, size_t size, int flags, const void *address, uint32_t length)');
const recv = libc.func('int64_t recv(int fd, _Out_ void *bytes, size_t size, int flags)');
const close = libc.func('int close(int fd)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)');

const AF_INET = 2;
const SOCK_RAW = 3;
const MSG_DONTWAIT = 0x40;
const IP_TTL = 2;

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

const ping: Handler<'ping'> = async ({ host, ttl, timeout }) => {
  const fd: number = socketCall(AF_INET, SOCK_RAW, 1);
  if (fd < 0) return { ok: false, text: 'no raw socket' };
  if (ttl !== undefined) setsockopt(fd, 0, IP_TTL, Uint8Array.of(ttl, 0, 0, 0), 4);
  const id = process.pid & 0xffff;
  const echo = Uint8Array.of(8, 0, 0, 0, id >> 8, id & 0xff, 0, 1, ...new TextEncoder().encode('osier-ping'));
  const sum = checksum(echo);
  echo[2] = sum >> 8;
  echo[3] = sum & 0xff;
  sendto(fd, echo, echo.length, 0, Uint8Array.of(AF_INET, 0, 0, 0, ...host.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0), 16);
  const answer = { ok: false, text: 'timeout' };
  for (const end = Date.now() + timeout; Date.now() < end && !answer.ok; ) {
    const bytes = new Uint8Array(256);
    const length = Number(recv(fd, bytes, bytes.length, MSG_DONTWAIT));
    if (length >= 28 && bytes[20] === 0 && bytes[24] === id >> 8 && bytes[25] === (id & 0xff)) {
      Object.assign(answer, { ok: true, text: `ttl ${bytes[8]}` });
    } else {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  close(fd);
  return answer;
};

const rawSockets = new Map<number, number>();
const rawSocket = (protocol: number): number => {
  const fd: number = rawSockets.get(protocol) ?? socketCall(AF_INET, SOCK_RAW, protocol);
  rawSockets.set(protocol, fd);
  return fd;
};

/** Sends these bytes behind an IP header, whatever this kernel knows about the protocol; from then on hears it as well. */
const raw: Handler<'raw'> = ({ protocol, host, bytes }) => {
  const sent = Number(sendto(rawSocket(protocol), Uint8Array.from(bytes), bytes.length, 0, Uint8Array.of(AF_INET, 0, 0, 0, ...host.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0), 16));
  return Promise.resolve({ ok: sent === bytes.length, text: String(sent) });
};

/** The next packet of this protocol since the socket was opened: what is behind its IP header, in hex. */
const rawHeard: Handler<'raw-heard'> = async ({ protocol, timeout }) => {
  const fd = rawSocket(protocol);
  for (const end = Date.now() + timeout; Date.now() <= end; await new Promise((resolve) => setTimeout(resolve, 5))) {
    const bytes = new Uint8Array(2048);
    const length = Number(recv(fd, bytes, bytes.length, MSG_DONTWAIT));
    if (length > 0) return { ok: true, text: Buffer.from(bytes.subarray((bytes[0]! & 15) * 4, length)).toString('hex') };
  }
  return { ok: false, text: 'nothing' };
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const datagrams: Handler<'datagrams'> = async ({ host, port, bytes, count = 1, every = 0 }) => {
  const socket = dgram.createSocket('udp4');
  let sent = 0;
  for (; sent < count; sent++) {
    await new Promise<void>((resolve) => socket.send(Uint8Array.from(bytes), port, host, () => resolve()));
    if (every > 0) await sleep(every);
  }
  socket.close();
  return { ok: true, text: String(sent) };
};

let arrived = 0;

/** Counts the datagrams that arrive at a port from now on. */
const tally: Handler<'tally'> = ({ port }) =>
  new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.on('message', () => arrived++);
    socket.bind(port, () => resolve({ ok: true, text: 'counting' }));
  });

/** How many came since the last question. */
const tallied: Handler<'tallied'> = () => {
  const answer = { ok: true, text: String(arrived) };
  arrived = 0;
  return Promise.resolve(answer);
};

const CHUNK = Buffer.alloc(12_500);

/** About 100 Mbit/s to an echo server for `ms`; answers with the bytes that came back and the longest silence, in ms. */
const stream: Handler<'stream'> = async ({ host, port, ms }) => {
  const socket = net.connect({ host, port });
  let bytes = 0;
  let last = Date.now();
  let gap = 0;
  socket.on('data', (data) => {
    gap = Math.max(gap, Date.now() - last);
    last = Date.now();
    bytes += data.length;
  });
  socket.on('error', () => {});
  for (const end = Date.now() + ms; Date.now() < end; await sleep(1)) socket.write(CHUNK);
  gap = Math.max(gap, Date.now() - last);
  socket.destroy();
  return { ok: bytes > 0, text: JSON.stringify({ bytes, gap }) };
};

const HANDLERS = {
  'tcp-listen': tcpListen,
  'udp-listen': udpListen,
  tcp,
  udp,
  open: openConnection,
  say,
  ping,
  datagrams,
  raw,
  'raw-heard': rawHeard,
  tally,
  tallied,
  stream,
};

if (process.send) {
  process.on('message', (message: { id: number; request: Request }) => {
    const handler = HANDLERS[message.request.kind] as (request: Request) => Promise<Answer>;
    void handler(message.request).then((answer) => process.send?.({ id: message.id, answer }));
  });
  process.on('disconnect', () => process.exit(0));
}
