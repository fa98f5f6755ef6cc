/** Fails if the committed object, its sources and the generated records do not belong together. Needs no compiler. */
import { readFileSync } from 'node:fs';
import { generate } from './generate.ts';
import { OBJECT, PROVENANCE, type Provenance, RECORDS, sha256, sourceHashes } from './object.ts';

/** What is stale, in words; empty if all is well. */
export function staleness(provenance: Provenance, sources: Record<string, string>, object: Buffer, records: string): string[] {
  const stale: string[] = [];
  for (const name of new Set([...Object.keys(sources), ...Object.keys(provenance.sources)])) {
    if (sources[name] !== provenance.sources[name]) stale.push(`bpf/${name} changed since the object was built`);
  }
  if (sha256(object) !== provenance.object) stale.push('bpf/osier.bpf.o is not the one that bpf/osier.bpf.o.json describes');
  if (generate(object) !== records) stale.push('src/records.gen.ts is not what the object yields');
  return stale;
}

if (process.argv[1] === import.meta.filename) {
  const provenance = JSON.parse(readFileSync(PROVENANCE, 'utf8')) as Provenance;
  const stale = staleness(provenance, sourceHashes(), readFileSync(OBJECT), readFileSync(RECORDS, 'utf8'));
  for (const line of stale) console.error(line);
  if (stale.length > 0) {
    console.error('Run `npm run build:bpf -w @osier/dataplane` and commit what it writes.');
    process.exitCode = 1;
  }
}
