import { type StreamDeclaration, streams } from '@osier/contracts/streams';
import { randomUUID } from 'node:crypto';
import { BusUnavailable, type StreamState } from '../bus.ts';
import { NotClustered, type StreamReplicas } from '../replicas.ts';
import { type Api, apiCodes, hasCode } from './api.ts';
import { confirmAbsence, passThrough } from './confirm.ts';

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

export function streamConfig(d: StreamDeclaration, replicas: number): Record<string, unknown> {
  return {
    name: d.name,
    retention: 'limits', storage: 'file', discard: 'old', num_replicas: replicas,
    // Whoever asks for a message is to hear what the stream holds, not what some copy of it has so far.
    allow_direct: false, mirror_direct: false,
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
  readonly config: Record<string, unknown> & { readonly num_replicas: number; readonly metadata?: Readonly<Record<string, string>> };
  readonly created: string;
  readonly state: { readonly first_seq: number; readonly last_seq: number; readonly messages: number };
}
export interface Streams {
  ensure(after?: Readonly<Record<string, number>>): Promise<void>;
  remove(name: string): Promise<void>;
  state(name: string, o?: { readonly confirmed?: boolean }): Promise<StreamState | undefined>;
  /** Has another copy of a replicated stream take the lead. */
  stepDown(name: string): Promise<void>;
  purge(stream: string, subject: string): Promise<void>;
}

export function streamsOf(api: Api, { replicas, clustered }: { replicas: StreamReplicas; clustered: () => boolean }): Streams {
  const info = async (name: string): Promise<StreamInfo | undefined> => {
    try {
      return await api<StreamInfo>(`STREAM.INFO.${name}`);
    } catch (error) {
      if (hasCode(error, apiCodes.streamNotFound)) return undefined;
      throw error;
    }
  };
  const ensureOne = async (d: StreamDeclaration, after: number | undefined): Promise<void> => {
    let found = await info(d.name);
    // Never fewer: a service that was started without the setting would take away what protects all.
    const copies = Math.max(replicas, found?.config.num_replicas ?? 1);
    const wanted = streamConfig(d, copies);
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
        // An update that does not know what is there would take its incarnation away.
        if (found === undefined) throw new BusUnavailable(`${d.name} is being made by another at this moment`);
      }
    }
    const { config } = found;
    const changed = Object.entries(wanted).some(([key, value]) => !sameSetting(config[key], value));
    if (changed) await api(`STREAM.UPDATE.${d.name}`, { ...config, ...wanted, num_replicas: Math.max(copies, config.num_replicas), metadata: config.metadata });
  };
  return {
    ensure: async (after = {}) => {
      // A server that is alone takes the setting of a stream that is there, and says that it keeps three copies.
      if (replicas > 1 && !clustered()) throw new NotClustered(replicas);
      try {
        for (const declaration of Object.values<StreamDeclaration>(streams)) await ensureOne(declaration, after[declaration.name]);
      } catch (error) {
        throw inWords(error, replicas);
      }
    },
    remove: async (name) => {
      try {
        await api(`STREAM.DELETE.${name}`);
      } catch (error) {
        if (!hasCode(error, apiCodes.streamNotFound)) throw error;
      }
    },
    stepDown: async (name) => void (await api(`STREAM.LEADER.STEPDOWN.${name}`)),
    state: async (name, { confirmed = false } = {}) => {
      if (confirmed) await passThrough(api, name);
      let found = await info(name);
      if (found === undefined && confirmed) {
        await confirmAbsence(api);
        found = await info(name);
      }
      if (found === undefined) return undefined;
      const { first_seq: firstSequence, last_seq: lastSequence, messages } = found.state;
      const { metadata } = found.config;
      return { incarnation: metadata?.[incarnationKey] ?? found.created, firstSequence, lastSequence, messages, rebuilt: metadata?.[rebuiltKey] !== undefined, replicas: found.config.num_replicas };
    },
    purge: async (stream, subject) => void (await api(`STREAM.PURGE.${stream}`, { filter: subject })),
  };
}

/** What the server says of copies that it cannot keep. */
function inWords(error: unknown, replicas: number): unknown {
  if (hasCode(error, apiCodes.noPeers)) return new BusUnavailable(`fewer than ${replicas} nats-servers of the cluster are up: streams with ${replicas} copies cannot be made before they are (${(error as Error).message})`);
  return error;
}

/** The server answers with defaults where we gave less. */
function sameSetting(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(found) && found.length === wanted.length && wanted.every((item) => found.includes(item));
  if (wanted !== null && typeof wanted === 'object') return Object.entries(wanted).every(([key, value]) => (found as Record<string, unknown> | undefined)?.[key] === value);
  return (found ?? (typeof wanted === 'boolean' ? false : 0)) === wanted;
}
