/** Builds the committed object and everything derived from it. Needs clang-14, llvm-strip-14 and libbpf-dev (or CLANG=…). */
import { readFileSync, writeFileSync } from 'node:fs';
import { generate } from './generate.ts';
import { clangVersion, compile, LIBRARY, OBJECT, PROVENANCE, type Provenance, RECORDS, sha256, sourceHashes } from './object.ts';

const clang = process.env['CLANG'] ?? 'clang-14';
compile(LIBRARY, OBJECT, clang);
const object = readFileSync(OBJECT);
const provenance: Provenance = { sources: sourceHashes(), object: sha256(object), clang: clangVersion(clang) };
writeFileSync(PROVENANCE, `${JSON.stringify(provenance, null, 2)}\n`);
writeFileSync(RECORDS, generate(object));
console.log(`${OBJECT}: ${object.length} bytes`);
