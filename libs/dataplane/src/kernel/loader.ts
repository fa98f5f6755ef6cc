/** The object into the kernel: maps of a former process are taken over by their pins, the rest is created and pinned. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KernelError, type Limits } from './kernel.ts';
import { closeFd, errnoName, failed, isBpffs, mountBpffs } from './libc.ts';
import { type Handle, libbpf } from './libbpf.ts';
import { type MapName, MAPS, type MapShape, shapeOf } from './maps.ts';
import { Succession } from './succession.ts';

export const OBJECT_PATH = join(import.meta.dirname, '../../bpf/osier.bpf.o');

/** Part of every pin path: maps of another layout are never taken over by mistake. Those of the one before are followed by succession.ts. */
export const SCHEMA = 'v2';

const PROGRAMS = ['from_endpoint', 'to_endpoint', 'from_vxlan', 'collect'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

export interface Loaded {
  object: Handle;
  restored: boolean;
  maps: Record<MapName, number>;
  shapes: Record<MapName, MapShape>;
  programs: Record<ProgramName, number>;
  /** Call it once the programs are in place of the former ones. */
  conclude(): void;
}

/** Mounts a bpffs at `path` (made if absent) unless it lies on one already. */
export function ensureBpffs(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (!isBpffs(path)) mountBpffs(path);
}

export function checkPrerequisites(): void {
  if (process.geteuid?.() !== 0 && !process.env['OSIER_ALLOW_NON_ROOT']) {
    throw new KernelError('not-privileged', 'this process is not root', 'process', 'Run as root (sudo), or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN and OSIER_ALLOW_NON_ROOT=1.');
  }
  if (!existsSync('/sys/kernel/btf/vmlinux')) {
    throw new KernelError('btf-missing', 'this kernel has no BTF', '/sys/kernel/btf/vmlinux', 'Use a kernel of 5.15 or later built with CONFIG_DEBUG_INFO_BTF (Debian 12 has it).');
  }
  libbpf();
}

function checkBpffs(pinDir: string): void {
  let above = pinDir;
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
  if (!isBpffs(above)) {
    throw new KernelError('bpffs-missing', 'no BPF file system is mounted there', pinDir, `Call ensureBpffs, or run: mount -t bpf bpf ${above}`);
  }
}

/** The kernel's fingerprint of a loaded program. */
export function tagOf(fd: number, name: string): string {
  const info = new Uint8Array(256);
  const result = libbpf().info(fd, info, Uint32Array.of(info.length));
  if (result < 0) throw failed('reading the tag of a program', name, result);
  return Buffer.from(info.subarray(8, 16)).toString('hex');
}

function findMap(object: Handle, name: string): Handle {
  const map = libbpf().findMap(object, name);
  if (map) return map;
  throw new KernelError('object-missing', `the object has no map ${name}`, OBJECT_PATH, 'Build the object again: npm run build:bpf.');
}

/** Returns whether the map was there. */
function prepareMap(object: Handle, name: MapName, path: string, size: number | undefined): boolean {
  const bpf = libbpf();
  const map = findMap(object, name);
  const pinned = existsSync(path) ? bpf.get(path) : -1;
  if (pinned < 0) {
    if (existsSync(path)) throw failed('opening a pin', path, pinned);
    if (size !== undefined) bpf.setMaxEntries(map, size);
    return false;
  }
  try {
    const found = shapeOf(pinned, path);
    if (found.type !== bpf.mapType(map) || found.keySize !== bpf.keySize(map) || found.valueSize !== bpf.valueSize(map)) {
      throw new KernelError('pins-incompatible', 'the pinned map has another layout', path, `Move traffic away, then delete the pins: rm -r ${dirname(path)}`);
    }
    const result = bpf.reuseFd(map, pinned);
    if (result < 0) throw failed('taking over a map', path, result);
    return true;
  } finally {
    closeFd(pinned);
  }
}

/** `path`, `schema`, `names` of maps: of another version than today's, for tests. */
export function load(pinDir: string, sizes: Partial<Limits>, { path = OBJECT_PATH, schema = SCHEMA, names = MAPS as readonly MapName[] } = {}): Loaded {
  checkPrerequisites();
  checkBpffs(pinDir);
  const folder = join(pinDir, schema);
  const former = schema === SCHEMA ? Succession.begin(pinDir, folder) : undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const bpf = libbpf();
  const object = openObject(path);
  try {
    const found = names.filter((name) => prepareMap(object, name, join(folder, name), former?.capacity(name) ?? sizes[name as keyof Limits]));
    const result = bpf.load(object);
    if (result < 0) throw explainLoad(result);
    const maps = Object.fromEntries(names.map((name) => [name, bpf.mapFd(findMap(object, name))])) as Loaded['maps'];
    former?.copy(maps);
    for (const name of names) {
      if (found.includes(name)) continue;
      const pinned = bpf.pin(maps[name], join(folder, name));
      if (pinned < 0) throw failed('pinning', join(folder, name), pinned);
    }
    const shapes = Object.fromEntries(names.map((name) => [name, shapeOf(maps[name], name)])) as Loaded['shapes'];
    const programs = Object.fromEntries(PROGRAMS.map((name) => [name, programFd(object, name)])) as Loaded['programs'];
    return { object, restored: found.length > 0 || former !== undefined, maps, shapes, programs, conclude: () => former?.conclude(maps) };
  } catch (error) {
    bpf.closeObject(object);
    throw error;
  }
}

function openObject(path: string = OBJECT_PATH): Handle {
  const object = libbpf().openObject(path, null);
  if (object) return object;
  throw new KernelError('object-missing', 'the BPF object cannot be read', path, 'Restore it from the release, or build it: npm run build:bpf.');
}

function programFd(object: Handle, name: ProgramName): number {
  const program = libbpf().findProgram(object, name);
  if (program) return libbpf().programFd(program);
  throw new KernelError('object-missing', `the object has no program ${name}`, OBJECT_PATH, 'Build the object again: npm run build:bpf.');
}

const LOG_BYTES = 1 << 20;
const LOG_LINES = 12;

/** libbpf says only a number: load once more with a log to learn why. */
function explainLoad(result: number): KernelError {
  const name = errnoName(result);
  if (name === 'EPERM') return failed('loading the programs', OBJECT_PATH, result);
  const log = verifierLog();
  if (log) return new KernelError('load-failed', `the kernel refused the programs with ${name}: ${log}`, OBJECT_PATH, 'Use a kernel of 5.15 or later, and report this log.');
  return new KernelError('load-failed', `the object does not load: ${name}`, OBJECT_PATH, 'Look at dmesg for the reason.');
}

function verifierLog(): string {
  const bpf = libbpf();
  const object = openObject();
  const logs = PROGRAMS.map((name) => {
    const buffer = new Uint8Array(LOG_BYTES);
    const program = bpf.findProgram(object, name);
    if (program) bpf.setLogBuffer(program, buffer, buffer.length);
    return buffer;
  });
  const result = bpf.load(object);
  const texts = logs.map((log) => Buffer.from(log.subarray(0, log.indexOf(0))).toString());
  bpf.closeObject(object);
  if (result >= 0) return '';
  return (texts.findLast((text) => text !== '') ?? '').trim().split('\n').slice(-LOG_LINES).join('\n');
}
