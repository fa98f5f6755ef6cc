/** Kernel maps as tables, read and written in batches. */
import type { Codec } from '../codec.ts';
import { encodeChecked, tableFull } from './checks.ts';
import type { KernelError, TableName, Target } from './kernel.ts';
import { errnoName, failed } from './libc.ts';
import { libbpf } from './libbpf.ts';
import { withinPrefix } from './prefix.ts';

const BATCH = 4096;
/** For whoever does other things in between: some milliseconds of work. */
const WALKED = 1024;

interface Rows { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number }

/** All rows of a hash or LPM map, as raw bytes. */
export function readAll(fd: number, keySize: number, valueSize: number, name: string): Rows {
  const batches = [...readBatches(fd, keySize, valueSize, name)];
  return {
    keys: Buffer.concat(batches.map(({ keys }) => keys)),
    values: Buffer.concat(batches.map(({ values }) => values)),
    count: batches.reduce((sum, { count }) => sum + count, 0),
  };
}

/** The same, batch by batch. A row of a hash keeps its place, so that one which is there all the while comes once, however long the pauses are. */
export function* readBatches(fd: number, keySize: number, valueSize: number, name: string, batch = BATCH): Generator<Rows> {
  let size = batch;
  let from: Uint8Array | null = null;
  for (;;) {
    const next = new Uint8Array(Math.max(keySize, 8));
    const keys = new Uint8Array(keySize * size);
    const values = new Uint8Array(valueSize * size);
    const count = Uint32Array.of(size);
    const result = libbpf().lookupBatch(fd, from, next, keys, values, count, null);
    const error = result < 0 ? errnoName(result) : '';
    if (error === 'ENOSPC') {
      // one hash bucket holds more than a batch
      size *= 2;
      continue;
    }
    if (error && error !== 'ENOENT') throw failed('reading', name, result);
    const read = count[0] ?? 0;
    yield { keys: keys.subarray(0, read * keySize), values: values.subarray(0, read * valueSize), count: read };
    if (error === 'ENOENT') return;
    from = next;
  }
}

export class KernelTable<K, V> implements Target<K, V> {
  readonly name: TableName;
  readonly capacity: number;
  readonly #fd: number;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;
  readonly #enter: () => void;
  /** Never less than the number of rows, so that a put that surely fits needs no reading. */
  #atMost: number;

  constructor(name: TableName, key: Codec<K>, value: Codec<V>, fd: number, capacity: number, enter: () => void) {
    this.name = name;
    this.capacity = capacity;
    this.#fd = fd;
    this.#key = key;
    this.#value = value;
    this.#enter = enter;
    this.#atMost = capacity;
  }

  list(): [K, V][] {
    this.#enter();
    const { keys, values, count } = readAll(this.#fd, this.#key.size, this.#value.size, this.name);
    const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
    const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
    this.#atMost = count;
    return Array.from({ length: count }, (_, row) => [
      this.#key.decode(keyView, row * this.#key.size),
      this.#value.decode(valueView, row * this.#value.size),
    ]);
  }

  /** Batch by batch; of those whose key is not wanted the value is not looked at. */
  *walk(wanted: (key: K) => boolean): Generator<[K, V][]> {
    this.#enter();
    for (const { keys, values, count } of readBatches(this.#fd, this.#key.size, this.#value.size, this.name, WALKED)) {
      const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
      const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
      const found: [K, V][] = [];
      for (let row = 0; row < count; row++) {
        const key = this.#key.decode(keyView, row * this.#key.size);
        if (wanted(key)) found.push([key, this.#value.decode(valueView, row * this.#value.size)]);
      }
      yield found;
      this.#enter();
    }
  }

  put(entries: readonly (readonly [K, V])[]): void {
    this.#enter();
    if (entries.length === 0) return;
    const keys = this.#pack(this.#key, entries.map(([key]) => key));
    const values = this.#pack(this.#value, entries.map(([, value]) => value));
    this.#makeSureItFits(keys, entries.length);
    const count = Uint32Array.of(entries.length);
    const result = libbpf().updateBatch(this.#fd, keys, values, count, null);
    if (result < 0) throw this.#explain(result);
  }

  remove(keys: readonly K[]): void {
    this.#enter();
    const packed = this.#pack(this.#key, keys);
    let done = 0;
    while (done < keys.length) {
      const count = Uint32Array.of(keys.length - done);
      const result = libbpf().deleteBatch(this.#fd, packed.subarray(done * this.#key.size), count, null);
      if (result >= 0) return;
      if (errnoName(result) !== 'ENOENT') throw failed('removing', this.name, result);
      // the kernel stops at a key that is not there: go on behind it
      done += (count[0] ?? 0) + 1;
    }
  }

  #pack<T>(codec: Codec<T>, items: readonly T[]): Uint8Array {
    const bytes = new Uint8Array(codec.size * items.length);
    items.forEach((item, index) => bytes.set(encodeChecked(codec, item, this.name), index * codec.size));
    return bytes;
  }

  #makeSureItFits(keys: Uint8Array, added: number): void {
    if (this.#atMost + added > this.capacity) {
      const present = readAll(this.#fd, this.#key.size, this.#value.size, this.name);
      const all = new Set<string>();
      for (const [bytes, rows] of [[present.keys, present.count], [keys, added]] as const) {
        for (let row = 0; row < rows; row++) all.add(this.#found(bytes.subarray(row * this.#key.size, (row + 1) * this.#key.size)));
      }
      if (all.size > this.capacity) throw tableFull(this.name, this.capacity, all.size);
      this.#atMost = all.size;
    } else {
      this.#atMost += added;
    }
  }

  /** Under what a row is found: the trie takes keys for one that differ only behind their prefix. */
  #found(key: Uint8Array): string {
    return Buffer.from(this.name === 'policy' ? withinPrefix(key) : key).toString('latin1');
  }

  #explain(result: number): KernelError {
    const name = errnoName(result);
    if (name === 'E2BIG' || name === 'ENOSPC') return tableFull(this.name, this.capacity, this.capacity + 1);
    return failed('writing', this.name, result);
  }
}
