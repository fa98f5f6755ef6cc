import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { limits } from '@osier/contracts/limits';
import { type Problem, problem } from '@osier/contracts/problem';
import type { QueryRequest, QueryResponse } from '@osier/contracts/queries';
import type { Service } from '@osier/contracts/kinds';
import { currentSchema } from '@osier/store/dump-forward';
import type { Store } from '@osier/store/store';

type Answer = QueryResponse<'tenant.dump'>;
interface Made extends Omit<Answer, 'data'> { readonly id: string; readonly folder: string; readonly file: string }

/** Milliseconds after which a dump that nobody reads any more is thrown away. */
const idleMs = 10 * 60_000;

/**
 * The dump of a service's database: written into a file while the service holds still, which is quick, and read from there in pieces afterwards,
 * however long that takes. A folder of its own, removed when it has been read.
 */
export class Dumps {
  readonly #service: Service;
  readonly #store: Store;
  readonly #folder: string;
  readonly #holding: () => string | undefined;
  #made: Made | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `holding`: the hold in force; only while it is may a dump be made. */
  constructor(o: { service: Service; store: Store; folder: string; holding: () => string | undefined }) {
    this.#service = o.service;
    this.#store = o.store;
    this.#folder = o.folder;
    this.#holding = o.holding;
  }

  async answer({ hold, action, offset }: QueryRequest<'tenant.dump'>): Promise<Answer | Problem> {
    if (action === 'make') {
      if (this.#holding() !== hold) return this.#gone();
      this.close();
      await this.#make(hold);
    }
    const made = this.#made;
    if (made?.id !== hold) return this.#gone();
    const { schema, rows, bytes, sha256 } = made;
    const told = { schema, rows, bytes, sha256 };
    if (action === 'drop') this.close();
    else this.#keep();
    return { ...told, data: action === 'read' ? await piece(made.file, offset) : '' };
  }
  close(): void {
    clearTimeout(this.#timer);
    if (this.#made) rmSync(this.#made.folder, { recursive: true, force: true });
    this.#made = undefined;
  }

  #gone(): Problem {
    return problem('not-held', '', `${this.#service} does not hold still for this backup any more.`, 'Make the backup again.');
  }
  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), idleMs).unref();
  }
  async #make(id: string): Promise<void> {
    const folder = mkdtempSync(join(this.#folder, `osier-dump-${this.#service}-`));
    const file = join(folder, 'dump.ndjson.gz');
    try {
      const digest = createHash('sha256');
      let bytes = 0;
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          digest.update(chunk);
          bytes += chunk.length;
          done(null, chunk);
        },
      });
      const lines = new PassThrough();
      const writing = pipeline(lines, createGzip({ level: constants.Z_BEST_SPEED }), counted, createWriteStream(file, { mode: 0o600 }));
      writing.catch(() => undefined);
      const rows = await this.#store.dump(async (some) => {
        // A database never stands in memory.
        if (!lines.write(some.map((row) => `${JSON.stringify(row)}\n`).join(''))) await Promise.race([once(lines, 'drain'), writing]);
      }).catch((error: Error) => {
        lines.destroy(error);
        throw error;
      });
      lines.end();
      await writing;
      this.#made = { id, folder, file, schema: currentSchema, rows, bytes, sha256: digest.digest('hex') };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }
}

async function piece(file: string, offset: number): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(limits.dumpChunkBytes), 0, limits.dumpChunkBytes, offset);
    return buffer.subarray(0, bytesRead).toString('base64');
  } finally {
    await handle.close();
  }
}
