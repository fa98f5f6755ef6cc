import type { Connections } from '@osier/contracts/telemetry';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import type { Place } from '../place.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';
import { ruleOf, side, sparedText } from './flows.ts';

export interface ConnectionsOptions extends CommonOptions { readonly all?: boolean }
type Connection = Connections['connections'][number];

/** What the kernels of the nodes hold now of the place; a level that is not given means all of it. */
export const openIn = async (session: Session, place: Place): Promise<Connections> =>
  (await session.client.read(`/v1/connections?${new URLSearchParams(Object.entries(place).filter(([, name]) => name !== undefined))}`)) as Connections;

/** What is not in an answer, a line each. */
export function gapsOf({ missing, notTold }: { readonly missing: readonly string[]; readonly notTold: number }): string[] {
  return [
    ...(missing.length === 0 ? [] : [`${missing.join(', ')} did not answer: what only ${missing.length === 1 ? 'it holds' : 'they hold'} is not here`]),
    ...(notTold === 0 ? [] : [`up to ${notTold} more not told: ask about a smaller place`]),
  ];
}

const withPorts = ['TCP', 'UDP', 'SCTP'];
export const endsOf = ({ source, destination, protocol }: Pick<Connection, 'source' | 'destination' | 'protocol'>): string => {
  const [from, to] = [source, destination].map((one) => side(withPorts.includes(protocol) ? one : { ...one, port: 0 }));
  return `${from} → ${to} ${protocol}`;
};
const both = ({ forward, reply }: Connection['bytes']): string => `${forward}/${reply}`;

function connectionsText({ connections }: Connections): string {
  if (connections.length === 0) return 'no connections here';
  return table(['ENVIRONMENT', 'CONNECTION', 'STATE', 'SINCE', 'LAST PACKET', 'PACKETS', 'BYTES', 'NODES', 'RULES'], connections.map((one) => [
    [one.domain, one.project, one.environment].join('/'), endsOf(one), `${one.state}${sparedText(one)}`, one.since.slice(0, 19), one.lastPacketAt.slice(11, 19), both(one.packets), both(one.bytes), [...one.nodes, ...(one.notAt ?? []).map((node) => `not ${node}`)].join(','), one.decisions.map((d) => `${ruleOf(d)} (${d.direction})`).join(', '),
  ]));
}

export async function connections(io: Io, options: ConnectionsOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const found = await openIn(session, options.all === true ? session.asked : session.place);
  await print(io, session.format, found, [found], () => connectionsText(found));
  for (const line of gapsOf(found)) io.err(`warning: ${line}`);
  return exitCodes.ok;
}
