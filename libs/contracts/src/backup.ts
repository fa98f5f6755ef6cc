import { z } from 'zod';
import { timeSchema, tokenSchema } from './names.ts';
import type { StreamName } from './streams.ts';

/**
 * A backup of a whole installation is one archive, a POSIX tar file:
 *
 *   manifest.json                  what is in it: every part with its size and digest
 *   databases/<service>.ndjson.gz  every table of the service, a row on a line
 *   streams/<stream>.snapshot      as the NATS server gives and takes it
 *   complete.json                  the digest of the manifest once more: an archive that does not end with it is not whole
 */
export const archiveFormat = 1;
export const manifestName = 'manifest.json';
export const completeName = 'complete.json';

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in hexadecimal');

/** What a stream is made of again besides what it holds: the words of the server, passed on as they are. */
const serverWords = z.record(z.string(), z.unknown());
const part = { name: z.string().min(1).max(100), bytes: z.int().min(0), sha256: sha256Schema };
export const databasePartSchema = z.strictObject({
  ...part, type: z.literal('database'), service: z.enum(['tenant', 'ipam', 'topology', 'policy']),
  schema: z.string().meta({ description: 'Name of the last migration of the database' }), rows: z.record(z.string(), z.int().min(0)),
});
export const streamPartSchema = z.strictObject({
  ...part, type: z.literal('stream'), stream: z.string(), config: serverWords,
  firstSequence: z.int().min(0), lastSequence: z.int().min(0), messages: z.int().min(0),
});
export const partSchema = z.discriminatedUnion('type', [databasePartSchema, streamPartSchema]);
export type DatabasePart = z.infer<typeof databasePartSchema>;
export type StreamPart = z.infer<typeof streamPartSchema>;
export type Part = z.infer<typeof partSchema>;

export const manifestSchema = z.strictObject({
  format: z.literal(archiveFormat),
  osier: z.string().meta({ description: 'Version of Osier that wrote it' }),
  madeAt: timeSchema,
  revision: z.int().min(0).meta({ description: 'The last revision that is in it' }),
  pauseMs: z.int().min(0).meta({ description: 'How long the services held still' }),
  /** Streams that begin anew, after these sequences. */
  begins: z.record(z.string(), z.int().min(0)),
  parts: z.array(partSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;
export const completeSchema = z.strictObject({ manifest: sha256Schema });

/**
 * What a backup has of each stream. `whole`: with all it holds, and, where `consumers`, how far its readers have come. `begin`: nothing of it, since it
 * tells of kernels, which are not in a backup; its numbers go on where they were, for readers that go by them.
 */
export const streamBackups: { readonly [S in StreamName]: { readonly take: 'whole'; readonly consumers: boolean } | { readonly take: 'begin' } } = {
  CHANGES: { take: 'whole', consumers: false },
  // After CHANGES, which it mirrors. Not made anew from it: a mirror needs every message that ever was, and CHANGES forgets old versions.
  STATE: { take: 'whole', consumers: false },
  INTENTS: { take: 'whole', consumers: true },
  OUTCOMES: { take: 'whole', consumers: true },
  DEAD: { take: 'whole', consumers: false },
  AUDIT: { take: 'whole', consumers: false },
  RECEIPTS: { take: 'begin' },
  FLOWS: { take: 'begin' },
  OBSERVATIONS: { take: 'begin' },
};
export const wholeStreams = (Object.keys(streamBackups) as StreamName[]).filter((name) => streamBackups[name].take === 'whole');
export const begunStreams = (Object.keys(streamBackups) as StreamName[]).filter((name) => streamBackups[name].take === 'begin');

export const databasePartName = (service: string): string => `databases/${service}.ndjson.gz`;
export const streamPartName = (stream: string): string => `streams/${stream}.snapshot`;

/** `hold`: hold still, or go on holding still; the answer comes when all that is committed is published. Said again before the lease is over. */
export const holdRequest = z.strictObject({ hold: tokenSchema, action: z.enum(['hold', 'release']) });
export const holdResponse = z.strictObject({
  held: z.boolean().meta({ description: 'Holds still; of a release: has done so without a break until now' }),
});

export const dumpRequest = z.strictObject({ hold: tokenSchema, action: z.enum(['make', 'read', 'drop']), offset: z.int().min(0).default(0) });
export const dumpResponse = z.strictObject({
  schema: z.string(), rows: z.record(z.string(), z.int().min(0)), bytes: z.int().min(0), sha256: sha256Schema,
  data: z.string().meta({ description: 'Base64 of the bytes from the offset on; empty at the end' }),
});

/** How far a restore has come in a service: it works only in `none` and in `done`. */
export const restorePhases = ['none', 'begun', 'loaded', 'done'] as const;
export type RestorePhase = (typeof restorePhases)[number];
export const restoreRequest = z.strictObject({
  action: z.enum(['look', 'begin', 'write', 'load', 'finish']).meta({ description: 'begin: from now on it works no more until it is finished. write: a piece of its dump. load: all of it into the database' }),
  archive: sha256Schema.optional(),
  offset: z.int().min(0).optional(), data: z.string().optional(),
  schema: z.string().optional(), sha256: sha256Schema.optional(),
});
export const restoreResponse = z.strictObject({
  phase: z.enum(restorePhases),
  archive: sha256Schema.optional().meta({ description: 'Digest of the backup that it was restored from, or is being' }),
  working: z.boolean().meta({ description: 'It decides intents; otherwise it waits for a restore to go on' }),
  ready: z.boolean(),
  holds: z.string().optional().meta({ description: 'Something that is in its database and would be lost; absent where it is empty' }),
  schemas: z.array(z.string()).meta({ description: 'Schemas of a dump that it can load' }),
});
export type RestoreAnswer = z.infer<typeof restoreResponse>;
