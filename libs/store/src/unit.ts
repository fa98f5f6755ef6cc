import type { AnyDocument, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import type { AnyProposed, ChildIntent } from '@osier/domain/decision';
import type { Reader } from '@osier/domain/service';
import { as, asAll, type Changes, type DocumentSource, matches, nameKey, nameKeyOf, type OutboxEntry, type Source } from './source.ts';
import type { Cause, Expected, OpenOutcome, UnitOfWork, Waiting, Where } from './store.ts';

const keyOf = (document: { kind: Kind; id: string }): string => `${document.kind}/${document.id}`;

/** Documents as the transaction sees them: what is committed, with what it has put itself laid over. */
class Overlay implements Reader {
  readonly #source: DocumentSource;
  readonly #fresh = new Map<string, AnyDocument>();
  /** Those of `#fresh` that have a name, by it. */
  readonly #freshNames = new Map<string, AnyDocument>();
  readonly #read = new Map<string, { document: AnyDocument; revision: number } | undefined>();
  readonly #names = new Map<string, AnyDocument | undefined>();

  constructor(source: DocumentSource) {
    this.#source = source;
  }

  lay(document: AnyDocument): void {
    const key = keyOf(document);
    const before = this.#fresh.get(key);
    const [name, nameBefore] = [nameKey(document), before && nameKey(before)];
    if (nameBefore !== undefined && this.#freshNames.get(nameBefore) === before) this.#freshNames.delete(nameBefore);
    if (name !== undefined) this.#freshNames.set(name, document);
    this.#fresh.set(key, document);
  }

  /** What was found of all that was looked for, by name and by id; of what is not among it there is nothing. */
  noteNames(keys: readonly string[], documents: readonly AnyDocument[]): void {
    for (const key of keys) this.#names.set(key, undefined);
    for (const document of documents) this.#names.set(nameKey(document) ?? '', document);
  }
  noteRows(wanted: readonly { kind: Kind; id: string }[], rows: readonly { document: AnyDocument; revision: number }[]): void {
    for (const one of wanted) this.#read.set(keyOf(one), undefined);
    for (const row of rows) this.#read.set(keyOf(row.document), row);
  }

  /** Tombstones too. */
  async current(kind: Kind, id: string): Promise<AnyDocument | undefined> {
    return this.#fresh.get(keyOf({ kind, id })) ?? (await this.committed(kind, id))?.document;
  }

  async committed(kind: Kind, id: string): Promise<{ document: AnyDocument; revision: number } | undefined> {
    const key = keyOf({ kind, id });
    if (!this.#read.has(key)) this.#read.set(key, await this.#source.get(kind, id));
    return this.#read.get(key);
  }

  async get<K extends Kind>(kind: K, id: string) {
    const document = await this.current(kind, id);
    return document?.phase === 'active' ? as<K>(document) : undefined;
  }

  async byName<K extends Kind>(kind: K, scope: Scope, name: string) {
    const key = nameKeyOf(kind, scope, name);
    const fresh = this.#freshNames.get(key);
    if (fresh) return as<K>(fresh);
    if (!this.#names.has(key)) this.#names.set(key, await this.#source.byName(kind, scope, name));
    const document = this.#names.get(key);
    return document && !this.#fresh.has(keyOf(document)) ? as<K>(document) : undefined;
  }

  async list<K extends Kind>(kind: K, where: Where = {}) {
    const committed = (await this.#source.list(kind, where)).filter((document) => !this.#fresh.has(keyOf(document)));
    const fresh = [...this.#fresh.values()].filter((d) => d.kind === kind && d.phase === 'active' && matches(d, where));
    if (fresh.length === 0) return asAll<K>(committed);
    return asAll<K>([...committed, ...fresh].sort((a, b) => (a.id < b.id ? -1 : 1)));
  }
}

/** A unit of work that gathers its changes; the driver writes them all at once when `work` has ended. */
export class Unit implements UnitOfWork {
  readonly own: Overlay;
  readonly known: Overlay;
  readonly #source: Source;
  readonly #seen = new Set<string>();
  /** What the inbox is known to say of keys. */
  readonly #inbox = new Map<string, boolean>();
  readonly #born = new Set<string>();
  readonly #versions: AnyDocument[] = [];
  readonly #states: OutboxEntry[] = [];
  readonly #intents: OutboxEntry[] = [];
  readonly #outcomes: OutboxEntry[] = [];
  readonly #waits = new Map<string, Waiting>();
  readonly #taken = new Set<string>();
  readonly #learned = new Map<string, { document: AnyDocument; revision: number }>();
  readonly #marks = new Map<string, string>();

  constructor(source: Source) {
    this.#source = source;
    this.own = new Overlay(source.own);
    this.known = new Overlay(source.known);
  }

  async prefetch({ seen = [], named = [], known = [] }: Expected): Promise<void> {
    if (seen.length > 0) {
      const handled = new Set(await this.#source.seenAmong(seen));
      for (const key of seen) this.#inbox.set(key, handled.has(key));
    }
    const names = [...new Set(named.map(({ kind, scope, name }) => nameKeyOf(kind, scope, name)))];
    if (names.length > 0) this.own.noteNames(names, await this.#source.ownNamed(names));
    for (const kind of new Set(known.map((one) => one.kind))) {
      const wanted = known.filter((one) => one.kind === kind);
      this.known.noteRows(wanted, await this.#source.knownAmong(kind, [...new Set(wanted.map(({ id }) => id))]));
    }
  }

  born(id: string): string {
    this.#born.add(id);
    return id;
  }

  async seen(key: string): Promise<boolean> {
    if (this.#seen.has(key) || (this.#inbox.get(key) ?? (await this.#source.seen(key)))) return true;
    this.#seen.add(key);
    return false;
  }

  async next(counter: string): Promise<number> {
    const name = `counter:${counter}`;
    const value = Number((await this.mark(name)) ?? 0) + 1;
    await this.setMark(name, String(value));
    return value;
  }

  async put(proposed: AnyProposed, by: Cause): Promise<AnyDocument> {
    const before = this.#born.delete(proposed.id) ? undefined : await this.own.current(proposed.kind, proposed.id);
    const at = new Date(by.at).toISOString();
    const document = {
      ...proposed, version: (before?.version ?? 0) + 1, createdAt: before?.createdAt ?? at, updatedAt: at, intent: by.intentId,
    } as AnyDocument;
    this.own.lay(document);
    this.#versions.push(document);
    this.#states.push({ type: 'state', id: document.id, version: document.version, traceparent: by.traceparent });
    return document;
  }

  async conclude(open: OpenOutcome): Promise<void> {
    this.#outcomes.push({ type: 'outcome', open });
  }

  async send(child: ChildIntent, by: { traceparent?: string | undefined }): Promise<void> {
    this.#intents.push({ type: 'intent', child, traceparent: by.traceparent });
  }

  async wait(waiting: Waiting): Promise<void> {
    this.#waits.set(waiting.awaits, waiting);
    this.#taken.delete(waiting.awaits);
  }

  async takeWaiting(awaits: string): Promise<Waiting | undefined> {
    const fresh = this.#waits.get(awaits);
    if (fresh) {
      this.#waits.delete(awaits);
      // It may have been laid over one that is committed.
      this.#taken.add(awaits);
      return fresh;
    }
    if (this.#taken.has(awaits)) return undefined;
    const waiting = await this.#source.waitingFor(awaits);
    if (waiting) this.#taken.add(awaits);
    return waiting;
  }

  async overdue(now: number): Promise<Waiting[]> {
    return (await this.#source.overdue(now)).filter((waiting) => !this.#taken.has(waiting.awaits));
  }

  async learn(document: AnyDocument, revision: number): Promise<boolean> {
    const known = this.#learned.get(keyOf(document)) ?? (await this.known.committed(document.kind, document.id));
    if (known && known.revision >= revision) return false;
    this.#learned.set(keyOf(document), { document, revision });
    this.known.lay(document);
    return true;
  }

  async mark(name: string): Promise<string | undefined> {
    return this.#marks.get(name) ?? this.#source.mark(name);
  }

  async setMark(name: string, value: string): Promise<void> {
    this.#marks.set(name, value);
  }

  changes(): Changes {
    return {
      seen: [...this.#seen], versions: this.#versions, outbox: [...this.#states, ...this.#intents, ...this.#outcomes],
      waits: [...this.#waits.values()], taken: [...this.#taken], learned: [...this.#learned.values()], marks: this.#marks,
    };
  }
}
