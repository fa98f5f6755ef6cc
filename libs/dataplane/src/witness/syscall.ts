/** bpf(2), setns(2) and a netlink socket, straight through libc: the witness uses nothing that the writer uses. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const syscall = libc.func('int64_t syscall(int64_t number, int64_t command, _Inout_ void *attributes, int64_t size)');
const openat = libc.func('int open(const char *path, int flags)');
const closeFile = libc.func('int close(int fd)');
const setns = libc.func('int setns(int fd, int type)');
const socketOf = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t size)');
const write = libc.func('int64_t write(int fd, const void *bytes, size_t size)');
const read = libc.func('int64_t read(int fd, _Out_ void *bytes, size_t size)');

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
const CLOEXEC = 0x80000;
const NEWNET = 0x40000000;
const NONBLOCK = 0x800;
const EAGAIN = 11;
const ENOBUFS = 105;

/** The read-back could not be done: that is no statement about what the kernel holds. */
export class WitnessError extends Error {
  readonly code = 'read-back-failed';
  readonly reason: string;
  readonly path: string;
  readonly fix: string;
  readonly errno: number;

  constructor(reason: string, path: string, errno = 0, fix = 'Look whether the dataplane of this node is loaded (its pins exist).') {
    super(`read-back-failed: ${reason} (${path})`);
    this.name = 'WitnessError';
    this.reason = reason;
    this.path = path;
    this.fix = fix;
    this.errno = errno;
  }
}

export class Attributes {
  readonly bytes = new Uint8Array(128);
  readonly #view = new DataView(this.bytes.buffer);
  /** Buffers that the kernel is given the address of must live until the call. */
  readonly #held: Uint8Array[] = [];

  number(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  buffer(at: number, value: Uint8Array | undefined): this {
    if (value) this.#held.push(value);
    this.#view.setBigUint64(at, value ? koffi.address(value) : 0n, true);
    return this;
  }

  read(at: number): number {
    return this.#view.getUint32(at, true);
  }
}

/** Returns the result, or -errno. */
export function bpf(command: number, attributes: Attributes): number {
  const result = Number(syscall(SYS_BPF, command, attributes.bytes, attributes.bytes.length));
  return result < 0 ? -koffi.errno() : result;
}

export function close(fd: number): void {
  closeFile(fd);
}

function open(path: string): number {
  const fd: number = openat(path, CLOEXEC);
  if (fd < 0) throw new WitnessError('it cannot be opened', path, koffi.errno());
  return fd;
}

/** A netlink socket of another namespace; synchronous, so that nothing else of this process runs there. */
export function routeSocket(netnsPath: string | undefined, flags = 0): number {
  if (netnsPath === undefined) return socketHere(flags);
  const there = open(netnsPath);
  const home = open('/proc/thread-self/ns/net');
  try {
    if (setns(there, NEWNET) < 0) throw new WitnessError('the namespace cannot be entered', netnsPath, koffi.errno());
    const fd = socketHere(flags);
    if (setns(home, NEWNET) < 0) process.abort();
    return fd;
  } finally {
    close(there);
    close(home);
  }
}

function socketHere(flags: number): number {
  const fd: number = socketOf(16, 3 | CLOEXEC | flags, 0);
  if (fd < 0) throw new WitnessError('there is no netlink socket', 'netlink', koffi.errno());
  return fd;
}

/** One that is told what happens, and never waited for. */
export function newsSocket(netnsPath: string | undefined, groups: number): number {
  const fd = routeSocket(netnsPath, NONBLOCK);
  const address = Buffer.alloc(12);
  address.writeUInt16LE(16, 0);
  address.writeUInt32LE(groups, 8);
  if (bind(fd, address, address.length) === 0) return fd;
  const errno = koffi.errno();
  close(fd);
  throw new WitnessError('netlink tells no news', 'netlink', errno);
}

/** `lost`: more happened than the socket could hold. */
export function readNews(fd: number, into: Uint8Array): number | 'none' | 'lost' {
  const length = Number(read(fd, into, into.length));
  if (length > 0) return length;
  const errno = koffi.errno();
  if (length < 0 && errno === EAGAIN) return 'none';
  if (length < 0 && errno === ENOBUFS) return 'lost';
  throw new WitnessError('netlink tells no news any more', 'netlink', errno);
}

export function writeTo(fd: number, bytes: Uint8Array): void {
  if (Number(write(fd, bytes, bytes.length)) !== bytes.length) throw new WitnessError('netlink refused a question', 'netlink', koffi.errno());
}

export function readFrom(fd: number, into: Uint8Array): number {
  const length = Number(read(fd, into, into.length));
  if (length < 0) throw new WitnessError('netlink gave no answer', 'netlink', koffi.errno());
  return length;
}
