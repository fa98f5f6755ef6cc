// What a released version said and stored, every later one understands. Whoever turns a test here red has broken a promise to people who
// upgrade: add a field as optional, add a migration, give the pinned maps a new schema name; never touch the files in test/released.
import { afterAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import type { z } from 'zod';
import { intentDeclaration } from '@osier/contracts/catalogue';
import { barrierSchema, helloSchema, interestSchema } from '@osier/contracts/coordination';
import { documentSchema } from '@osier/contracts/document';
import { type Kind, kindsOf, type Service } from '@osier/contracts/kinds';
import { outcomeSchema } from '@osier/contracts/outcome';
import { parseIntentSubject, parseStateSubject } from '@osier/contracts/subjects';
import { flowBatchSchema, observationSchema, receiptSchema } from '@osier/contracts/telemetry';
import { openPostgres } from '@osier/store/postgres';
import { startPostgres } from '@osier/store/postgres-server';
import { openSqlite } from '@osier/store/sqlite';
import type { Store } from '@osier/store/store';
import { generate } from '../../libs/dataplane/tools/generate.ts';

const released = resolve(import.meta.dirname, '../released');
const versions = readdirSync(released, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const temporary = mkdtempSync(join(tmpdir(), 'osier-released-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

function schemaFor(subject: string): z.ZodType | undefined {
  const [, kind, , topic] = subject.split('.');
  const intent = parseIntentSubject(subject);
  if (intent) return intentDeclaration(`${intent.noun}.${intent.verb}`)?.body;
  const state = parseStateSubject(subject);
  if (state?.noun === 'barrier') return barrierSchema;
  if (state?.noun === 'interest') return interestSchema;
  if (state) return documentSchema(state.noun as Kind);
  if (kind === 'observation') return topic === 'hello' ? helloSchema : observationSchema;
  return { outcome: outcomeSchema, receipt: receiptSchema, flow: flowBatchSchema }[kind ?? ''];
}

/** Where each field of a record that is in a map is, and the numbers of what is kept there. */
function fieldsOf(records: string): Map<string, string[]> {
  const kept = /^(?:config_record|endpoint_record|address_\w+|policy_\w+|rule_record|digest_record|conntrack_\w+|denial_\w+|drop_\w+|direction|action|endpoint_flag|record_flag|Direction|Action|AddressKind|EndpointFlag|RecordFlag|ConntrackState|DropReason)$/;
  const found = new Map<string, string[]>();
  for (const part of records.split(/^export const /m).slice(1)) {
    const name = /name: '(\w+)'/.exec(part)?.[1] ?? /^\w+/.exec(part)?.[0] ?? '';
    if (kept.test(name)) found.set(name, part.split('\n').map((line) => line.trim()).filter((line) => /\(view, at \+ \d+, r\.|\(at \+ \d+, check|^(?!size)\w+: \d+,$/.test(line)));
    const size = /size: (\d+)/.exec(part)?.[1];
    if (name.endsWith('_key') && size !== undefined) found.get(name)?.push(`size ${size}`);
  }
  return found;
}

const services: readonly Service[] = ['tenant', 'ipam', 'topology', 'policy'];

/** A released database, opened: everything of it is there and understood, nothing waits to be published again, and the next change of it is made as any. */
async function isWhole(store: Store, service: Service, expected: Readonly<Record<string, number>>): Promise<void> {
  const found: Record<string, number> = {};
  for (const kind of kindsOf(service).sort()) {
    const documents = await store.read.list(kind);
    if (documents.length > 0) found[kind] = documents.length;
    for (const document of documents) expect(documentSchema(kind).safeParse(document).error).toBeUndefined();
  }
  expect(found).toEqual(expected);
  expect(Object.keys(found).length).toBeGreaterThan(0);
  for (const endpoint of service === 'topology' ? await store.read.list('endpoint') : []) {
    const holds = `${endpoint.spec.node}/${endpoint.spec.attachment.containerId}`;
    expect((await store.read.list('endpoint', { holds })).map((e) => e.id)).toContain(endpoint.id);
  }
  expect(await store.outgoing(10)).toEqual([]);
  const [kind = ''] = Object.keys(found);
  const [before] = await store.read.list(kind as Kind);
  const { version = 0, ...proposed } = before ?? {};
  const after = await store.transaction((unit) => unit.put(proposed as never, { intentId: 'after the upgrade', at: Date.parse('2030-01-01') }));
  expect(after).toMatchObject({ id: before?.id, version: version + 1, intent: 'after the upgrade', createdAt: before?.createdAt });
  expect((await store.outgoing(10)).length).toBe(1);
  await store.close();
}

describe.each(versions)('release %s', (version) => {
  const folder = join(released, version);
  const messages = readdirSync(join(folder, 'messages'));

  it.each(messages)('its message %s is understood, and nothing of it is lost', (file) => {
    const { subject, body } = JSON.parse(readFileSync(join(folder, 'messages', file), 'utf8')) as { subject: string; body: unknown };
    const schema = schemaFor(subject);
    expect(schema).toBeDefined();
    expect(schema?.parse(body)).toMatchObject(body as object);
  });

  const said = messages.filter((file) => /^(OUTCOMES|RECEIPTS|OBSERVATIONS|FLOWS)\.|^CHANGES\.(barrier|interest)\./.test(file));
  it.each(said)('its message %s with a field more, as a later version may say it, is understood', (file) => {
    const { subject, body } = JSON.parse(readFileSync(join(folder, 'messages', file), 'utf8')) as { subject: string; body: object };
    const schema = schemaFor(subject);
    expect(schema?.parse({ ...body, ofALaterVersion: { anything: true } })).toEqual(schema?.parse(body));
  });

  it('keeps a message of every kind of intent that people publish, of every state, and of every answer', () => {
    expect(messages.length).toBeGreaterThanOrEqual(25);
  });

  it.each(readdirSync(join(folder, 'databases')))('its database %s is opened with every entity in it, and nothing is published again', async (file) => {
    const copy = join(temporary, `${version}-${file}`);
    copyFileSync(join(folder, 'databases', file), copy);
    const witness = new DatabaseSync(copy, { readOnly: true });
    const expected = Object.fromEntries(
      witness.prepare("select kind, count(*) as n from entities where phase = 'active' group by kind order by kind").all().map((row) => [row['kind'], row['n']]),
    );
    witness.close();
    await isWhole(await openSqlite({ file: copy }), file.replace('.db', '') as Service, expected);
  });

  const dump = join(folder, 'postgres.sql.gz');
  if (existsSync(dump)) {
    it('its schemas in PostgreSQL come forward with every entity in them, are worked on, and nothing is published again', async () => {
      const server = await startPostgres();
      try {
        server.query(gunzipSync(readFileSync(dump)).toString());
        for (const service of services) {
          const expected = Object.fromEntries(server.query(`select kind, count(*) from osier_${service}.entities where phase = 'active' group by kind order by kind`)
            .split('\n').map((line) => line.split('|')).map(([kind = '', count]) => [kind, Number(count)]));
          await isWhole(await openPostgres({ url: server.url, service }), service, expected);
        }
      } finally {
        await server.remove();
      }
    }, 60_000);
  }

  it('its pinned maps have the layout of today, or are its beginning and today has another schema name', () => {
    const then = generate(readFileSync(join(folder, 'osier.bpf.o')), 'leave out');
    const now = generate(readFileSync(resolve(released, '../../libs/dataplane/bpf/osier.bpf.o')));
    const schemaName = /SCHEMA = '(\w+)'/.exec(readFileSync(resolve(released, '../../libs/dataplane/src/kernel/loader.ts'), 'utf8'))?.[1];
    const layout = (text: string): string => text.slice(text.indexOf('export interface'));
    if (schemaName === 'v1') expect(layout(then)).toBe(layout(now));
    const fields = fieldsOf(now);
    for (const [record, lines] of fieldsOf(then)) expect(fields.get(record)).toEqual(expect.arrayContaining(lines));
  });
});
