/** The layout of a map as the kernel itself knows it: its BTF, decoded by field names. */
import { WitnessError } from './syscall.ts';

export type Value = number | bigint | Uint8Array | number[] | bigint[];
export type Row = Record<string, Value>;

interface Node {
  kind: number;
  name: string;
  size: number;
  /** Of pointers, typedefs and arrays. */
  target: number;
  length: number;
  fields: { name: string; type: number; byte: number }[];
}

const INT = 1;
const ARRAY = 3;
const STRUCT = 4;
const ENUM = 6;
const TYPEDEF = 8;
const QUALIFIERS = [9, 10, 11];

/** Bytes behind the 12 of the header, by kind (kernel doc: bpf/btf). */
function extra(kind: number, count: number): number {
  if (kind === INT || kind === 14 || kind === 17) return 4;
  if (kind === ARRAY) return 12;
  if (kind === STRUCT || kind === 5 || kind === 15 || kind === 19) return 12 * count;
  if (kind === ENUM || kind === 13) return 8 * count;
  return 0;
}

export class Layouts {
  readonly #nodes: Node[] = [];

  constructor(bytes: Uint8Array) {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const header = data.readUInt32LE(4);
    const first = header + data.readUInt32LE(8);
    const end = first + data.readUInt32LE(12);
    const strings = data.subarray(header + data.readUInt32LE(16));
    const name = (at: number) => strings.toString('latin1', at, strings.indexOf(0, at));
    this.#nodes.push({ kind: 0, name: 'void', size: 0, target: 0, length: 0, fields: [] });
    for (let at = first; at < end; ) {
      const info = data.readUInt32LE(at + 4);
      const kind = (info >>> 24) & 31;
      const count = info & 0xffff;
      const size = data.readUInt32LE(at + 8);
      const node: Node = { kind, name: name(data.readUInt32LE(at)), size, target: size, length: 0, fields: [] };
      if (kind === ARRAY) {
        node.target = data.readUInt32LE(at + 12);
        node.length = data.readUInt32LE(at + 20);
      }
      for (let index = 0; kind === STRUCT && index < count; index++) {
        const field = at + 12 + index * 12;
        node.fields.push({ name: name(data.readUInt32LE(field)), type: data.readUInt32LE(field + 4), byte: data.readUInt32LE(field + 8) / 8 });
      }
      this.#nodes.push(node);
      at += 12 + extra(kind, count);
    }
  }

  /** A structure becomes a row by its field names; a bare number becomes `{ value }`. */
  decode(type: number, data: Buffer): Row {
    const node = this.#plain(type);
    if (node.kind !== STRUCT) return { value: this.#value(type, data, 0) };
    return Object.fromEntries(node.fields.map((field) => [field.name, this.#value(field.type, data, field.byte)]));
  }

  #plain(type: number): Node {
    const node = this.#nodes[type];
    if (!node) throw new WitnessError(`the kernel's type ${type} is unknown`, 'btf');
    return node.kind === TYPEDEF || QUALIFIERS.includes(node.kind) ? this.#plain(node.target) : node;
  }

  #networkOrder(type: number): boolean {
    const node = this.#nodes[type];
    if (!node || node.name === '__be16' || node.name === '__be32') return node !== undefined;
    return (node.kind === TYPEDEF || QUALIFIERS.includes(node.kind)) && this.#networkOrder(node.target);
  }

  #value(type: number, data: Buffer, at: number): Value {
    const node = this.#plain(type);
    if (node.kind === ARRAY) return this.#array(node, data, at);
    if (node.kind !== INT && node.kind !== ENUM) throw new WitnessError(`a field has the kind ${node.kind}`, 'btf');
    if (node.size === 8) return data.readBigUInt64LE(at);
    return this.#networkOrder(type) ? data.readUIntBE(at, node.size) : data.readUIntLE(at, node.size);
  }

  #array(node: Node, data: Buffer, at: number): Value {
    const size = this.#plain(node.target).size;
    if (size === 1) return Uint8Array.from(data.subarray(at, at + node.length));
    const items = Array.from({ length: node.length }, (_, index) => this.#value(node.target, data, at + index * size));
    return items as number[] | bigint[];
  }
}
