/** The few calls of libc that the kernel room makes, and the synchronous visit of another network namespace. */
import koffi from 'koffi';
import { KernelError } from './kernel.ts';

const libc = koffi.load('libc.so.6');

const call = {
  open: libc.func('int open(const char *path, int flags)'),
  close: libc.func('int close(int fd)'),
  setns: libc.func('int setns(int fd, int nstype)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)'),
  send: libc.func('int64_t send(int fd, const void *bytes, size_t size, int flags)'),
  recv: libc.func('int64_t recv(int fd, _Out_ void *bytes, size_t size, int flags)'),
  mmap: libc.func('void *mmap(void *at, size_t size, int protection, int flags, int fd, int64_t offset)'),
  munmap: libc.func('int munmap(void *at, size_t size)'),
  getpagesize: libc.func('int getpagesize()'),
  syscall: libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)'),
  statfs: libc.func('int statfs(const char *path, _Out_ void *bytes)'),
  mount: libc.func('int mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data)'),
};

const O_RDONLY_CLOEXEC = 0x80000;
const CLONE_NEWNET = 0x40000000;
const BPF_FS_MAGIC = 0xcafe4a11;
const MAP_SHARED = 1;
export const PROT_READ = 1;
export const PROT_READ_WRITE = 3;

const NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

export function errnoName(number: number): string {
  return NAMES.get(Math.abs(number)) ?? `errno ${Math.abs(number)}`;
}

/** Throws for a negative return value; libbpf returns -errno itself, libc sets errno. */
export function failed(what: string, path: string, number = koffi.errno()): KernelError {
  const name = errnoName(number);
  const denied = name === 'EPERM' || name === 'EACCES';
  return denied
    ? new KernelError('not-privileged', `${what} was refused with ${name}`, path, 'Run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN.')
    : new KernelError('kernel-call-failed', `${what} failed with ${name}`, path, 'Look at the path and at dmesg; try again.');
}

export function closeFd(fd: number): void {
  call.close(fd);
}

function openFile(path: string): number {
  const fd: number = call.open(path, O_RDONLY_CLOEXEC);
  if (fd >= 0) return fd;
  const name = errnoName(koffi.errno());
  if (name === 'ENOENT') throw new KernelError('namespace-missing', 'there is no such network namespace', path, 'Create the namespace first.');
  throw failed('open', path);
}

/** An open namespace; close it with closeFd. */
export function openNetns(path: string): number {
  return openFile(path);
}

/**
 * Runs `visit` with this thread inside another network namespace. `visit` must be synchronous: whatever ran in between would run
 * there too. Sockets made inside stay there.
 */
export function insideNetns<T>(path: string | undefined, visit: () => T): T {
  if (path === undefined) return visit();
  const there = openFile(path);
  const home = openFile('/proc/thread-self/ns/net');
  try {
    if (call.setns(there, CLONE_NEWNET) < 0) throw failed('setns', path);
    try {
      return visit();
    } finally {
      // to go on in the wrong namespace would configure another's network
      if (call.setns(home, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    closeFd(there);
    closeFd(home);
  }
}

export function openSocket(domain: number, type: number, protocol: number): number {
  const fd: number = call.socket(domain, type | O_RDONLY_CLOEXEC, protocol);
  if (fd < 0) throw failed('socket', 'netlink');
  return fd;
}

export function setOption(fd: number, level: number, name: number, value: Uint8Array): boolean {
  return call.setsockopt(fd, level, name, value, value.length) === 0;
}

export function sendAll(fd: number, bytes: Uint8Array): void {
  if (Number(call.send(fd, bytes, bytes.length, 0)) !== bytes.length) throw failed('send', 'netlink');
}

export function receive(fd: number, into: Uint8Array): number {
  for (;;) {
    const length = Number(call.recv(fd, into, into.length, 0));
    if (length >= 0) return length;
    if (errnoName(koffi.errno()) !== 'EINTR') throw failed('recv', 'netlink');
  }
}

export interface Mapping {
  readonly memory: ArrayBuffer;
  unmap(): void;
}

/** Memory of a map. Nothing may touch `memory` after `unmap`. */
export function mapMemory(fd: number, size: number, protection: number, offset: number, path: string): Mapping {
  const at: unknown = call.mmap(null, size, protection, MAP_SHARED, fd, offset);
  if (koffi.address(at) === 0xffffffffffffffffn) throw failed('mmap', path);
  return { memory: koffi.view(at, size), unmap: () => void call.munmap(at, size) };
}

export function pageSize(): number {
  return call.getpagesize();
}

export function isBpffs(path: string): boolean {
  const bytes = new Uint8Array(256);
  if (call.statfs(path, bytes) < 0) return false;
  return new DataView(bytes.buffer).getUint32(0, true) === BPF_FS_MAGIC;
}

export function mountBpffs(path: string): void {
  if (call.mount('bpf', path, 'bpf', 0, 'mode=0700') < 0) throw failed('mount -t bpf', path);
}

const MEMBARRIER = process.arch === 'arm64' ? 283 : 324;
const MEMBARRIER_CMD_GLOBAL = 1;
const FALLBACK_MS = 50;

/** Returns once every program that was running has ended: the global membarrier is a `synchronize_rcu`. */
export function waitForPackets(): void {
  if (Number(call.syscall(MEMBARRIER, MEMBARRIER_CMD_GLOBAL, 0, 0)) === 0) return;
  // refused under nohz_full: sleep longer than any grace period seen
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FALLBACK_MS);
}
