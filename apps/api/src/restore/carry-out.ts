import { setTimeout as sleep } from 'node:timers/promises';
import { databasePartName, type DatabasePart, type RestoreAnswer, type StreamPart, streamPartName, wholeStreams } from '@osier/contracts/backup';
import type { Service } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import type { QueryRequest } from '@osier/contracts/queries';
import { receiptSchema } from '@osier/contracts/telemetry';
import type { Verified } from '@osier/runtime/archive';
import { refusal } from '../answers.ts';
import { ask, platform } from '../ask.ts';
import { services } from '../backup/hold.ts';
import type { ApiContext } from '../context.ts';
import type { Looks } from './decide.ts';

/** Milliseconds. */
const loadWithin = 600_000;
const anewWithin = 120_000;
const lookEvery = 200;

export interface Progress { readonly step: 'begun' | 'stream' | 'database' | 'finished'; readonly name?: string; readonly count?: number }
export type Say = (progress: Progress) => void;
type Read = (from: number, bytes: number) => AsyncIterable<Uint8Array>;

const askRestore = (context: ApiContext, service: Service, request: QueryRequest<'tenant.restore'>, timeoutMs?: number): Promise<RestoreAnswer> =>
  ask(context, `${service}.restore` as 'tenant.restore', platform, request, timeoutMs);

export const lookAll = async (context: ApiContext): Promise<Looks> =>
  new Map(await Promise.all(services.map(async (service) => [service, await askRestore(context, service, { action: 'look' })] as const)));

/**
 *   begin: every service remembers that it is half restored, and starts anew doing nothing
 *     ─► streams deleted, and made as they were ─► databases, each in one transaction ─► finish: every service starts anew, and works
 *
 * Interrupted anywhere, it is done again from the beginning, or, once all is loaded, from there.
 */
export async function carryOut(context: ApiContext, { manifest, digest, offsets }: Verified, read: Read, plan: 'begin' | 'finish', say: Say): Promise<void> {
  if (plan === 'begin') {
    await Promise.all(services.map((service) => askRestore(context, service, { action: 'begin', archive: digest })));
    await untilAll(context, 'wait to be restored', (look) => !look.working && look.phase !== 'none' && look.archive === digest);
    say({ step: 'begun' });
    await restoreStreams(context, manifest.parts.filter((part) => part.type === 'stream'), (part) => read(offsets.get(part.name) ?? 0, part.bytes), say);
    await context.bus.ensureStreams(manifest.begins);
    await Promise.all(services.map(async (service) => {
      const part = manifest.parts.find((p): p is DatabasePart => p.name === databasePartName(service));
      if (!part) throw refusal(422, 'archive-damaged', 'archive', `The backup has no database of ${service}.`, 'Take another backup.');
      await restoreDatabase(context, part, digest, read(offsets.get(part.name) ?? 0, part.bytes));
      say({ step: 'database', name: service, count: Object.values(part.rows).reduce((a, b) => a + b, 0) });
    }));
    await untilAll(context, 'be loaded', (look) => look.phase === 'loaded' && look.archive === digest);
  }
  await Promise.all(services.map((service) => askRestore(context, service, { action: 'finish', archive: digest })));
  await untilAll(context, 'work again', (look) => look.working && look.ready && look.phase === 'done');
  say({ step: 'finished' });
}

/** STATE goes first and comes after CHANGES, which it mirrors. */
async function restoreStreams(context: ApiContext, parts: readonly StreamPart[], read: (part: StreamPart) => AsyncIterable<Uint8Array>, say: Say): Promise<void> {
  const missing = wholeStreams.find((stream) => !parts.some((part) => part.name === streamPartName(stream)));
  if (missing !== undefined) throw refusal(422, 'archive-damaged', 'archive', `The backup has no stream ${missing}.`, 'Take another backup.');
  for (const stream of ['STATE', 'CHANGES', 'INTENTS', 'OUTCOMES', 'DEAD', 'AUDIT', 'RECEIPTS', 'FLOWS', 'OBSERVATIONS']) await context.bus.deleteStream(stream);
  for (const stream of wholeStreams) {
    const part = parts.find((p) => p.stream === stream) as StreamPart;
    const { config, firstSequence, lastSequence, messages } = part;
    await context.bus.restore(stream, { config, firstSequence, lastSequence, messages, pieces: read(part) });
    const made = await context.bus.stream(stream);
    // What was stored while it was taken may be in it besides; what the services say may not.
    const exact = stream === 'CHANGES' || stream === 'STATE';
    if (!made || (exact ? made.lastSequence !== lastSequence || made.messages !== messages : made.lastSequence < lastSequence)) {
      throw refusal(502, 'stream-differs', '', `${stream} ends at ${made?.lastSequence ?? 0} with ${made?.messages ?? 0} messages, and should end at ${lastSequence} with ${messages}.`, 'Run osier restore again; if it stays so, look into the log of nats-server.');
    }
    say({ step: 'stream', name: stream, count: made.messages });
  }
}

async function restoreDatabase(context: ApiContext, part: DatabasePart, archive: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  let offset = 0;
  for await (const piece of content) {
    for (let at = 0; at < piece.length; at += limits.dumpChunkBytes) {
      const data = piece.subarray(at, at + limits.dumpChunkBytes);
      await askRestore(context, part.service, { action: 'write', archive, offset, data: Buffer.from(data).toString('base64') });
      offset += data.length;
    }
  }
  await askRestore(context, part.service, { action: 'load', archive, schema: part.schema, sha256: part.sha256 }, loadWithin);
}

async function untilAll(context: ApiContext, what: string, is: (look: RestoreAnswer) => boolean): Promise<void> {
  let waiting: readonly string[] = services;
  for (const until = Date.now() + anewWithin; ; await sleep(lookEvery)) {
    const looks = await Promise.all(services.map((service) => askRestore(context, service, { action: 'look' }, 2_000).catch(() => undefined)));
    waiting = services.filter((_, index) => { const look = looks[index]; return look === undefined || !is(look); });
    if (waiting.length === 0) return;
    if (Date.now() > until) throw refusal(503, 'service-unavailable', '', `${waiting.join(' and ')} did not come up to ${what} within ${anewWithin / 1000} s.`, 'Look whether it runs and what its log says, then run osier restore with the same file again.');
  }
}

/** Nodes whose kernels have confirmed more than the backup has: they enforce nothing older. */
export async function nodesAhead(context: ApiContext, revision: number): Promise<string[]> {
  const ahead: string[] = [];
  for await (const message of context.bus.read({ stream: 'RECEIPTS' })) {
    const receipt = receiptSchema.safeParse(JSON.parse(new TextDecoder().decode(message.data))).data;
    if (receipt && receipt.revision > revision) ahead.push(message.subject.split('.')[2] ?? '');
  }
  return [...new Set(ahead)].sort();
}
