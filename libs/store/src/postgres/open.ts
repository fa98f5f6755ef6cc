import { setTimeout as sleep } from 'node:timers/promises';
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, PostgreSqlDriver } from '@mikro-orm/postgresql';
import type { SqlEntityManager } from '@mikro-orm/sql';
import { migrate } from '../schema.ts';
import { sqlStore } from '../sql/store.ts';
import { defineTables } from '../sql/tables.ts';
import type { Store } from '../store.ts';
import { StoreUnavailable } from '../unavailable.ts';
import { refusal, translated } from './errors.ts';
import { Initial } from './migrations/0001-initial.ts';
import { Holds } from './migrations/0002-holds.ts';
import { Ownership, type Session } from './ownership.ts';
import { givenBackWhenLost, type Pool } from './pool.ts';
import { secured } from './tls.ts';

/** In the order in which they run; a name once released never changes. */
export const migrations = [{ name: '0001-initial', class: Initial }, { name: '0002-holds', class: Holds }];
export const tables = [...defineTables({ whole: 'bigint', collation: 'C' })];

export interface PostgresOptions {
  /** `postgres://user@host:5432/database`; what libpq's URLs know, as `host=/socket/folder`, is known here too; of `sslmode` see tls.ts. A password may come from PGPASSFILE instead. */
  readonly url: string;
  /** Each service has a schema of its own, `osier_<service>`: in a shared one, migrations would see strange tables. */
  readonly service: string;
  readonly now?: () => number;
  readonly log?: { info(facts: object, text: string): void; warn(facts: object, text: string): void; error(facts: object, text: string): void };
  /** Another process was active while this one was cut off: what this one remembers is stale, and it must end. `by`: who it was. */
  readonly onLost?: (by: string) => void;
  /** Ends the waiting for the database, or for the process that is active. */
  readonly signal?: AbortSignal;
}

/** Its number among PostgreSQL's types. Revisions are sequences of a stream: far below 2^53. */
const bigint = 20;
/** Milliseconds. */
const time = { connect: 5_000, stuck: 60_000, retry: 500, sayAgain: 30_000 };
/** Half-open connections are found by the server within half a minute, so that their lock is free again. */
const sessionOptions = '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c client_min_messages=warning -c synchronous_commit=on';

/** The name of the database as a person may read it: without the login. */
function nameOf(url: URL, schema: string): string {
  return `${url.searchParams.get('host') ?? (url.host || 'localhost')}${url.pathname}, schema ${schema}`;
}

async function connection(options: PostgresOptions, schema: string, ownership: Ownership) {
  const url = new URL(options.url);
  const tls = secured(options.url);
  return MikroORM.init({
    driver: PostgreSqlDriver,
    dbName: decodeURIComponent(url.pathname.slice(1)),
    schema,
    driverOptions: {
      connectionString: tls.url,
      ssl: tls.ssl,
      application_name: `osier-${options.service}`,
      options: `-c search_path=${schema} ${sessionOptions}`,
      // One session, for ever: it is the one that holds the lock.
      onPoolCreated: (pool: unknown) => givenBackWhenLost(pool as Pool),
      min: 1, max: 1, idleTimeoutMillis: 0, keepAlive: true,
      connectionTimeoutMillis: time.connect,
      onConnect: (session: Session) => {
        session.setTypeParser(bigint, Number);
        return ownership.enter(session);
      },
    },
    entities: tables,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, allOrNothing: true, silent: true },
    discovery: { warnWhenNoEntities: false },
    logger: (message) => options.log?.warn({}, message),
  });
}

async function prepared(orm: MikroORM, schema: string, name: string): Promise<void> {
  const there = await orm.em.getConnection().execute('select 1 from pg_namespace where nspname = ?', [schema]);
  if (there.length === 0) await orm.em.getConnection().execute(`create schema "${schema}"`);
  await migrate(orm, migrations, name);
}

/**
 * Opens a service's schema in PostgreSQL, making or migrating it. Waits while the database is away, and while another process of this
 * service is active: it is then a standby. What a person has to mend is thrown: DatabaseRefused, NewerSchema.
 * Whatever goes wrong later because the database is away is thrown as StoreUnavailable, and the next use connects again.
 */
export async function openPostgres(options: PostgresOptions): Promise<Store> {
  const schema = `osier_${options.service}`;
  const name = nameOf(new URL(options.url), schema);
  const ownership = new Ownership(schema, (by) => {
    options.log?.error({ by }, `another process became the active one of ${schema} while this one was cut off; this one has to start anew`);
    options.onLost?.(by);
  });
  const orm = (await connection(options, schema, ownership)) as unknown as MikroORM;
  try {
    for (let said = -Infinity; ; ) {
      try {
        await prepared(orm, schema, name);
        await ownership.claim();
        break;
      } catch (error) {
        options.signal?.throwIfAborted();
        const found = translated(error);
        if (!(found instanceof StoreUnavailable) || refusal(error, name)) throw refusal(error, name) ?? found;
        if (performance.now() - said > time.sayAgain) {
          options.log?.warn({ reason: found.message }, `waiting for ${name}`);
          said = performance.now();
        }
        await sleep(time.retry, undefined, options.signal ? { signal: options.signal } : {});
      }
    }
  } catch (error) {
    await orm.close(true);
    throw error;
  }
  const guard = async <T>(work: (alive: () => void) => Promise<T>): Promise<T> => {
    // A server that neither answers nor hangs up would be waited for by everything that comes after.
    const stuck = setTimeout(() => ownership.abandon(), time.stuck);
    try {
      return await work(() => void stuck.refresh());
    } catch (error) {
      throw translated(error);
    } finally {
      clearTimeout(stuck);
    }
  };
  // Rows of a dump come with their numbers, which the sequence knows nothing of.
  const afterLoad = async (em: SqlEntityManager): Promise<void> => {
    await em.getConnection().execute(`select setval(pg_get_serial_sequence('outbox', 'row'), coalesce((select max("row") from outbox), 0) + 1, false)`, [], 'all', em.getTransactionContext());
  };
  return sqlStore(orm, { ...(options.now ? { now: options.now } : {}), guard, afterLoad, isolation: 'repeatable read' });
}
