import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Manifest, Part } from '@osier/contracts/backup';
import { archiveDigest, verifyArchive, writeArchive } from './archive.ts';
import { readTarHeader, tarHeader } from './tar.ts';
import { osierVersion } from './version.ts';

const contents: Record<string, Buffer> = { 'streams/CHANGES.snapshot': Buffer.alloc(5_000, 'c'), 'streams/DEAD.snapshot': Buffer.alloc(0), 'streams/INTENTS.snapshot': Buffer.alloc(1_024, 'i') };
const part = (name: string): Part => {
  const data = contents[name] as Buffer;
  return { type: 'stream', name, stream: name.slice(8, -9), bytes: data.length, sha256: createHash('sha256').update(data).digest('hex'), config: { name }, firstSequence: 1, lastSequence: 9, messages: 3 };
};
const manifest: Manifest = { format: 1, osier: osierVersion, madeAt: '2026-01-02T03:04:05.000Z', revision: 9, pauseMs: 12, begins: { RECEIPTS: 4 }, parts: Object.keys(contents).map(part) };

async function made(of: Manifest = manifest): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const written = writeArchive(of, async function* (p) {
    const data = contents[p.name] as Buffer;
    for (let at = 0; at < data.length; at += 700) yield data.subarray(at, at + 700);
  });
  for await (const piece of written) pieces.push(piece);
  return Buffer.concat(pieces);
}
async function* of(data: Buffer, size = 999): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
const codeOf = (data: Buffer): Promise<string> => verifyArchive(of(data, 4_096)).then(() => 'whole', (error: { code?: string; fix?: string }) => (error.fix ? String(error.code) : String(error)));

describe('an archive', () => {
  it('is read as it was written, whatever pieces it comes in', async () => {
    const data = await made();
    for (const size of [1, 511, 512, 999, data.length]) {
      const found = await verifyArchive(of(data, size));
      expect(found).toMatchObject({ manifest, digest: archiveDigest(manifest), bytes: data.length });
      for (const [name, offset] of found.offsets) expect(data.subarray(offset, offset + (contents[name]?.length ?? 0))).toEqual(contents[name]);
    }
  });

  it('is a tar file for everybody else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'osier-tar-'));
    try {
      writeFileSync(join(folder, 'a.tar'), await made());
      const tar = (...args: string[]) => spawnSync('tar', args, { cwd: folder, encoding: 'buffer' });
      expect(tar('tf', 'a.tar').stdout.toString().trim().split('\n')).toEqual(['manifest.json', ...Object.keys(contents), 'complete.json']);
      expect(tar('xOf', 'a.tar', 'streams/CHANGES.snapshot').stdout).toEqual(contents['streams/CHANGES.snapshot']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is refused wherever it is cut off, with the way out', async () => {
    const data = await made();
    for (let length = 0; length < data.length; length += 97) expect([length, await codeOf(data.subarray(0, length))]).toEqual([length, 'archive-truncated']);
    expect(await codeOf(data.subarray(0, data.length - 1))).toBe('archive-truncated');
  });

  it('is refused whichever byte of it is another, and where something follows', async () => {
    const data = await made();
    for (let at = 0; at < data.length; at += 7) {
      const other = Buffer.from(data);
      other[at] = (other[at] ?? 0) ^ 0x10;
      expect([at, await codeOf(other)]).toEqual([at, expect.stringMatching(/^(archive-(damaged|truncated)|not-an-archive)$/)]);
    }
    expect(await codeOf(Buffer.concat([data, Buffer.from('x')]))).toBe('archive-damaged');
  });

  it('without its end is not whole, though all its parts are there', async () => {
    const data = await made();
    const at = data.indexOf('complete.json');
    expect(await codeOf(data.subarray(0, at))).toBe('archive-truncated');
    expect(await codeOf(Buffer.concat([data.subarray(0, at), Buffer.alloc(1_024)]))).toBe('archive-damaged');
    const other = await made({ ...manifest, revision: 10 });
    expect(await codeOf(Buffer.concat([data.subarray(0, at), other.subarray(other.indexOf('complete.json'))]))).toBe('archive-damaged');
  });

  it('of a newer format, and what is none, are told apart', async () => {
    expect(await codeOf(await made({ ...manifest, format: 2 as 1 }))).toBe('archive-newer');
    expect(await codeOf(Buffer.alloc(3_000, 'text '))).toBe('not-an-archive');
  });

  it('has no end when a part is not what its digest says', async () => {
    const wrong = writeArchive(manifest, async function* (p) {
      yield Buffer.alloc(p.bytes, 'z');
    });
    await expect((async () => { for await (const piece of wrong) void piece; })()).rejects.toThrow('is not what it was');
  });

  it('may have parts of more than 8 GiB', () => {
    for (const size of [0, 511, 0o77777777777, 2 ** 33, 2 ** 40]) expect(readTarHeader(tarHeader('x', size, 0))).toEqual({ name: 'x', size });
  });
  it('says which Osier made it', () => {
    expect((JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8')) as { version: string }).version).toBe(osierVersion);
  });
});
