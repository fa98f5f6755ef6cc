// What an installation holds, as digests. Shares nothing with the code that saves and restores: databases are read with SQLite itself, or with psql, streams
// message by message with a plain client; what nodes should do is worked out from STATE by the pure compiler.
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { NatsConnection } from '@nats-io/transport-node';
import type { AnyDocument } from '@osier/contracts/document';
import { desired } from '@osier/domain/reconcile/desired';
import { createView } from '@osier/domain/reconcile/view';
import { everything, type Message } from '../chaos/raw.ts';
import { services } from './installation.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Keys in order, maps as lists. */
const canonical = (value: unknown): string => JSON.stringify(value, (_key, part: unknown) => {
  if (part instanceof Map) return [...part].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  if (part !== null && typeof part === 'object' && !Array.isArray(part)) return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  return part;
});
const linesDigest = (lines: readonly string[]): { count: number; sha256: string } => ({ count: lines.length, sha256: sha256([...lines].sort().join('\n')) });

/** Small facts that go on by themselves with every barrier and every start, and those of one process, or of one restore. */
const moving = new Set(['max-revision', 'stream-ends', 'active-process', 'restore', 'suspects-intents-tenant', 'suspects-intents-ipam', 'suspects-intents-topology', 'suspects-intents-policy', 'suspects-outcomes-topology']);
const tables = ['entities', 'known', 'history', 'inbox', 'outbox', 'waiting', 'marks'];
type Row = Readonly<Record<string, unknown>>;
export type Reader = (service: string, table: string) => Row[];

export const sqliteReader = (file: (service: string) => string): Reader => (service, table) => {
  const database = new DatabaseSync(file(service), { readOnly: true });
  try {
    const found = database.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like 'mikro_orm%'").all().map((row) => String(row['name']));
    if (found.sort().join() !== [...tables].sort().join()) throw new Error(`${service} has other tables: ${found.join(', ')}`);
    return database.prepare(`select * from ${table}`).all();
  } finally {
    database.close();
  }
};
export const postgresReader = (query: (sql: string) => string): Reader => (service, table) =>
  query(`select row_to_json(t) from osier_${service}.${table} t`).split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Row);

/** Heartbeats come anew after every start. */
const isBarrier = (message: Message): boolean => message.subject.split('.')[5] === 'barrier';

export interface Digests { readonly [what: string]: { readonly count: number; readonly sha256: string } }

export async function digests(read: Reader, nats: NatsConnection, o: { nodes: readonly string[]; auditUntil?: number }): Promise<Digests> {
  const found: Record<string, { count: number; sha256: string }> = {};
  for (const service of services) {
    for (const table of tables) {
      const rows = read(service, table).filter((row) => table !== 'marks' || !moving.has(String(row['name'])));
      found[`${service}.${table}`] = linesDigest(rows.map(canonical));
    }
  }
  const line = ({ subject, sequence, headers, text }: Message): string => canonical({ subject, sequence, headers, text });
  const state = (await everything(nats, 'STATE')).filter((message) => !isBarrier(message));
  found['STATE'] = linesDigest(state.map(line));
  for (const stream of ['CHANGES', 'INTENTS', 'OUTCOMES', 'DEAD']) found[stream] = linesDigest((await everything(nats, stream)).filter((message) => !isBarrier(message)).map(line));
  found['AUDIT'] = linesDigest((await everything(nats, 'AUDIT')).filter(({ sequence }) => sequence <= (o.auditUntil ?? 0)).map(line));
  const view = createView();
  for (const { subject, sequence, text } of state) if (!['interest'].includes(subject.split('.')[5] ?? '')) view.merge(subject, sequence, JSON.parse(text) as AnyDocument);
  for (const node of o.nodes) {
    const program = desired(view, node, sha256, 16);
    found[`desired of ${node}`] = { count: program.endpoints.length + program.places.size, sha256: sha256(canonical(program)) };
  }
  return found;
}

/** One digest over all of them. */
export const total = (all: Digests): string => sha256(canonical(all));
