import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { outboxEntry, outboxRow, documentRow } from './dump/rows.ts';
import { type DumpRow, isDumped, noRows, processMark, type Row, type TableName } from './dump/tables.ts';
import { as, asAll, type Changes, type DocumentSource, holdsOf, matches, nameKey, nameKeyOf, type OutboxEntry, type Source } from './source.ts';
import type { At, CommittedReader, Listed, Outgoing, Page, Store, Version, Waiting, Where } from './store.ts';
import { Unit } from './unit.ts';

const byId = (a: AnyDocument, b: AnyDocument): number => (a.id < b.id ? -1 : 1);

/** Documents by a key, with the revision of each. */
class Documents implements DocumentSource {
  readonly rows = new Map<string, { document: AnyDocument; revision: number }>();
  readonly #key: (kind: Kind, id: string) => string;

  constructor(key: (kind: Kind, id: string) => string) {
    this.#key = key;
  }
  async get(kind: Kind, id: string) {
    const row = this.rows.get(this.#key(kind, id));
    return row?.document.kind === kind ? row : undefined;
  }
  async byName(kind: Kind, scope: Scope, name: string) {
    const key = nameKeyOf(kind, scope, name);
    return this.#live().find((document) => nameKey(document) === key);
  }
  async list(kind: Kind, where: Where) {
    return this.#live().filter((d) => d.kind === kind && matches(d, where)).sort(byId);
  }
  #live(): AnyDocument[] {
    return [...this.rows.values()].map((row) => row.document).filter((d) => d.phase === 'active');
  }
}

interface HistoryRow { document: AnyDocument; validFrom: string; validTo?: string; revision?: number }

/** The twin of the databases: same contract suite, nothing on disk. Transactions run one after another, and leave nothing behind when they fail. */
export function memoryStore(options: { now?: () => number } = {}): Store {
  const now = options.now ?? Date.now;
  const own = new Documents((_kind, id) => id);
  const known = new Documents((kind, id) => `${kind}/${id}`);
  const inbox = new Map<string, number>();
  const outbox = new Map<number, OutboxEntry>();
  const history = new Map<string, HistoryRow[]>();
  const waiting = new Map<string, Waiting>();
  const marks = new Map<string, string>();
  let lastRow = 0;
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;

  const source: Source = {
    own, known,
    seen: async (key) => inbox.has(key),
    seenAmong: async (keys) => keys.filter((key) => inbox.has(key)),
    ownNamed: async (keys) => [...own.rows.values()].map(({ document }) => document).filter((document) => keys.includes(nameKey(document) ?? '')),
    knownAmong: async (kind, ids) => [...known.rows.values()].filter(({ document }) => document.kind === kind && ids.includes(document.id)),
    waitingFor: async (awaits) => waiting.get(awaits),
    overdue: async (at) => [...waiting.values()].filter((w) => w.deadlineAt <= at).sort((a, b) => a.deadlineAt - b.deadlineAt),
    mark: async (name) => marks.get(name),
  };

  function checkNames(versions: readonly AnyDocument[]): void {
    const names = new Map([...own.rows.values()].map(({ document }) => [document.id, nameKey(document)]));
    for (const document of versions) names.set(document.id, nameKey(document));
    const held = [...names.values()].filter((key) => key !== undefined);
    if (new Set(held).size !== held.length) throw new Error(`unique name violated by one of: ${versions.map((d) => nameKey(d)).join(', ')}`);
  }

  function write(changes: Changes): void {
    checkNames(changes.versions);
    for (const key of changes.seen) inbox.set(key, now());
    for (const document of changes.versions) {
      const rows = history.get(document.id) ?? [];
      const last = rows.at(-1);
      if (last) last.validTo = document.updatedAt;
      history.set(document.id, [...rows, { document, validFrom: document.updatedAt }]);
      own.rows.set(document.id, { document, revision: own.rows.get(document.id)?.revision ?? 0 });
    }
    for (const entry of changes.outbox) outbox.set(++lastRow, entry);
    for (const awaits of changes.taken) waiting.delete(awaits);
    for (const w of changes.waits) waiting.set(w.awaits, w);
    for (const row of changes.learned) known.rows.set(`${row.document.kind}/${row.document.id}`, row);
    for (const [name, value] of changes.marks) marks.set(name, value);
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(new Error('the store is closed'));
    const turn = queue.then(work, work);
    queue = turn.catch(() => undefined);
    return turn;
  }

  function outgoingOf(row: number, entry: OutboxEntry): Outgoing {
    const trace = (traceparent: string | undefined) => (traceparent === undefined ? {} : { traceparent });
    if (entry.type === 'intent') return { type: 'intent', row, child: entry.child, ...trace(entry.traceparent) };
    if (entry.type === 'outcome') {
      return { type: 'outcome', row, open: entry.open, revisions: new Map(entry.open.about.map((id) => [id, own.rows.get(id)?.revision ?? 0])) };
    }
    const document = history.get(entry.id)?.[entry.version - 1]?.document;
    if (!document) throw new Error(`no version ${entry.version} of ${entry.id} in history`);
    return { type: 'state', row, document, publishedRevision: own.rows.get(entry.id)?.revision ?? 0, ...trace(entry.traceparent) };
  }

  const read: CommittedReader = {
    get: async (kind, id) => {
      const row = await own.get(kind, id);
      return row?.document.phase === 'active' ? as(row.document) : undefined;
    },
    byName: async (kind, scope, name) => as(await own.byName(kind, scope, name)),
    list: async (kind, where) => asAll(await own.list(kind, where ?? {})),
    revisionOf: async (id) => own.rows.get(id)?.revision ?? 0,
    listed: async <K extends Kind>(kind: K, where: Where = {}, page?: Page) =>
      (await own.list(kind, where)).filter(({ id }) => id > (page?.after ?? '')).slice(0, page?.limit).map((document) => ({ document, revision: own.rows.get(document.id)?.revision ?? 0 }) as unknown as Listed<K>),
    listedAt: async <K extends Kind>(at: At, kind: K, where: Where = {}, page?: Page) => {
      const then = (versions: readonly Version[]): Version | undefined => versions.findLast((v) => ('time' in at ? v.validFrom <= at.time : (v.revision ?? Infinity) <= at.revision));
      return [...history.values()].flatMap((versions) => then(versions) ?? [])
        .filter(({ document: d }) => d.kind === kind && d.phase === 'active' && matches(d, where) && d.id > (page?.after ?? '')).sort((a, b) => (a.document.id < b.document.id ? -1 : 1))
        .slice(0, page?.limit).map(({ document, revision }) => ({ document, revision: revision ?? 0 }) as unknown as Listed<K>);
    },
    history: async (id): Promise<Version[]> => structuredClone(history.get(id) ?? []),
  };

  function rows(): DumpRow[] {
    const by = (table: TableName, all: readonly Row[], ...keys: string[]): DumpRow[] => [...all]
      .sort((a, b) => { for (const key of keys) if (a[key] !== b[key]) return (a[key] ?? '') < (b[key] ?? '') ? -1 : 1; return 0; })
      .map((row) => ({ table, row }));
    return [
      ...by('entities', [...own.rows.values()].map(({ document, revision }) => ({ ...documentRow(document), version: document.version, published_revision: revision, holds: holdsOf(document) ?? null })), 'id'),
      ...by('known', [...known.rows.values()].map(({ document, revision }) => ({ ...documentRow(document), revision })), 'kind', 'id'),
      ...by('history', [...history].flatMap(([id, versions]) => versions.map((v) => (
        { id, version: v.document.version, document: JSON.stringify(v.document), valid_from: v.validFrom, valid_to: v.validTo ?? null, revision: v.revision ?? null }))), 'id', 'version'),
      ...by('inbox', [...inbox].map(([key, at]) => ({ key, at })), 'key'),
      ...by('outbox', [...outbox].map(([row, entry]) => ({ row, ...outboxRow(entry) })), 'row'),
      ...by('waiting', [...waiting.values()].map((w) => ({ awaits: w.awaits, deadline_at: w.deadlineAt, content: JSON.stringify(w) })), 'awaits'),
      ...by('marks', [...marks].map(([name, value]) => ({ name, value })), 'name'),
    ].filter(isDumped);
  }
  function fill(all: readonly DumpRow[], more: ReadonlyMap<string, string>): void {
    const process = marks.get(processMark);
    for (const table of [own.rows, known.rows, inbox, outbox, history, waiting, marks]) table.clear();
    if (process !== undefined) marks.set(processMark, process);
    lastRow = 0;
    const at = (row: Row, column: string): string => String(row[column]);
    const put: Record<TableName, (row: Row) => unknown> = {
      entities: (row) => own.rows.set(at(row, 'id'), { document: JSON.parse(at(row, 'document')) as AnyDocument, revision: Number(row['published_revision']) }),
      known: (row) => known.rows.set(`${at(row, 'kind')}/${at(row, 'id')}`, { document: JSON.parse(at(row, 'document')) as AnyDocument, revision: Number(row['revision']) }),
      history: (row) => history.set(at(row, 'id'), [...(history.get(at(row, 'id')) ?? []), {
        document: JSON.parse(at(row, 'document')) as AnyDocument, validFrom: at(row, 'valid_from'),
        ...(row['valid_to'] === null ? {} : { validTo: at(row, 'valid_to') }), ...(row['revision'] === null ? {} : { revision: Number(row['revision']) }),
      }]),
      inbox: (row) => inbox.set(at(row, 'key'), Number(row['at'])),
      outbox: (row) => outbox.set((lastRow = Number(row['row'])), outboxEntry(row as unknown as Parameters<typeof outboxEntry>[0])),
      waiting: (row) => waiting.set(at(row, 'awaits'), JSON.parse(at(row, 'content')) as Waiting),
      marks: (row) => marks.set(at(row, 'name'), at(row, 'value')),
    };
    for (const { table, row } of all) put[table](row);
    for (const [name, value] of more) marks.set(name, value);
  }
  const counted = (all: readonly DumpRow[]) => all.reduce((counts, { table }) => ({ ...counts, [table]: counts[table] + 1 }), noRows());

  return {
    dump: (take) =>
      inTurn(async () => {
        const all = rows();
        if (all.length > 0) await take(all);
        return counted(all);
      }),
    load: (given, more) =>
      inTurn(async () => {
        const all: DumpRow[] = [];
        for await (const some of given) all.push(...some.filter(isDumped));
        fill(all, more);
        return counted(all);
      }),
    transaction: (work) =>
      inTurn(async () => {
        const unit = new Unit(source);
        const result = await work(unit);
        write(unit.changes());
        return result;
      }),
    outgoing: (limit) => inTurn(async () => [...outbox].slice(0, limit).map(([row, entry]) => outgoingOf(row, entry))),
    published: (items, marked = new Map()) =>
      inTurn(async () => {
        for (const [name, value] of marked) marks.set(name, value);
        for (const { item, revision } of items) {
          outbox.delete(item.row);
          if (item.type !== 'state') continue;
          const entity = own.rows.get(item.document.id);
          if (entity && entity.revision < revision) own.rows.set(item.document.id, { ...entity, revision });
          const version = history.get(item.document.id)?.[item.document.version - 1];
          if (version) version.revision = revision;
        }
      }),
    republishAll: () =>
      inTurn(async () => {
        const others = [...outbox.values()].filter((entry) => entry.type !== 'state');
        const rows = [...own.rows].sort(([, a], [, b]) => (a.revision || Infinity) - (b.revision || Infinity) || byId(a.document, b.document));
        outbox.clear();
        for (const [id, row] of rows) {
          own.rows.set(id, { ...row, revision: 0 });
          outbox.set(++lastRow, { type: 'state', id, version: row.document.version });
        }
        for (const entry of others) outbox.set(++lastRow, entry);
        for (const [id, row] of known.rows) known.rows.set(id, { ...row, revision: 0 });
        return own.rows.size;
      }),
    pruneInbox: async (before) => {
      for (const [key, at] of inbox) if (at < before) inbox.delete(key);
    },
    read,
    known: {
      get: async (kind, id) => {
        const row = await known.get(kind, id);
        return row?.document.phase === 'active' ? as(row.document) : undefined;
      },
      byName: async (kind, scope, name) => as(await known.byName(kind, scope, name)),
      list: async (kind, where) => asAll(await known.list(kind, where ?? {})),
    },
    mark: async (name) => marks.get(name),
    setMark: async (name, value) => void marks.set(name, value),
    close: async () => {
      await queue;
      closed = true;
    },
  };
}
