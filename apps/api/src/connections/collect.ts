import { limits } from '@osier/contracts/limits';
import { type Connection, type Connections, type ConnectionsPart, connectionStates } from '@osier/contracts/telemetry';

/** Which endpoints each node holds, by path, of what is asked about and may be seen. */
export type Holdings = ReadonlyMap<string, ReadonlySet<string>>;
type Told = Connections['connections'][number];

/** What comes of one question. */
export interface Collection {
  /** These nodes are asked, each for so many at the most. */
  ask(nodes: readonly string[], share: number): void;
  /** A part of the answer of a node. Of one that was not asked it counts for nothing; one that is none, or comes out of turn, is the last. */
  take(node: string, part: ConnectionsPart | undefined): void;
  /** Whether there is nothing left to wait for. */
  readonly isComplete: boolean;
  /** How many more could be told. */
  readonly room: number;
  /** Nodes that have more than they were asked for. */
  readonly unfinished: readonly string[];
  answer(): Connections;
}

/**
 * A node is believed for its own endpoints, and for nobody else's: one side of a connection must be an endpoint that it holds, so what is told lies in what was asked
 * and may be seen. A node whose answer is not whole is missing.
 */
export function collect(holdings: Holdings, most: number = limits.connectionsPerAnswer): Collection {
  const told = new Map<string, Told>();
  const waiting = new Map<string, { readonly share: number; parts: number; count: number }>();
  const left = new Map<string, number>();
  const wrong = new Set<string>();
  let beyond = 0;
  const add = (node: string, connection: Connection): void => {
    const held = holdings.get(node);
    if (held === undefined || !isOf(held, connection)) return;
    const key = keyOf(connection);
    const known = told.get(key);
    if (known !== undefined) told.set(key, both(known, { ...connection, nodes: [node] }));
    else if (told.size < most) told.set(key, { ...connection, nodes: [node] });
    // The node of its destination tells it as well, and leaves the counting to this one.
    else if (held.has(connection.source.endpoint ?? '')) beyond++;
  };
  const nodeOf = new Map([...holdings].flatMap(([node, held]) => [...held].map((path) => [path, node] as const)));
  const notAt = ({ nodes, source, destination }: Told): Pick<Told, 'notAt'> => {
    const ends = [source.endpoint, destination.endpoint].flatMap((path) => nodeOf.get(path ?? '') ?? []);
    const found = [...new Set(ends)].filter((node) => !nodes.includes(node) && left.get(node) === 0 && !wrong.has(node));
    return found.length === 0 ? {} : { notAt: found };
  };
  return {
    ask(nodes, share) {
      for (const node of nodes) waiting.set(node, { share, parts: 0, count: 0 });
    },
    take(node, part) {
      const from = waiting.get(node);
      if (from === undefined) return;
      const isNext = part !== undefined && part.node === node && part.part === from.parts && from.count + part.connections.length <= from.share;
      if (!isNext || part.last) waiting.delete(node);
      if (!isNext) return void wrong.add(node);
      from.parts++;
      from.count += part.connections.length;
      for (const connection of part.connections) add(node, connection);
      if (part.last) left.set(node, part.notTold);
    },
    get isComplete() {
      return waiting.size === 0;
    },
    get room() {
      return most - told.size;
    },
    get unfinished() {
      return [...left].filter(([node, count]) => count > 0 && !wrong.has(node)).map(([node]) => node);
    },
    answer: () => ({
      connections: [...told].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => ({ ...one, ...notAt(one) })),
      nodes: [...holdings.keys()].sort(), missing: [...new Set([...waiting.keys(), ...wrong])].sort(),
      notTold: [...left.values()].reduce((sum, count) => sum + count, beyond),
    }),
  };
}

function isOf(held: ReadonlySet<string>, { domain, project, environment, source, destination }: Connection): boolean {
  const within = `${domain}/${project}/${environment}/`;
  const paths = [source.endpoint, destination.endpoint].filter((path) => path !== undefined);
  return paths.some((path) => held.has(path)) && paths.every((path) => path.startsWith(within));
}

const keyOf = ({ domain, project, environment, protocol, source, destination }: Connection): string =>
  JSON.stringify([domain, project, environment, source.address, destination.address, protocol, destination.port, source.port]);

/** A connection over two nodes is in the kernels of both. What one of the two has not seen was lost on the way, or is still on it. */
function both(a: Told, b: Told): Told {
  const more = (what: 'packets' | 'bytes'): Connection['packets'] => ({ forward: Math.max(a[what].forward, b[what].forward), reply: Math.max(a[what].reply, b[what].reply) });
  const directions = new Set(a.decisions.map(({ direction }) => direction));
  return {
    ...a, packets: more('packets'), bytes: more('bytes'), nodes: [...new Set([...a.nodes, ...b.nodes])].sort(),
    source: { ...b.source, ...a.source }, destination: { ...b.destination, ...a.destination },
    since: a.since < b.since ? a.since : b.since, lastPacketAt: a.lastPacketAt > b.lastPacketAt ? a.lastPacketAt : b.lastPacketAt,
    state: connectionStates[Math.max(connectionStates.indexOf(a.state), connectionStates.indexOf(b.state))] ?? a.state,
    ...sparedOf(a, b),
    decisions: [...a.decisions, ...b.decisions.filter(({ direction }) => !directions.has(direction))].sort((x, y) => (x.direction < y.direction ? -1 : 1)),
    revision: Math.min(a.revision, b.revision),
  };
}

/** What one node cuts ends for both. */
function sparedOf({ spared: a }: Told, { spared: b }: Told): Pick<Told, 'spared'> {
  if (a === undefined || b === undefined) return { spared: a ?? b };
  const [until] = [a.until, b.until].filter((one) => one !== undefined).sort();
  return { spared: until === undefined ? {} : { until } };
}
