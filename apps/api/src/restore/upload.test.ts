import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Uploads } from './upload.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'osier-uploads-'))));
afterEach(() => rmSync(folder, { recursive: true }));
const code = (work: () => unknown): Promise<string | undefined> => Promise.resolve().then(work).then(() => undefined, (error: { problem?: { code: string } }) => error.problem?.code ?? String(error));

describe('an archive that is sent', () => {
  it('is forgotten when nobody goes on with it', async () => {
    const uploads = new Uploads(folder, 40);
    uploads.begin('a');
    await uploads.write('a', 0, Buffer.from('x'));
    expect(readdirSync(folder)).toHaveLength(1);
    await sleep(120);
    expect(readdirSync(folder)).toEqual([]);
    expect(await code(() => uploads.write('a', 1, Buffer.from('y')))).toBe('unknown-restore');
  });
  it('is one at a time: a new one replaces one that was not begun, and waits for one that was', async () => {
    const uploads = new Uploads(folder);
    uploads.begin('a');
    uploads.begin('b');
    expect(await code(() => uploads.write('a', 0, Buffer.from('x')))).toBe('unknown-restore');
    await uploads.write('b', 1, Buffer.from('yz'));
    await uploads.write('b', 0, Buffer.from('x'));
    let end: (() => void) | undefined;
    const using = uploads.use('b', async ({ size, read }) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of read()) pieces.push(piece);
      await new Promise<void>((resolve) => (end = resolve));
      return `${size} ${Buffer.concat(pieces).toString()}`;
    });
    while (end === undefined) await sleep(5);
    expect([await code(() => uploads.begin('c')), await code(() => uploads.use('b', async () => 1)), await code(() => uploads.drop('b'))]).toEqual(['busy', 'busy', 'busy']);
    end();
    expect(await using).toBe('3 xyz');
    expect(readdirSync(folder)).toEqual([]);
  });
});
