/** A pinned map, read by bpf(2) and decoded by the layout that the kernel keeps with it. */
import { Layouts, type Row } from './layout.ts';
import { Attributes, bpf, close, WitnessError } from './syscall.ts';

const MAP_LOOKUP_ELEM = 1;
const OBJ_GET = 7;
const OBJ_GET_INFO_BY_FD = 15;
const BTF_GET_FD_BY_ID = 19;
const MAP_LOOKUP_BATCH = 24;
const ENOENT = 2;
const ENOSPC = 28;
const FIRST_BATCH = 1024;

export interface Pair {
  key: Row;
  value: Row;
}

export class PinnedMap {
  readonly #fd: number;
  readonly #path: string;
  readonly #layouts: Layouts;
  readonly #keySize: number;
  readonly #valueSize: number;
  readonly #keyType: number;
  readonly #valueType: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = bpf(OBJ_GET, new Attributes().buffer(0, new TextEncoder().encode(`${path}\0`)));
    if (this.#fd < 0) throw new WitnessError('the pinned map cannot be opened', path, -this.#fd);
    try {
      const info = about(this.#fd, new Uint8Array(128), path);
      this.#keySize = info.readUInt32LE(8);
      this.#valueSize = info.readUInt32LE(12);
      this.#keyType = info.readUInt32LE(68);
      this.#valueType = info.readUInt32LE(72);
      this.#layouts = layoutsOf(info.readUInt32LE(64), path);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  close(): void {
    close(this.#fd);
  }

  /** One entry of an array. */
  at(index: number): Row {
    const key = new Uint8Array(new Uint32Array([index]).buffer);
    const value = new Uint8Array(this.#valueSize);
    const attributes = new Attributes().number(0, this.#fd).buffer(8, key).buffer(16, value);
    const result = bpf(MAP_LOOKUP_ELEM, attributes);
    if (result < 0) throw new WitnessError('an entry cannot be read', this.#path, -result);
    return this.#layouts.decode(this.#valueType, Buffer.from(value.buffer));
  }

  /** Every entry, or those whose key's bytes are `wanted`: decoding costs more than reading. */
  *all(wanted: (key: Buffer) => boolean = () => true): Generator<Pair> {
    for (const { key, value } of this.#raw()) if (wanted(key)) yield this.#decode(key, value);
  }

  /** Every entry, made into something once: one whose bytes are those that were read before is the very thing that was made of it then. */
  converted<T>(convert: (pair: Pair) => T, before: ReadonlyMap<string, T>): Map<string, T> {
    const found = new Map<string, T>();
    for (const { key, value } of this.#raw()) {
      const bytes = key.toString('latin1') + value.toString('latin1');
      found.set(bytes, before.get(bytes) ?? convert(this.#decode(key, value)));
    }
    return found;
  }

  #decode(key: Buffer, value: Buffer): Pair {
    return { key: this.#layouts.decode(this.#keyType, key), value: this.#layouts.decode(this.#valueType, value) };
  }

  *#raw(): Generator<{ key: Buffer; value: Buffer }> {
    let size = FIRST_BATCH;
    let from: Uint8Array | undefined;
    for (;;) {
      const next = new Uint8Array(Math.max(this.#keySize, 4));
      const keys = Buffer.alloc(this.#keySize * size);
      const values = Buffer.alloc(this.#valueSize * size);
      const attributes = new Attributes().buffer(0, from).buffer(8, next).buffer(16, keys).buffer(24, values).number(32, size).number(36, this.#fd);
      const result = bpf(MAP_LOOKUP_BATCH, attributes);
      if (result === -ENOSPC) {
        size *= 2;
        continue;
      }
      if (result < 0 && result !== -ENOENT) throw new WitnessError('the entries cannot be read', this.#path, -result);
      for (let row = 0; row < attributes.read(32); row++) {
        yield { key: keys.subarray(row * this.#keySize, (row + 1) * this.#keySize), value: values.subarray(row * this.#valueSize, (row + 1) * this.#valueSize) };
      }
      if (result === -ENOENT) return;
      from = next;
    }
  }
}

function about(fd: number, into: Uint8Array, path: string): Buffer {
  const result = bpf(OBJ_GET_INFO_BY_FD, new Attributes().number(0, fd).number(4, into.length).buffer(8, into));
  if (result < 0) throw new WitnessError('the kernel tells nothing about it', path, -result);
  return Buffer.from(into.buffer);
}

/** Several maps share one BTF object; it never changes under its id. */
const known = new Map<number, Layouts>();

function layoutsOf(id: number, path: string): Layouts {
  const found = known.get(id);
  if (found) return found;
  const fd = bpf(BTF_GET_FD_BY_ID, new Attributes().number(0, id));
  if (fd < 0) throw new WitnessError('its BTF cannot be opened', path, -fd);
  try {
    const size = about(fd, new Uint8Array(32), path).readUInt32LE(8);
    const bytes = new Uint8Array(size);
    const info = Buffer.alloc(32);
    const attributes = new Attributes().number(0, fd).number(4, info.length).buffer(8, info);
    const pointer = new Attributes().buffer(0, bytes);
    info.set(pointer.bytes.subarray(0, 8));
    info.writeUInt32LE(size, 8);
    const result = bpf(OBJ_GET_INFO_BY_FD, attributes);
    if (result < 0) throw new WitnessError('its BTF cannot be read', path, -result);
    const layouts = new Layouts(bytes);
    known.set(id, layouts);
    return layouts;
  } finally {
    close(fd);
  }
}
