import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseBtf, section } from './btf.ts';
import { staleness } from './check-bpf.ts';
import { generate } from './generate.ts';
import { OBJECT, PROVENANCE, type Provenance, RECORDS, sourceHashes } from './object.ts';
import { deepest, STACK } from './stack.ts';

const object = readFileSync(OBJECT);
const records = readFileSync(RECORDS, 'utf8');
const provenance = JSON.parse(readFileSync(PROVENANCE, 'utf8')) as Provenance;

const STRUCT = 4;
const HEADER = 12;
const MEMBER = 12;

/** A copy of the object, and where a struct's BTF header lies in it. */
function withStruct(name: string): { copy: Buffer; at: number } {
  const copy = Buffer.from(object);
  const btf = section(copy, '.BTF');
  const strings = btf.readUInt32LE(4) + btf.readUInt32LE(16);
  const offset = btf.indexOf(Buffer.from(`\0${name}\0`), strings) + 1 - strings;
  for (let at = btf.readUInt32LE(4); at < strings; at += 4) {
    if (btf.readUInt32LE(at) === offset && (btf.readUInt32LE(at + 4) >>> 24) === STRUCT) return { copy, at: at + (btf.byteOffset - copy.byteOffset) };
  }
  throw new Error(`no struct ${name}`);
}

describe('the committed object', () => {
  it('belongs to its sources and to the generated records', () => {
    expect(staleness(provenance, sourceHashes(), object, records)).toEqual([]);
  });

  it('fits into the stack that a kernel before 6.8 has, which counts each call in steps of 32 bytes', () => {
    const { bytes, way } = deepest(object);
    expect({ way, fits: bytes <= STACK }).toEqual({ way: expect.arrayContaining([expect.stringMatching(/^track /), expect.stringMatching(/^walk_layers /)]), fits: true });
  });

  it('carries no path of the machine that built it', () => {
    expect(object.toString('latin1')).not.toMatch(/\/(home|usr|tmp|root|opt|var)\//);
  });
});

describe('staleness', () => {
  it.each([
    ['a changed source', { ...sourceHashes(), 'policy.h': 'other' }, object, records, 'bpf/policy.h changed since the object was built'],
    ['a new source', { ...sourceHashes(), 'new.h': 'x' }, object, records, 'bpf/new.h changed since the object was built'],
    ['edited records', sourceHashes(), object, `${records}//`, 'src/records.gen.ts is not what the object yields'],
    ['another object', sourceHashes(), Buffer.concat([object, Buffer.of(0)]), records, 'bpf/osier.bpf.o is not the one that bpf/osier.bpf.o.json describes'],
  ])('names %s', (_name, sources, bytes, text, line) => {
    expect(staleness(provenance, sources, bytes, text)).toEqual([line]);
  });
});

describe('the generator', () => {
  it('refuses padding at the end of a record', () => {
    const { copy, at } = withStruct('address_key');
    copy.writeUInt32LE(copy.readUInt32LE(at + 8) + 4, at + 8);
    expect(() => generate(copy)).toThrow('hidden padding at the end of address_key');
  });

  it('refuses padding between two fields', () => {
    const { copy, at } = withStruct('address_key');
    const second = at + HEADER + MEMBER + 8;
    copy.writeUInt32LE(copy.readUInt32LE(second) + 32, second);
    expect(() => generate(copy)).toThrow('hidden padding before address_key.address');
  });

  it('refuses an object without a record that it needs', () => {
    const copy = Buffer.from(object);
    copy.write('flow_xvent', copy.indexOf('\0flow_event\0') + 1);
    expect(() => generate(copy)).toThrow('has no struct flow_event');
  });
});

describe('the BTF reader', () => {
  it('reads the sizes that C gave', () => {
    const types = parseBtf(section(object, '.BTF'));
    const size = (name: string) => types.find((type) => type.kind === 'struct' && type.name === name);
    expect(size('address_key')).toMatchObject({ size: 20 });
    expect(size('policy_key')).toMatchObject({ size: 16 });
    expect(types.find((type) => type.kind === 'enum' && type.name === 'direction')).toMatchObject({ size: 1 });
  });

  it('refuses what is no ELF file', () => {
    expect(() => section(Buffer.from('#!/bin/sh and more of it'), '.BTF')).toThrow('not a little-endian ELF64 file');
  });
});
