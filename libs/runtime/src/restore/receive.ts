import { createHash } from 'node:crypto';
import { constants, createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { DumpRow } from '@osier/store/dump';
import { forward } from '@osier/store/dump-forward';

/** Rows that are written at a time. */
const page = 500;

/** A dump that comes in pieces, in a folder of its own until it is loaded. */
export class Received {
  readonly #folder: string;
  readonly #file: string;

  constructor(within: string, service: string) {
    this.#folder = mkdtempSync(join(within, `osier-restore-${service}-`));
    this.#file = join(this.#folder, 'dump.ndjson.gz');
  }
  /** The same piece may come twice. */
  async write(offset: number, data: Uint8Array): Promise<void> {
    const handle = await open(this.#file, constants.O_CREAT | constants.O_WRONLY, 0o600);
    try {
      await handle.write(data, 0, data.length, offset);
    } finally {
      await handle.close();
    }
  }
  async sha256(): Promise<string> {
    const digest = createHash('sha256');
    await pipeline(createReadStream(this.#file), digest);
    return digest.digest('hex');
  }
  /** The rows in the current schema. Throws UnknownSchema before anything is read. */
  rows(schema: string): AsyncGenerator<readonly DumpRow[]> {
    return rowsOf(this.#file, forward(schema));
  }
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function* rowsOf(file: string, step: (row: DumpRow) => DumpRow): AsyncGenerator<readonly DumpRow[]> {
  const source = createReadStream(file);
  const unzipped = createGunzip();
  const failed = pipeline(source, unzipped).then(() => undefined, (error: unknown) => error);
  let rows: DumpRow[] = [];
  for await (const line of createInterface({ input: unzipped, crlfDelay: Infinity })) {
    rows.push(step(JSON.parse(line) as DumpRow));
    if (rows.length < page) continue;
    yield rows;
    rows = [];
  }
  const error = await failed;
  if (error !== undefined) throw error;
  if (rows.length > 0) yield rows;
}
