import { type StreamDeclaration, streams } from '@osier/contracts/streams';
import { randomUUID } from 'node:crypto';
import type { StreamState } from '../bus.ts';
import { type Api, apiCodes, hasCode } from './api.ts';

const nanos = (ms: number): number => ms * 1_000_000;
const incarnationKey = 'osier-incarnation';
const rebuiltKey = 'osier-rebuilt';

/**
 * The shortest window that the server takes. De-duplication counts over the whole stream, so within a longer one whoever guessed an id could make
 * the server acknowledge, and not store, another tenant's message. The inbox of the services is the guard against repeats.
 */
export const duplicateWindowMs = 100;

/** Flow records reach a stream by service import, which stream imports do not see; so the stream says what it stored once more for them. */
export const livePrefix = 'osier.live';
const republished: Readonly<Record<string, { readonly src: string; readonly dest: string }>> = {
  FLOWS: { src: 'osier.flow.>', dest: `${livePrefix}.flow.>` },
};

export function streamConfig(d: StreamDeclaration): Record<string, unknown> {
  return {
    name: d.name,
    retention: 'limits', storage: 'file', discard: 'old', num_replicas: 1,
    max_age: nanos(d.maxAge),
    max_msgs: -1,
    max_bytes: d.maxBytes ?? -1,
    max_msg_size: d.maxMessageBytes ?? -1,
    max_msgs_per_subject: d.maxPerSubject ?? -1,
    ...(d.appendOnly === true ? { deny_delete: true, deny_purge: true } : {}),
    ...(republished[d.name] === undefined ? {} : { republish: republished[d.name] }),
    ...(d.mirrorOf === undefined
      ? { subjects: d.subjects, duplicate_window: nanos(duplicateWindowMs) }
      : { mirror: { name: d.mirrorOf } }),
  };
}

interface StreamInfo {
  readonly config: Record<string, unknown> & { readonly metadata?: Readonly<Record<string, string>> };
  readonly created: string;
  readonly state: { readonly first_seq: number; readonly last_seq: number; readonly messages: number };
}
export interface Streams {
  ensure(after?: Readonly<Record<string, number>>): Promise<void>;
  remove(name: string): Promise<void>;
  state(name: string): Promise<StreamState | undefined>;
  purge(stream: string, subject: string): Promise<void>;
}

export function streamsOf(api: Api): Streams {
  const info = async (name: string): Promise<StreamInfo | undefined> => {
    try {
      return await api<StreamInfo>(`STREAM.INFO.${name}`);
    } catch (error) {
      if (hasCode(error, apiCodes.streamNotFound)) return undefined;
      throw error;
    }
  };
  const ensureOne = async (d: StreamDeclaration, after: number | undefined): Promise<void> => {
    const wanted = streamConfig(d);
    let found = await info(d.name);
    if (found === undefined) {
      try {
        await api(`STREAM.CREATE.${d.name}`, {
          ...wanted, metadata: { [incarnationKey]: randomUUID(), ...(after === undefined ? {} : { [rebuiltKey]: 'yes' }) },
          ...(after === undefined || d.mirrorOf !== undefined ? {} : { first_seq: after + 1 }),
        });
        return;
      } catch (error) {
        if (!hasCode(error, apiCodes.streamNameInUse)) throw error;
        found = await info(d.name);
      }
    }
    const config = found?.config ?? {};
    const changed = Object.entries(wanted).some(([key, value]) => !sameSetting(config[key], value));
    if (changed) await api(`STREAM.UPDATE.${d.name}`, { ...config, ...wanted, metadata: config.metadata });
  };
  return {
    ensure: async (after = {}) => {
      for (const declaration of Object.values<StreamDeclaration>(streams)) await ensureOne(declaration, after[declaration.name]);
    },
    remove: async (name) => {
      try {
        await api(`STREAM.DELETE.${name}`);
      } catch (error) {
        if (!hasCode(error, apiCodes.streamNotFound)) throw error;
      }
    },
    state: async (name) => {
      const found = await info(name);
      if (found === undefined) return undefined;
      const { first_seq: firstSequence, last_seq: lastSequence, messages } = found.state;
      const { metadata } = found.config;
      return { incarnation: metadata?.[incarnationKey] ?? found.created, firstSequence, lastSequence, messages, rebuilt: metadata?.[rebuiltKey] !== undefined };
    },
    purge: async (stream, subject) => void (await api(`STREAM.PURGE.${stream}`, { filter: subject })),
  };
}

/** The server answers with defaults where we gave less. */
function sameSetting(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(found) && found.length === wanted.length && wanted.every((item) => found.includes(item));
  if (wanted !== null && typeof wanted === 'object') return Object.entries(wanted).every(([key, value]) => (found as Record<string, unknown> | undefined)?.[key] === value);
  return (found ?? 0) === wanted;
}
