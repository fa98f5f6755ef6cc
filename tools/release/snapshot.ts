// Keeps what this version says and stores, so that every later version can prove that it still understands it:
//   test/released/<version>/messages/<stream>.<kind>.json   one message of each kind, with its subject and headers
//   test/released/<version>/databases/<service>.db          a database with data, as a stopped service leaves it
//   test/released/<version>/postgres.sql.gz                 the schemas of all services in PostgreSQL, with data
//   test/released/<version>/osier.bpf.o                     the programs and the layout of the pinned maps
//   test/released/<version>/programs.tar.gz                 the sources of the programs, of the commit that is checked out
// Run once per release, as root: node tools/release/snapshot.ts
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { connectBus } from '@osier/bus/jetstream';
import { readLogin } from '@osier/bus/login';
import type { Message } from '@osier/bus/bus';
import { labDown } from '@osier/lab/down';
import type { Lab } from '@osier/lab/lab';
import { readInventory } from '@osier/lab/inventory';
import { loadManifests } from '@osier/lab/load';
import { measureMatrix } from '@osier/lab/probes';
import { natsUrl } from '@osier/lab/programs';
import { services } from '@osier/lab/record';
import { labUp } from '@osier/lab/up';
import { root } from '../root.ts';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const to = join(root, 'test/released', version);
const name = 'release';

/** What tells one kind of message from another, by its subject: `osier.intent.*.*.*.network.apply.*` is `network.apply`. */
function kindOf(message: Message, body: { result?: string; topic?: string }): string {
  const tokens = message.subject.split('.');
  if (tokens[1] === 'intent') return `${tokens[5]}.${tokens[6]}`;
  if (tokens[1] === 'state') return String(tokens[5]);
  if (tokens[1] === 'outcome') return String(body.result);
  if (tokens[1] === 'observation') return String(body.topic ?? tokens[3]);
  return String(tokens[1]);
}

async function keepMessages(lab: Lab): Promise<void> {
  const bus = await connectBus({ url: natsUrl(lab.record), ...readLogin(lab.paths.creds('admin')), name: 'release' });
  const kept = new Map<string, unknown>();
  for (const stream of ['INTENTS', 'CHANGES', 'OUTCOMES', 'RECEIPTS', 'FLOWS', 'OBSERVATIONS']) {
    for await (const message of bus.read({ stream, from: 'all' })) {
      const body = JSON.parse(new TextDecoder().decode(message.data)) as { result?: string; topic?: string };
      kept.set(`${stream}.${kindOf(message, body)}`, { subject: message.subject, headers: message.headers, body });
    }
  }
  await bus.close();
  for (const [file, message] of [...kept].sort()) writeFileSync(join(to, 'messages', `${file}.json`), `${JSON.stringify(message, undefined, 2)}\n`);
  console.log(`${kept.size} kinds of messages`);
}

function keepDatabases(lab: Lab): void {
  for (const service of services) {
    const file = join(to, 'databases', `${service}.db`);
    const database = new DatabaseSync(join(lab.paths.data(service), `${service}.db`), { readOnly: true });
    database.exec(`VACUUM INTO '${file}'`);
    database.close();
  }
}

rmSync(to, { recursive: true, force: true });
for (const folder of ['messages', 'databases']) mkdirSync(join(to, folder), { recursive: true });
try {
  const lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
  await loadManifests(lab, { path: join(root, 'test/data/online-boutique'), environments: ['staging'] });
  const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
  await measureMatrix(lab.paths, readInventory(lab.paths));
  await lab.client.apply('policy', scope, 'first-of-two', { appliesTo: { matchTags: { app: 'nobody' } }, isolates: ['ingress'] });
  await lab.client.delete('policy', scope, 'first-of-two');
  await lab.client.apply('network', scope, 'overlapping', { subnets: ['10.20.0.0/25'] }).catch(() => undefined);
  await new Promise((later) => setTimeout(later, 3_000));
  await keepMessages(lab);
  keepDatabases(lab);
  copyFileSync(join(root, 'libs/dataplane/bpf/osier.bpf.o'), join(to, 'osier.bpf.o'));
} finally {
  await labDown(name);
}
execFileSync(process.execPath, [join(root, 'tools/release/postgres.ts'), join(to, 'postgres.sql.gz')], { stdio: 'inherit' });
// What runs them, and no more: tests, what they are built with, and what people read stay out.
const leftOut = ['*.test.ts', 'libs/*/test', 'apps/*/test', 'libs/*/tools', 'libs/dataplane/bpf/*.h', 'libs/dataplane/bpf/*.c', '*README.md'].map((path) => `:!${path}`);
const archive = execFileSync('git', ['archive', 'HEAD', 'apps', 'libs', 'package.json', 'osier', ...leftOut], { cwd: root, maxBuffer: 1 << 28 });
writeFileSync(join(to, 'programs.tar.gz'), gzipSync(archive, { level: 9 }));
