import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archiveFormat, begunStreams, databasePartName, type DatabasePart, type Manifest, type Part, streamBackups, type StreamPart, streamPartName, wholeStreams } from '@osier/contracts/backup';
import type { Service } from '@osier/contracts/kinds';
import type { QueryRequest } from '@osier/contracts/queries';
import type { StreamName } from '@osier/contracts/streams';
import { osierVersion } from '@osier/runtime/version';
import { refusal } from '../answers.ts';
import { ask, platform } from '../ask.ts';
import type { ApiContext } from '../context.ts';
import { services, whileStill } from './hold.ts';

/** Milliseconds. */
const makeWithin = 300_000;
const mirrorWithin = 10_000;

export interface Taken { readonly manifest: Manifest; content(part: Part): AsyncIterable<Uint8Array>; remove(): void }

/**
 * Everything of an installation, at one moment:
 *
 *   hold all four ─► STATE = CHANGES ─► streams into files, each service its database into a file of its own ─► let go
 *                                                                          └─► fetched from there afterwards
 */
export async function takeBackup(context: ApiContext, signal: AbortSignal): Promise<Taken> {
  const id = context.newId();
  const folder = mkdtempSync(join(context.folder, 'osier-backup-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const fileOf = (part: Pick<Part, 'name'>): string => join(folder, part.name.replaceAll('/', '-'));
  try {
    const { result, pauseMs } = await whileStill(context, id, signal, async () => {
      const revision = await mirrored(context);
      const dumps = Promise.all(services.map((service) => makeDump(context, service, id)));
      const streams: StreamPart[] = [];
      for (const stream of wholeStreams) streams.push(await takeStream(context, stream, fileOf({ name: streamPartName(stream) })));
      const databases = await dumps;
      if ((await context.bus.stream('CHANGES'))?.lastSequence !== revision) throw refusal(503, 'moved', '', 'Something was published although the services held still.', 'Make the backup again; if it stays so, look for a second process of a service.');
      return { revision, streams, databases, begins: await ends(context) };
    });
    for (const part of result.databases) await fetchDump(context, part, id, fileOf(part));
    const { revision, begins, databases, streams } = result;
    const manifest: Manifest = { format: archiveFormat, osier: osierVersion, madeAt: new Date().toISOString(), revision, pauseMs, begins, parts: [...databases, ...streams] };
    context.log.info({ revision, pauseMs }, 'a backup was taken');
    return { manifest, content: (part) => createReadStream(fileOf(part)), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** STATE has everything that CHANGES has; the last revision of both. */
async function mirrored(context: ApiContext): Promise<number> {
  for (const until = Date.now() + mirrorWithin; ; await sleep(20)) {
    const [changes, state] = [await context.bus.stream('CHANGES'), await context.bus.stream('STATE')];
    if (changes && changes.lastSequence === state?.lastSequence) return changes.lastSequence;
    if (Date.now() > until) throw refusal(503, 'streams-not-whole', '', 'STATE does not come up with CHANGES.', 'Try again when `osier nodes` says that every node is ready.');
  }
}

async function ends(context: ApiContext): Promise<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const name of begunStreams) all[name] = (await context.bus.stream(name))?.lastSequence ?? 0;
  return all;
}

/** Writes what comes, and says how much it was and what its digest is. */
async function written(file: string, pieces: AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const digest = createHash('sha256');
  const handle = await open(file, 'wx', 0o600);
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      digest.update(piece);
      await handle.write(piece);
      bytes += piece.length;
    }
  } finally {
    await handle.close();
  }
  return { bytes, sha256: digest.digest('hex') };
}

async function takeStream(context: ApiContext, stream: StreamName, file: string): Promise<StreamPart> {
  const how = streamBackups[stream];
  const { config, firstSequence, lastSequence, messages, pieces } = await context.bus.snapshot(stream, { consumers: how.take === 'whole' && how.consumers });
  return { type: 'stream', stream, name: streamPartName(stream), config: { ...config }, firstSequence, lastSequence, messages, ...(await written(file, pieces)) };
}

const askDump = (context: ApiContext, service: Service, request: Omit<QueryRequest<'tenant.dump'>, 'offset'> & { offset?: number }, timeoutMs?: number) =>
  ask(context, `${service}.dump` as 'tenant.dump', platform, { offset: 0, ...request }, timeoutMs);

async function makeDump(context: ApiContext, service: Service, hold: string): Promise<DatabasePart> {
  const { schema, rows, bytes, sha256 } = await askDump(context, service, { hold, action: 'make' }, makeWithin);
  return { type: 'database', service, name: databasePartName(service), schema, rows, bytes, sha256 };
}

async function fetchDump(context: ApiContext, part: DatabasePart, hold: string, file: string): Promise<void> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < part.bytes; ) {
      const data = Buffer.from((await askDump(context, part.service, { hold, action: 'read', offset })).data, 'base64');
      if (data.length === 0) return;
      offset += data.length;
      yield data;
    }
  }
  const { bytes, sha256 } = await written(file, pieces());
  if (bytes !== part.bytes || sha256 !== part.sha256) throw refusal(502, 'bad-answer', '', `The dump of ${part.service} did not come as it was made.`, 'Make the backup again.');
  await askDump(context, part.service, { hold, action: 'drop' }).catch(() => undefined);
}
