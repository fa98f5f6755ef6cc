import { createReadStream } from 'node:fs';
import { link, open, rm, unlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { Manifest, Part } from '@osier/contracts/backup';
import { type Verified, verifyArchive } from '@osier/runtime/archive';
import { ArchiveProblem } from '@osier/runtime/archive-problem';
import { exitCodes, type ExitCode, Failure, usage } from '../failure.ts';
import type { Format, Io } from '../io.ts';
import { print, table } from '../output.ts';
import { inSteps } from '../progress.ts';
import { type CommonOptions, sessionOf } from '../session.ts';

const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** All of it, compared with its digests. Throws a Failure that says what is wrong with it. */
export async function verified(file: string): Promise<Verified> {
  try {
    return await verifyArchive(createReadStream(file));
  } catch (error) {
    if (error instanceof ArchiveProblem) throw new Failure(exitCodes.refused, error.code, `${file}: ${error.message}`, error.fix);
    if ((error as NodeJS.ErrnoException).code !== undefined) throw usage(`cannot read ${file}: ${(error as Error).message}`);
    throw error;
  }
}

const countOf = (part: Part): number => (part.type === 'database' ? Object.values(part.rows).reduce((a, b) => a + b, 0) : part.messages);
const summary = ({ manifest, digest, bytes }: Verified, file: string): object => {
  const { parts, ...rest } = manifest;
  return { file, digest, bytes, ...rest, parts: parts.map((part) => ({ name: part.name, bytes: part.bytes, [part.type === 'database' ? 'rows' : 'messages']: countOf(part) })) };
};
const partTable = ({ parts }: Manifest): string => table(['PART', 'HOLDS', 'SIZE'], parts.map((part) => [part.name, `${countOf(part)} ${part.type === 'database' ? 'rows' : 'messages'}`, mib(part.bytes)]));
const told = (what: Verified, file: string): string => [
  partTable(what.manifest), '',
  `revision ${what.manifest.revision} of ${what.manifest.madeAt}, Osier ${what.manifest.osier}; ${mib(what.bytes)}`,
  `sha256 ${what.digest} (of its manifest, which has the digests of all parts)`,
].join('\n') + (file === '' ? '' : `\n${file} is whole`);

export async function verify(io: Io, file: string, options: { output: Format }): Promise<ExitCode> {
  const found = await verified(file);
  await print(io, options.output, summary(found, file), [summary(found, file)], () => told(found, file));
  return exitCodes.ok;
}

/** Under another name until it is known to be whole: whoever finds the file finds a backup. */
export async function backup(io: Io, file: string, options: CommonOptions): Promise<ExitCode> {
  if (existsSync(file)) throw usage(`${file} exists already.`, 'Choose another name: a backup is never written over.');
  const session = sessionOf(io, options);
  const partial = `${file}.partial`;
  let found: Verified | undefined;
  try {
    await inSteps(io, session.format, [
      { title: 'services hold still, everything is taken', work: async (step) => write(partial, session.client.bytes('POST', '/v1/backups'), (bytes) => step.say(mib(bytes))) },
      { title: 'compared with its digests', work: async () => {
        found = await verified(partial);
      } },
    ]);
    await named(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  const done = found as unknown as Verified;
  await print(io, session.format, summary(done, file), [summary(done, file)], () =>
    `${told(done, '')}\nthe services held still for ${(done.manifest.pauseMs / 1000).toFixed(1)} s\nsaved to ${file}; not in it: keys, tokens and credentials, flow records, what is in kernels`);
  return exitCodes.ok;
}

async function write(file: string, pieces: AsyncIterable<Uint8Array>, say: (bytes: number) => void): Promise<void> {
  const handle = await open(file, 'w', 0o600).catch((error: Error) => {
    throw usage(`cannot write ${file}: ${error.message}`, 'Name a file in a folder that exists and that you may write to.');
  });
  let bytes = 0;
  try {
    await handle.chmod(0o600);
    for await (const piece of pieces) {
      await handle.write(piece);
      say(bytes += piece.length);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Unless somebody else has made a file of that name meanwhile. */
async function named(partial: string, file: string): Promise<void> {
  await link(partial, file).catch((error: NodeJS.ErrnoException) => {
    throw usage(`cannot name the backup ${file}: ${error.message}`, 'Choose another name.');
  });
  await unlink(partial);
}
