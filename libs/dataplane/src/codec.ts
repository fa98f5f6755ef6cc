/** A record's bytes and its value. Little endian, as every kernel this runs on. */
export interface Codec<T> {
  readonly name: string;
  readonly size: number;
  encode(view: DataView, at: number, value: T): void;
  decode(view: DataView, at: number): T;
}

/** A field that its C type cannot hold. */
export class FieldError extends Error {
  readonly field: string;

  constructor(field: string, reason: string) {
    super(`${field}: ${reason}`);
    this.name = 'FieldError';
    this.field = field;
  }
}

export function putBytes(view: DataView, at: number, value: Uint8Array, length: number, field: string): void {
  if (value.length !== length) throw new FieldError(field, `needs ${length} bytes, has ${value.length}`);
  new Uint8Array(view.buffer, view.byteOffset + at, length).set(value);
}

export function getBytes(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
}

export function checkUint(value: number, bits: 8 | 16 | 32, field: string): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) throw new FieldError(field, `${value} is not a u${bits}`);
  return value;
}

export function checkUint64(value: bigint, field: string): bigint {
  if (BigInt.asUintN(64, value) !== value) throw new FieldError(field, `${value} is not a u64`);
  return value;
}

/** Records are small and many: each in memory of its own would cost more than what is in it. What is given out is never given again. */
const slabSize = 1 << 16;
let slab = new DataView(new ArrayBuffer(slabSize));
let used = 0;

export function encodeOne<T>(codec: Codec<T>, value: T): Uint8Array {
  if (used + codec.size > slabSize) {
    slab = new DataView(new ArrayBuffer(Math.max(slabSize, codec.size)));
    used = 0;
  }
  const at = used;
  used += codec.size;
  codec.encode(slab, at, value);
  return new Uint8Array(slab.buffer, at, codec.size);
}

export function decodeOne<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}

/** The codec of a bare u32 key. */
export const u32: Codec<number> = {
  name: 'u32',
  size: 4,
  encode: (view, at, value) => view.setUint32(at, checkUint(value, 32, 'key'), true),
  decode: (view, at) => view.getUint32(at, true),
};
