/**
 * Reads the BTF of a BPF object (ELF64, little endian): https://docs.kernel.org/bpf/btf.html
 * Knows the kinds that C records use; any other kind inside a record is an error.
 */
export interface Member {
  name: string;
  type: number;
  /** Bits from the start of the record. */
  offset: number;
}

export type BtfType =
  | { kind: 'int'; name: string; size: number; signed: boolean }
  | { kind: 'ptr' | 'typedef' | 'qualifier'; name: string; type: number }
  | { kind: 'array'; name: string; type: number; length: number }
  | { kind: 'struct' | 'union'; name: string; size: number; members: Member[] }
  | { kind: 'enum'; name: string; size: number; values: [string, number][] }
  | { kind: 'other'; name: string };

const KINDS = { int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, typedef: 8, volatile: 9, const: 10, restrict: 11 } as const;

/** Bytes that follow a type's header, by kind, for the kinds that records never contain. */
const TAIL: Record<number, (vlen: number) => number> = {
  7: () => 0,
  12: () => 0,
  13: (vlen) => vlen * 8,
  14: () => 4,
  15: (vlen) => vlen * 12,
  16: () => 0,
  17: () => 4,
  18: () => 0,
  19: (vlen) => vlen * 12,
};

export function section(elf: Buffer, wanted: string): Buffer {
  const found = sections(elf).find(({ name }) => name === wanted);
  if (!found) throw new Error(`the object has no section ${wanted}`);
  return found.bytes;
}

/** In their order, which symbols name them by. */
export function sections(elf: Buffer): { name: string; bytes: Buffer }[] {
  if (elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) throw new Error('not a little-endian ELF64 file');
  const start = Number(elf.readBigUInt64LE(40));
  const size = elf.readUInt16LE(58);
  const count = elf.readUInt16LE(60);
  const body = (index: number) => {
    const at = start + index * size;
    const offset = Number(elf.readBigUInt64LE(at + 24));
    return { name: elf.readUInt32LE(at), bytes: elf.subarray(offset, offset + Number(elf.readBigUInt64LE(at + 32))) };
  };
  const names = body(elf.readUInt16LE(62)).bytes;
  return Array.from({ length: count }, (_, index) => ({ name: text(names, body(index).name), bytes: body(index).bytes }));
}

/** All types by id; id 0 is void. */
export function parseBtf(btf: Buffer): BtfType[] {
  if (btf.readUInt16LE(0) !== 0xeb9f) throw new Error('not BTF');
  const header = btf.readUInt32LE(4);
  const types = btf.subarray(header + btf.readUInt32LE(8));
  const end = btf.readUInt32LE(12);
  const strings = btf.subarray(header + btf.readUInt32LE(16));
  const result: BtfType[] = [{ kind: 'other', name: 'void' }];
  let at = 0;
  while (at < end) {
    const [type, next] = parseType(types, strings, at);
    result.push(type);
    at = next;
  }
  return result;
}

function parseType(types: Buffer, strings: Buffer, at: number): [BtfType, number] {
  const name = text(strings, types.readUInt32LE(at));
  const info = types.readUInt32LE(at + 4);
  const size = types.readUInt32LE(at + 8);
  const vlen = info & 0xffff;
  const kind = (info >>> 24) & 0x1f;
  const tail = at + 12;
  switch (kind) {
    case KINDS.int:
      return [{ kind: 'int', name, size, signed: ((types.readUInt32LE(tail) >>> 24) & 1) === 1 }, tail + 4];
    case KINDS.ptr:
      return [{ kind: 'ptr', name, type: size }, tail];
    case KINDS.typedef:
      return [{ kind: 'typedef', name, type: size }, tail];
    case KINDS.volatile:
    case KINDS.const:
    case KINDS.restrict:
      return [{ kind: 'qualifier', name, type: size }, tail];
    case KINDS.array:
      return [{ kind: 'array', name, type: types.readUInt32LE(tail), length: types.readUInt32LE(tail + 8) }, tail + 12];
    case KINDS.struct:
    case KINDS.union: {
      const members = Array.from({ length: vlen }, (_, index): Member => {
        const member = tail + index * 12;
        const offset = types.readUInt32LE(member + 8);
        if (info >>> 31 && offset >>> 24) throw new Error(`bit fields are not supported: ${name}`);
        return { name: text(strings, types.readUInt32LE(member)), type: types.readUInt32LE(member + 4), offset };
      });
      return [{ kind: kind === KINDS.struct ? 'struct' : 'union', name, size, members }, tail + vlen * 12];
    }
    case KINDS.enum: {
      const values = Array.from({ length: vlen }, (_, index): [string, number] => {
        const value = tail + index * 8;
        return [text(strings, types.readUInt32LE(value)), types.readInt32LE(value + 4)];
      });
      return [{ kind: 'enum', name, size, values }, tail + vlen * 8];
    }
  }
  const length = TAIL[kind];
  if (!length) throw new Error(`unknown BTF kind ${kind}`);
  return [{ kind: 'other', name }, tail + length(vlen)];
}

function text(strings: Buffer, offset: number): string {
  return strings.toString('utf8', offset, strings.indexOf(0, offset));
}
