// Keeps what this version stores in PostgreSQL: the schemas of all services with data in them, as a dump.
// Run as root by tools/release/snapshot.ts: node tools/release/postgres.ts <file>
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { labDown } from '@osier/lab/down';
import { loadManifests } from '@osier/lab/load';
import { labUp } from '@osier/lab/up';
import { findPostgres, startPostgres } from '@osier/store/postgres-server';

const [to = ''] = process.argv.slice(2);
const name = 'releasepg';
const manifests = join(import.meta.dirname, '../../test/data/online-boutique');
const postgres = await startPostgres();
try {
  const lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop', env: { OSIER_DATABASE_URL: postgres.url } });
  await loadManifests(lab, { path: manifests, environments: ['staging'] });
  const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
  await lab.client.apply('policy', scope, 'first-of-two', { appliesTo: { matchTags: { app: 'nobody' } }, isolates: ['ingress'] });
  await lab.client.delete('policy', scope, 'first-of-two');
  await lab.client.apply('network', scope, 'overlapping', { subnets: ['10.20.0.0/25'] }).catch(() => undefined);
  await new Promise((later) => setTimeout(later, 3_000));
  await labDown(name);
  const folder = new URL(postgres.url).searchParams.get('host') ?? '';
  const dump = spawnSync(join(findPostgres(), 'pg_dump'), ['--no-owner', '--no-privileges', '-h', folder, '-U', 'osier', 'osier'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (dump.status !== 0) throw new Error(`pg_dump failed: ${dump.error?.message ?? dump.stderr}`);
  // A plain dump of a newer pg_dump holds commands that an older psql does not know.
  const text = dump.stdout.split('\n').filter((line) => !/^\\(un)?restrict |^SET transaction_timeout/.test(line)).join('\n');
  writeFileSync(to, gzipSync(text, { level: 9 }));
  console.log(`${text.length} bytes of PostgreSQL`);
} finally {
  await labDown(name);
  await postgres.remove();
}
