/** How much stack the programs of an object take at their deepest, as a kernel before 6.8 counts: each call's in steps of 32 bytes, at least one. */
import { section, sections } from './btf.ts';

export const STACK = 512;
const STEP = 32;
const INSTRUCTION = 8;
const [CALL, LOAD_64, COPY, ADD] = [0x85, 0x18, 0xbf, 0x07];
const FRAME = 10;
const [FUNCTION, SECTION] = [2, 3];
/** What a relocated instruction names: a function of the programs. */
const LOCAL_CALL = 1;

interface Code { readonly frame: number; readonly calls: readonly string[] }
interface Named { readonly name: string; readonly type: number; readonly section: number; readonly at: number; readonly size: number }

/** The way down that takes most, from a program to the function that calls none, and what it takes. */
export function deepest(elf: Buffer): { readonly bytes: number; readonly way: readonly string[] } {
  const functions = read(elf);
  const below = (name: string): { bytes: number; way: readonly string[] } => {
    const { frame, calls } = functions.get(name) ?? { frame: 0, calls: [] };
    const under = calls.map(below).reduce((most, one) => (one.bytes > most.bytes ? one : most), { bytes: 0, way: [] as readonly string[] });
    return { bytes: Math.max(STEP, Math.ceil(frame / STEP) * STEP) + under.bytes, way: [`${name} ${frame}`, ...under.way] };
  };
  return [...functions.keys()].map(below).reduce((most, one) => (one.bytes > most.bytes ? one : most));
}

function read(elf: Buffer): ReadonlyMap<string, Code> {
  const [symbols, names] = [section(elf, '.symtab'), section(elf, '.strtab')];
  const all = Array.from({ length: symbols.length / 24 }, (_, i): Named => {
    const at = i * 24;
    const from = symbols.readUInt32LE(at);
    return {
      name: names.toString('latin1', from, names.indexOf(0, from)), type: (symbols[at + 4] ?? 0) & 15, section: symbols.readUInt16LE(at + 6),
      at: Number(symbols.readBigUInt64LE(at + 8)), size: Number(symbols.readBigUInt64LE(at + 16)),
    };
  });
  const found = new Map<string, Code>();
  const parts = sections(elf);
  for (const [index, { name, bytes: code }] of parts.entries()) {
    const own = all.filter((one) => one.type === FUNCTION && one.section === index);
    if (own.length === 0) continue;
    const moved = new Map<number, Named>();
    const relocations = parts.find((part) => part.name === `.rel${name}`)?.bytes ?? Buffer.alloc(0);
    for (let at = 0; at < relocations.length; at += 16) {
      const symbol = all[relocations.readUInt32LE(at + 12)];
      if (symbol) moved.set(Number(relocations.readBigUInt64LE(at)), symbol);
    }
    const functionAt = (where: number, at: number): string[] => all.filter((one) => one.type === FUNCTION && one.section === where && one.at === at).map((one) => one.name);
    for (const one of own) found.set(one.name, codeOf(code, one, (at, operation, immediate) => {
      const symbol = moved.get(at);
      if (symbol === undefined) return operation === CALL && (code[at + 1] ?? 0) >> 4 === LOCAL_CALL ? functionAt(index, at + (immediate + 1) * INSTRUCTION) : [];
      return functionAt(symbol.section, symbol.type === SECTION ? operation === CALL ? (immediate + 1) * INSTRUCTION : immediate : symbol.at);
    }));
  }
  return found;
}

function codeOf(code: Buffer, { at: from, size }: Named, called: (at: number, operation: number, immediate: number) => string[]): Code {
  let frame = 0;
  const calls = new Set<string>();
  /** The register that has just become the frame's, to which a number may be added next. */
  let copied = -1;
  for (let at = from; at < from + size; at += INSTRUCTION) {
    const [operation = 0, registers = 0] = code.subarray(at, at + 2);
    const [to, source] = [registers & 15, registers >> 4];
    const [offset, immediate] = [code.readInt16LE(at + 2), code.readInt32LE(at + 4)];
    const kind = operation & 7;
    if ((kind === 1 && source === FRAME) || ((kind === 2 || kind === 3) && to === FRAME)) frame = Math.max(frame, -offset);
    if (operation === ADD && to === copied) frame = Math.max(frame, -immediate);
    copied = operation === COPY && source === FRAME ? to : operation === ADD ? -1 : copied;
    if (operation === CALL || operation === LOAD_64) for (const name of called(at, operation, immediate)) calls.add(name);
    if (operation === LOAD_64) at += INSTRUCTION;
  }
  return { frame, calls: [...calls] };
}
