// Raw IP sockets: what a workload speaks that neither Node nor every kernel has, such as SCTP.
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const call = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  connect: libc.func('int connect(int fd, const void *address, uint32_t size)'),
  sendto: libc.func('int64_t sendto(int fd, const void *bytes, size_t size, int flags, const void *address, uint32_t addressSize)'),
  recv: libc.func('int64_t recv(int fd, _Out_ void *bytes, size_t size, int flags)'),
  close: libc.func('int close(int fd)'),
};
const AF_INET = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const everyMs = 2;

/** One IPv4 packet without its header. */
export interface Packet { readonly source: string; readonly payload: Buffer }
export interface RawSocket {
  /** False where the machine itself says no, such as that there is no route. */
  send(to: string, payload: Buffer): boolean;
  close(): void;
}

const sockaddr = (address: string): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  address.split('.').forEach((part, index) => bytes.writeUInt8(Number(part), 4 + index));
  return bytes;
};

/** Hears every packet of the protocol, or only those of one peer; root only (raw(7)). */
export function openRaw(protocol: number, o: { peer?: string; hear: (packet: Packet) => void }): RawSocket {
  const fd = call.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK_CLOEXEC, protocol) as number;
  if (fd < 0) throw new Error(`a raw socket was refused (errno ${koffi.errno()}); a workload runs as root`);
  if (o.peer !== undefined && (call.connect(fd, sockaddr(o.peer), 16) as number) < 0) {
    call.close(fd);
    throw new Error(`there is no route to ${o.peer} (errno ${koffi.errno()})`);
  }
  const buffer = Buffer.alloc(65_536);
  const timer = setInterval(() => {
    for (let size = Number(call.recv(fd, buffer, buffer.length, 0)); size >= 20; size = Number(call.recv(fd, buffer, buffer.length, 0))) {
      const header = ((buffer[0] ?? 0) & 0xf) * 4;
      o.hear({ source: [...buffer.subarray(12, 16)].join('.'), payload: Buffer.from(buffer.subarray(header, size)) });
    }
  }, everyMs);
  return {
    send: (to, payload) => Number(call.sendto(fd, payload, payload.length, 0, sockaddr(to), 16)) === payload.length,
    close: () => {
      clearInterval(timer);
      call.close(fd);
    },
  };
}
