import { fdatasync, openSync, closeSync } from 'node:fs';
import { promisify } from 'node:util';
import { StoreUnavailable } from '../unavailable.ts';

export type Sync = (fd: number) => Promise<void>;

/**
 * Waits for the disk beside the event loop. SQLite in WAL mode with `synchronous=NORMAL` writes a commit to the log and leaves it to the system when it gets to the disk;
 * `synchronous=FULL` is that and one fsync of the log after each commit, for which the whole process stands still (https://www.sqlite.org/pragma.html#pragma_synchronous).
 * That fsync is done here, by a thread of its own, one for all that has been committed meanwhile; checkpoints and the log's header SQLite syncs itself in both modes.
 * A second descriptor of the log is harmless: the locks that closing one gives away are on the other two files (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
export class Disk {
  readonly #log: string;
  readonly #sync: Sync;
  #fd: number | undefined;
  #committed = 0;
  #written = 0;
  #running: Promise<void> | undefined;
  #failure: StoreUnavailable | undefined;

  /** `database`: its path; the log lies beside it. */
  constructor(database: string, sync: Sync = promisify(fdatasync)) {
    this.#log = `${database}-wal`;
    this.#sync = sync;
  }

  /** Something was committed that somebody will be told of. */
  committed(): void {
    this.#committed++;
  }

  /** Returns when all that was committed before the call is on the disk. Throws StoreUnavailable, for good, once the disk has refused: what it has then nobody knows. */
  async settle(): Promise<void> {
    const wanted = this.#committed;
    while (this.#written < wanted) {
      this.check();
      await (this.#running ??= this.#write().finally(() => (this.#running = undefined)));
    }
    this.check();
  }
  check(): void {
    if (this.#failure) throw this.#failure;
  }
  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  async #write(): Promise<void> {
    const upTo = this.#committed;
    try {
      this.#fd ??= openSync(this.#log, 'r');
      await this.#sync(this.#fd);
    } catch (error) {
      this.#failure = new StoreUnavailable(`the disk did not take ${this.#log}: ${(error as Error).message}; mend it and start the service anew`, { cause: error });
      return;
    }
    this.#written = upTo;
  }
}
