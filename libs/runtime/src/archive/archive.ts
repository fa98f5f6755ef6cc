import { createHash } from 'node:crypto';
import { archiveFormat, completeName, completeSchema, type Manifest, manifestName, manifestSchema, type Part } from '@osier/contracts/backup';
import { damaged, newer, notArchive, truncated } from './problem.ts';
import { Bytes } from './bytes.ts';
import { block, padding, readTarHeader, tarEnd, tarHeader } from './tar.ts';

/** A manifest names some dozen parts; more than this is none. */
const longestManifest = 4 * 1024 * 1024;
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** An archive, piece by piece. Its digest is that of its manifest, which has the digest of everything else. */
export function archiveDigest(manifest: Manifest): string {
  return sha256(text(manifest));
}
const text = (manifest: Manifest): Buffer => Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`);

export async function* writeArchive(manifest: Manifest, content: (part: Part) => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const mtime = Date.parse(manifest.madeAt) / 1000;
  const first = text(manifest);
  yield Buffer.concat([tarHeader(manifestName, first.length, mtime), first, Buffer.alloc(padding(first.length))]);
  for (const part of manifest.parts) {
    yield tarHeader(part.name, part.bytes, mtime);
    const digest = createHash('sha256');
    let bytes = 0;
    for await (const piece of content(part)) {
      digest.update(piece);
      bytes += piece.length;
      yield piece;
    }
    // What is told by the manifest has gone out already: rather no end than a wrong one.
    if (bytes !== part.bytes || digest.digest('hex') !== part.sha256) throw new Error(`${part.name} is not what it was when it was taken`);
    if (padding(part.bytes) > 0) yield Buffer.alloc(padding(part.bytes));
  }
  const last = Buffer.from(`${JSON.stringify({ manifest: sha256(first) })}\n`);
  yield Buffer.concat([tarHeader(completeName, last.length, mtime), last, Buffer.alloc(padding(last.length)), tarEnd()]);
}

export interface Verified {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly bytes: number;
  /** Where the content of each part begins in the file. */
  readonly offsets: ReadonlyMap<string, number>;
}

/** Reads all of it and compares it with its digests. Throws ArchiveProblem: then nothing of it is to be used. */
export async function verifyArchive(source: AsyncIterable<Uint8Array>): Promise<Verified> {
  const bytes = new Bytes(source);
  const first = await entry(bytes, 'before its manifest', true);
  if (first.name !== manifestName || first.size > longestManifest) throw notArchive();
  const raw = await whole(bytes, first.size, 'in its manifest');
  const manifest = manifestOf(raw);
  const offsets = new Map<string, number>();
  for (const part of manifest.parts) {
    const found = await entry(bytes, `before ${part.name}`);
    if (found.name !== part.name || found.size !== part.bytes) throw damaged(`${found.name} of ${found.size} bytes is where ${part.name} of ${part.bytes} bytes should be`);
    offsets.set(part.name, bytes.offset);
    const digest = createHash('sha256');
    let read = 0;
    for await (const piece of bytes.stream(part.bytes)) {
      digest.update(piece);
      read += piece.length;
    }
    if (read < part.bytes) throw truncated(`in ${part.name}`);
    if (digest.digest('hex') !== part.sha256) throw damaged(`${part.name} is not what it was when it was written`);
    await fill(bytes, part.bytes, `after ${part.name}`);
  }
  await verifyEnd(bytes, sha256(raw));
  return { manifest, digest: sha256(raw), bytes: bytes.offset, offsets };
}

function manifestOf(raw: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(raw.toString());
  } catch {
    throw damaged('its manifest is not JSON');
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format > archiveFormat) throw newer(format);
  const manifest = manifestSchema.safeParse(value);
  if (!manifest.success) throw damaged('its manifest does not say what it should');
  return manifest.data;
}

async function verifyEnd(bytes: Bytes, digest: string): Promise<void> {
  const last = await entry(bytes, `before ${completeName}`);
  if (last.name !== completeName || last.size > block) throw damaged(`${last.name} is where ${completeName} should be`);
  const raw = (await whole(bytes, last.size, `in ${completeName}`)).toString();
  let complete: unknown;
  try {
    complete = JSON.parse(raw);
  } catch {
    throw damaged(`${completeName} is not JSON`);
  }
  if (completeSchema.safeParse(complete).data?.manifest !== digest) throw damaged('its end does not belong to its manifest');
  const end = await bytes.take(2 * block);
  if (end.length < 2 * block) throw truncated('before its end mark');
  if (end.some((byte) => byte !== 0)) throw damaged('something follows where it should end');
  if ((await bytes.take(1)).length > 0) throw damaged('something follows after its end');
}

async function entry(bytes: Bytes, where: string, isFirst = false): Promise<{ name: string; size: number }> {
  const header = await bytes.take(block);
  const found = header.length === block ? readTarHeader(header) : undefined;
  if (found) return found;
  if (isFirst) throw header.length < block ? truncated(where) : notArchive();
  if (header.length < block) throw truncated(where);
  throw damaged(`it cannot be read on ${where}`);
}
async function whole(bytes: Bytes, size: number, where: string): Promise<Buffer> {
  const raw = await bytes.take(size);
  if (raw.length < size) throw truncated(where);
  await fill(bytes, size, where);
  return raw;
}
async function fill(bytes: Bytes, size: number, where: string): Promise<void> {
  const rest = await bytes.take(padding(size));
  if (rest.length < padding(size)) throw truncated(where);
  if (rest.some((byte) => byte !== 0)) throw damaged(`there is something between its parts ${where}`);
}
