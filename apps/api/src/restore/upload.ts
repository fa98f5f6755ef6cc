import { constants, createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '@osier/contracts/limits';
import { refusal, type Refusal } from '../answers.ts';

/** An archive that comes in pieces, in a folder of its own, until it is restored, taken back, or forgotten. One at a time. */
export class Uploads {
  readonly #within: string;
  readonly #idleMs: number;
  #upload: { readonly id: string; readonly folder: string; readonly file: string; inUse: boolean } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(within: string, idleMs: number = limits.restoreIdleMs) {
    this.#within = within;
    this.#idleMs = idleMs;
  }

  /** One that was begun before, and is not being restored, is forgotten. */
  begin(id: string): void {
    if (this.#upload?.inUse === true) throw refusal(409, 'busy', '', 'This installation is being restored right now.', 'Wait until that is done.');
    this.remove();
    const folder = mkdtempSync(join(this.#within, 'osier-upload-'));
    this.#upload = { id, folder, file: join(folder, 'archive.tar'), inUse: false };
    this.#keep();
  }
  /** The same piece may come twice; one that is missing is not overlooked: the archive is verified as a whole. */
  async write(id: string, offset: number, data: Uint8Array): Promise<void> {
    const { file } = this.#found(id);
    if (offset + data.length > limits.archiveBytes) throw refusal(413, 'archive-too-large', 'archive', `A backup of more than ${limits.archiveBytes} bytes is not restored.`, 'Is it the right file?');
    const handle = await open(file, constants.O_CREAT | constants.O_WRONLY, 0o600);
    try {
      await handle.write(data, 0, data.length, offset);
    } finally {
      await handle.close();
    }
    this.#keep();
  }
  /** The archive, for as long as `work` takes; then it is gone. */
  async use<T>(id: string, work: (archive: { size: number; read(from?: number, bytes?: number): AsyncIterable<Uint8Array> }) => Promise<T>): Promise<T> {
    const upload = this.#found(id);
    if (upload.inUse) throw refusal(409, 'busy', '', 'This backup is being restored right now.', 'Wait until that is done.');
    upload.inUse = true;
    clearTimeout(this.#timer);
    try {
      const size = (await stat(upload.file).catch(() => ({ size: 0 }))).size;
      const read = (from = 0, bytes = size): AsyncIterable<Uint8Array> => (bytes === 0 ? none() : createReadStream(upload.file, { start: from, end: from + bytes - 1 }));
      return await work({ size, read });
    } finally {
      this.#upload = undefined;
      rmSync(upload.folder, { recursive: true, force: true });
    }
  }
  drop(id: string): void {
    if (this.#found(id).inUse) throw refusal(409, 'busy', '', 'This backup is being restored right now.', 'Wait until that is done.');
    this.remove();
  }
  remove(): void {
    clearTimeout(this.#timer);
    if (this.#upload) rmSync(this.#upload.folder, { recursive: true, force: true });
    this.#upload = undefined;
  }

  #found(id: string) {
    if (this.#upload?.id !== id) throw unknown();
    return this.#upload;
  }
  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.remove(), this.#idleMs).unref();
  }
}

async function* none(): AsyncGenerator<Uint8Array> {}
const unknown = (): Refusal => refusal(404, 'unknown-restore', 'restore', 'Nothing is known of this restore: it is over, or the api was started anew.', 'Run osier restore again.');
