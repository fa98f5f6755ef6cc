import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { StoreUnavailable } from '../unavailable.ts';

/** The one session that a store works through, as far as it is needed here. */
export interface Session {
  query(sql: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  setTypeParser(oid: number, parse: (value: string) => unknown): void;
  end(): Promise<void>;
}

const ownerMark = 'active-process';

/**
 * One process at a time works on a schema. The session that does all the work holds an advisory lock: whoever loses the
 * session loses the lock, and no transaction of his can be committed any more. So there is exactly one connection, and
 * each new one has to get the lock before it is used.
 *
 * Who finds after a reconnect that another process was active in between has stale memories, and must start anew: `onLost`.
 */
export class Ownership {
  readonly #schema: string;
  readonly #onLost: (by: string) => void;
  readonly #me = JSON.stringify({ id: randomUUID(), host: hostname(), pid: process.pid, since: new Date().toISOString() });
  #claimed = false;
  #session: Session | undefined;

  constructor(schema: string, onLost: (by: string) => void) {
    this.#schema = schema;
    this.#onLost = onLost;
  }

  /** Run on each new session before anything else is. Throws StoreUnavailable while another session holds the lock. */
  async enter(session: Session): Promise<void> {
    const { rows: [lock] } = await session.query('select pg_try_advisory_lock(hashtextextended($1, 0)) as held', [this.#lockName()]);
    if (lock?.['held'] !== true) throw new StoreUnavailable(`another process works on the schema ${this.#schema}: ${await this.#holder(session)}`);
    this.#session = session;
    if (!this.#claimed) return;
    await session.query(limits);
    const { rows: [mark] } = await session.query('select value from marks where name = $1', [ownerMark]);
    if (mark?.['value'] === this.#me) return;
    this.#onLost(String(mark?.['value'] ?? 'nobody: the database was replaced'));
    throw new StoreUnavailable(`another process worked on the schema ${this.#schema} in between`);
  }

  /** After the migrations: from here on this process is the active one, and statements may not take for ever. */
  async claim(): Promise<void> {
    const session = this.#session;
    if (!session) throw new StoreUnavailable('the session was lost while the schema was migrated');
    await session.query('insert into marks (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value', [ownerMark, this.#me]);
    await session.query(limits);
    this.#claimed = true;
  }

  /** Ends a session that does not answer; whatever it was doing fails. */
  abandon(): void {
    this.#session?.end().catch(() => undefined);
  }

  #lockName(): string {
    return `osier schema ${this.#schema}`;
  }

  async #holder(session: Session): Promise<string> {
    const { rows: [holder] } = await session.query(
      `select a.pid, a.application_name, coalesce(host(a.client_addr), 'this machine') as address from pg_locks l join pg_stat_activity a using (pid)
       where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database())
         and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)`, [this.#lockName()]);
    return holder ? `${String(holder['application_name'])} from ${String(holder['address'])}, server process ${String(holder['pid'])}` : 'it has just ended';
  }
}

/** Milliseconds. A session whose process hangs inside a transaction is ended by the server, so that another can take over. */
const limits = "set statement_timeout = 10000; set lock_timeout = 5000; set idle_in_transaction_session_timeout = 30000";
