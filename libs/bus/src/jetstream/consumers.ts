import { BusRefused, BusUnavailable, ConsumerMissing, type ConsumerDeclaration, type ConsumerState, type From } from '../bus.ts';
import type { Api } from './api.ts';
import { passThrough } from './confirm.ts';
import { Patience } from './patience.ts';

const nanos = (ms: number): number => ms * 1_000_000;

/** The server's form of a declaration. `durable` absent: an ephemeral one under `name`. */
export function consumerConfig(name: string, d: ConsumerDeclaration, durable = true): Record<string, unknown> {
  return {
    name,
    ...(durable ? { durable_name: name } : {}),
    ...deliverPolicy(d.from ?? 'all'),
    filter_subjects: filtersOf(d),
    ack_policy: d.ackPolicy ?? 'explicit',
    replay_policy: 'instant',
    max_deliver: -1,
    ...(d.ackPolicy === 'none' ? {} : { ack_wait: nanos(d.ackWaitMs ?? 30_000), max_ack_pending: d.maxAckPending ?? 1_000 }),
    ...(d.inactiveThresholdMs === undefined ? {} : { inactive_threshold: nanos(d.inactiveThresholdMs) }),
    ...(d.metadata === undefined ? {} : { metadata: d.metadata }),
  };
}

function filtersOf(d: ConsumerDeclaration): readonly string[] {
  if (d.filters === undefined) return ['>'];
  if (d.filters.length === 0) throw new BusRefused(`a consumer on ${d.stream} with an empty list of filters would see everything: leave the list away if that is meant`);
  return d.filters;
}

function deliverPolicy(from: From): Record<string, unknown> {
  if (typeof from === 'object') return { deliver_policy: 'by_start_sequence', opt_start_seq: Math.max(1, from.sequence) };
  return { deliver_policy: from === 'last-per-subject' ? 'last_per_subject' : from };
}

interface ConsumerInfo {
  readonly name: string;
  readonly config: { readonly filter_subject?: string; readonly filter_subjects?: readonly string[]; readonly metadata?: Readonly<Record<string, string>>; readonly deliver_policy?: string; readonly opt_start_seq?: number };
  readonly ack_floor: { readonly stream_seq: number };
  readonly delivered: { readonly stream_seq: number };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}
export interface Consumers {
  /** `setBack`: what was delivered and not acknowledged is to be delivered again, at once and in its place. */
  ensure(name: string, d: ConsumerDeclaration, setBack: boolean): Promise<void>;
  /** Returns how many messages it would deliver now. */
  ephemeral(name: string, d: ConsumerDeclaration): Promise<number>;
  state(stream: string, name: string): Promise<ConsumerState | undefined>;
  list(stream: string): Promise<ConsumerState[]>;
  remove(stream: string, name: string): Promise<void>;
}

/**
 * Milliseconds for which nobody leads a consumer of a stream that is led, after which it is taken for lost. An election takes a few seconds; but of a consumer that is removed and made
 * anew just when all servers die, some find the former one on their disks, refuse to make the new one ("deliver policy can not be updated", nats-server 2.10), and it never has a majority again.
 */
const leaderlessFor = 20_000;

export function consumersOf(api: Api): Consumers {
  /** Of each consumer that could not be asked. */
  const leaderless = new Map<string, Patience>();
  /** How far each was acknowledged when it could be asked last, and how far one that was lost. */
  const floors = new Map<string, number>();
  const lost = new Map<string, number>();
  const info = async (stream: string, name: string): Promise<ConsumerInfo | undefined> => {
    const key = `${stream} ${name}`;
    try {
      const found = await missingIs(undefined, () => api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${name}`));
      leaderless.delete(key);
      if (found !== undefined) floors.set(key, found.ack_floor.stream_seq);
      return found;
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error;
      const patience = leaderless.get(key) ?? new Patience(leaderlessFor);
      leaderless.set(key, patience);
      if (!patience.isOver(Date.now())) throw error;
      await passThrough(api, stream);
      // Nobody leads it, so nobody may answer that it is removed; whoever wants it makes it anew.
      await api(`CONSUMER.DELETE.${stream}.${name}`).catch(() => undefined);
      lost.set(key, floors.get(key) ?? 0);
      return undefined;
    }
  };
  const create = (name: string, d: ConsumerDeclaration, config: Record<string, unknown>): Promise<ConsumerInfo> =>
    api(`CONSUMER.CREATE.${d.stream}.${name}`, { stream_name: d.stream, config });
  return {
    ensure: async (name, d, setBack) => {
      const found = await info(d.stream, name);
      const config = consumerConfig(name, d);
      const floor = lost.get(`${d.stream} ${name}`) ?? 0;
      if (found === undefined) {
        const goOn = floor > 0 && (d.from ?? 'all') === 'all';
        await create(name, d, goOn ? { ...config, ...deliverPolicy({ sequence: floor + 1 }) } : config);
        return void lost.delete(`${d.stream} ${name}`);
      }
      if (!setBack || found.num_ack_pending === 0) return void (await create(name, d, { ...config, ...beginningOf(found) }));
      await api(`CONSUMER.DELETE.${d.stream}.${name}`);
      await create(name, d, { ...config, deliver_policy: 'by_start_sequence', opt_start_seq: found.ack_floor.stream_seq + 1 });
    },
    ephemeral: async (name, d) => (await create(name, d, { ...consumerConfig(name, d, false), mem_storage: true })).num_pending,
    state: async (stream, name) => {
      const found = await info(stream, name);
      return found && stateOf(found);
    },
    remove: (stream, name) => missingIs(undefined, async () => void (await api(`CONSUMER.DELETE.${stream}.${name}`))),
    list: async (stream) => {
      const all: ConsumerState[] = [];
      for (let total = 1; all.length < total; ) {
        const page = await api<{ total: number; consumers?: ConsumerInfo[] }>(`CONSUMER.LIST.${stream}`, { offset: all.length });
        total = page.total;
        const found = page.consumers ?? [];
        if (found.length === 0) break;
        all.push(...found.map(stateOf));
      }
      return all;
    },
  };
}

/** Where a consumer began can not be changed; what is wished of a new one must not show through. */
const beginningOf = ({ config }: ConsumerInfo): Record<string, unknown> => ({
  deliver_policy: config.deliver_policy,
  opt_start_seq: config.opt_start_seq,
});

async function missingIs<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ConsumerMissing) return otherwise;
    throw error;
  }
}

function stateOf(info: ConsumerInfo): ConsumerState {
  const { filter_subject: one, filter_subjects: several, metadata } = info.config;
  const filters = (several ?? (one === undefined || one === '' ? [] : [one])).filter((filter) => filter !== '>');
  // The server adds facts of its own under this prefix.
  const own = Object.entries(metadata ?? {}).filter(([key]) => !key.startsWith('_nats.'));
  return { name: info.name, filters, pending: info.num_pending, ackPending: info.num_ack_pending, deliveredStreamSequence: info.delivered.stream_seq, metadata: Object.fromEntries(own) };
}
