// What a released version said and stored, every later one understands. Whoever turns a test here red has broken a promise to people who
// upgrade: add a field as optional, add a migration, give the pinned maps a new schema name; never touch the files in test/released.
import { afterAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { z } from 'zod';
import { intentDeclaration } from '@osier/contracts/catalogue';
import { barrierSchema, helloSchema, interestSchema } from '@osier/contracts/coordination';
import { documentSchema } from '@osier/contracts/document';
import { type Kind, kindsOf, type Service } from '@osier/contracts/kinds';
import { outcomeSchema } from '@osier/contracts/outcome';
import { parseIntentSubject, parseStateSubject } from '@osier/contracts/subjects';
import { flowBatchSchema, observationSchema, receiptSchema } from '@osier/contracts/telemetry';
import { openSqlite } from '@osier/store/sqlite';
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

describe.each(versions)('release %s', (version) => {
  const folder = join(released, version);
  const messages = readdirSync(join(folder, 'messages'));

  it.each(messages)('its message %s is understood, and nothing of it is lost', (file) => {
    const { subject, body } = JSON.parse(readFileSync(join(folder, 'messages', file), 'utf8')) as { subject: string; body: unknown };
    const schema = schemaFor(subject);
    expect(schema).toBeDefined();
    expect(schema?.parse(body)).toMatchObject(body as object);
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
    const store = await openSqlite({ file: copy });
    const found: Record<string, number> = {};
    for (const kind of kindsOf(file.replace('.db', '') as Service).sort()) {
      const documents = await store.read.list(kind);
      if (documents.length > 0) found[kind] = documents.length;
      for (const document of documents) expect(documentSchema(kind).safeParse(document).error).toBeUndefined();
    }
    expect(found).toEqual(expected);
    expect(Object.keys(found).length).toBeGreaterThan(0);
    for (const endpoint of file === 'topology.db' ? await store.read.list('endpoint') : []) {
      const holds = `${endpoint.spec.node}/${endpoint.spec.attachment.containerId}`;
      expect((await store.read.list('endpoint', { holds })).map((e) => e.id)).toContain(endpoint.id);
    }
    expect(await store.outgoing(10)).toEqual([]);
    await store.close();
  });

  it('its pinned maps have the layout of today, or today has another schema name', () => {
    const layout = (records: string): string => records.slice(records.indexOf('export interface'));
    const schemaName = /SCHEMA = '(\w+)'/.exec(readFileSync(resolve(released, '../../libs/dataplane/src/kernel/loader.ts'), 'utf8'))?.[1];
    if (schemaName !== 'v1') return;
    const today = readFileSync(resolve(released, '../../libs/dataplane/bpf/osier.bpf.o'));
    expect(layout(generate(readFileSync(join(folder, 'osier.bpf.o'))))).toBe(layout(generate(today)));
  });
});
