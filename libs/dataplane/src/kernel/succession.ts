/**
 * From the maps of the layout before to those of today, while packets pass.
 *
 *   former pins ─copy─► today's maps ─pin─► programs replaced ─copy the flows that began meanwhile─► former pins go, last
 *
 * A value only ever grows at its end, and 0 there means what was so without it (bpf/records.h): the former one is copied as a beginning.
 * Until the programs are replaced the former ones decide by the former maps; whatever is cut off before the former pins are gone is done
 * again from them. They are also there when an agent of the former version came back: what it enforces counts, not what is in today's.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { encodeOne, u32 } from '../codec.ts';
import { KernelError } from './kernel.ts';
import { closeFd, failed } from './libc.ts';
import { libbpf } from './libbpf.ts';
import { type MapName, MAPS, type MapShape, MapType, shapeOf } from './maps.ts';
import { readAll } from './tables.ts';

/** The layout before today's, and where its pins are while they go: they go all at once. */
const FORMER = 'v1';
const GOING = 'going';
const NOEXIST = 1;
const BATCH = 4096;

export type Fds = Readonly<Record<MapName, number>>;

/** Every folder of a node's pins that a version of Osier may have left; `SCHEMA` is today's. */
export const formerFolders = (pinDir: string): string[] => [join(pinDir, FORMER), join(pinDir, GOING)];

export class Succession {
  readonly #pinDir: string;
  readonly #flows = new Set<string>();

  private constructor(pinDir: string) {
    this.#pinDir = pinDir;
  }

  /** Undefined: nothing of a former version is there. Otherwise today's folder of pins is emptied. */
  static begin(pinDir: string, today: string): Succession | undefined {
    rmSync(join(pinDir, GOING), { recursive: true, force: true });
    if (!existsSync(join(pinDir, FORMER))) return undefined;
    rmSync(today, { recursive: true, force: true });
    return new Succession(pinDir);
  }

  /** The capacity of a former table, so that what is in it fits. */
  capacity(name: MapName): number | undefined {
    return this.#visit(name, (_fd, shape) => (isArray(shape) ? undefined : shape.maxEntries));
  }

  copy(to: Fds): void {
    for (const name of MAPS) this.#visit(name, (fd, shape) => this.#copyMap(name, fd, shape, to[name]));
  }

  /** Once today's programs are in place. */
  conclude(to: Fds): void {
    this.#visit('conntrack', (fd, shape) => this.#copyNewFlows(fd, shape, to.conntrack));
    renameSync(join(this.#pinDir, FORMER), join(this.#pinDir, GOING));
    rmSync(join(this.#pinDir, GOING), { recursive: true });
  }

  #visit<T>(name: MapName, act: (fd: number, shape: MapShape) => T): T | undefined {
    const path = join(this.#pinDir, FORMER, name);
    if (!existsSync(path)) return undefined;
    const fd = libbpf().get(path);
    if (fd < 0) throw failed('opening a pin', path, fd);
    try {
      return act(fd, shapeOf(fd, path));
    } finally {
      closeFd(fd);
    }
  }

  #copyMap(name: MapName, from: number, former: MapShape, to: number): void {
    const today = shapeOf(to, name);
    const perCpu = former.type === MapType.perCpuArray;
    const grown = perCpu ? today.valueSize === former.valueSize : today.valueSize >= former.valueSize;
    if (today.type !== former.type || today.keySize !== former.keySize || !grown) {
      const path = join(this.#pinDir, FORMER, name);
      throw new KernelError('pins-incompatible', 'the pinned map is no beginning of today\'s layout', path, `Move traffic away, then delete the pins: rm -r ${join(this.#pinDir, FORMER)}`);
    }
    if (former.type === MapType.ring) return;
    if (isArray(former)) return copyArray(name, from, former, to, today, perCpu ? libbpf().cpus() : 1);
    const { keys, values, count } = readAll(from, former.keySize, former.valueSize, name);
    const wide = widen(values, count, former.valueSize, today.valueSize);
    for (let at = 0; at < count; at += BATCH) {
      const size = Math.min(BATCH, count - at);
      const result = libbpf().updateBatch(to, keys.subarray(at * today.keySize), wide.subarray(at * today.valueSize), Uint32Array.of(size), null);
      if (result < 0) throw failed('copying', name, result);
    }
    if (name === 'conntrack') for (let row = 0; row < count; row++) this.#flows.add(textOf(keys, row, today.keySize));
  }

  #copyNewFlows(from: number, former: MapShape, to: number): void {
    const today = shapeOf(to, 'conntrack');
    const { keys, values, count } = readAll(from, former.keySize, former.valueSize, 'conntrack');
    const wide = widen(values, count, former.valueSize, today.valueSize);
    for (let row = 0; row < count; row++) {
      if (this.#flows.has(textOf(keys, row, today.keySize))) continue;
      // one that has packets under today's programs already is theirs: the kernel refuses to write it
      libbpf().updateElem(to, keys.subarray(row * today.keySize), wide.subarray(row * today.valueSize), NOEXIST);
    }
  }
}

const isArray = (shape: MapShape): boolean => shape.type === MapType.array || shape.type === MapType.perCpuArray;

const textOf = (keys: Uint8Array, row: number, size: number): string => Buffer.from(keys.buffer, keys.byteOffset + row * size, size).toString('latin1');

/** Each value with zeros behind it. */
function widen(values: Uint8Array, count: number, from: number, to: number): Uint8Array {
  const wide = new Uint8Array(count * to);
  for (let row = 0; row < count; row++) wide.set(values.subarray(row * from, (row + 1) * from), row * to);
  return wide;
}

function copyArray(name: MapName, from: number, former: MapShape, to: number, today: MapShape, cpus: number): void {
  for (let index = 0; index < Math.min(former.maxEntries, today.maxEntries); index++) {
    const value = new Uint8Array(today.valueSize * cpus);
    const read = libbpf().lookupElem(from, encodeOne(u32, index), value);
    const result = read < 0 ? read : libbpf().updateElem(to, encodeOne(u32, index), value, 0);
    if (result < 0) throw failed('copying', name, result);
  }
}
