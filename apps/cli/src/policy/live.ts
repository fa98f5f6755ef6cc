import type { Connections } from '@osier/contracts/telemetry';
import { type After, afterChange } from '@osier/domain/review/live';
import type { IndexedWorld } from '@osier/domain/rules/index-world';
import { gapsOf, openIn } from '../commands/connections.ts';
import { Failure } from '../failure.ts';
import type { Io } from '../io.ts';
import { table } from '../output.ts';
import type { Place } from '../place.ts';
import type { Session } from '../session.ts';
import { causeText } from './plan-show.ts';

type Denied = Extract<After, { cause: unknown }>;
/** Connections of one pair on one port, of which the same becomes. */
interface Group { readonly from: string; readonly to: string; readonly protocol: string; readonly port: number; readonly seconds?: number; readonly cause: Denied['cause']; readonly connections: number }
/** What a change does to the connections that there are. */
export interface Live {
  readonly ends: readonly Group[];
  readonly drains: readonly Group[];
  readonly kept: readonly Group[];
  readonly goOn: number;
  readonly deniedBefore: number;
  readonly undecided: readonly { readonly reason: string; readonly connections: number }[];
  readonly missing: readonly string[];
  readonly notTold: number;
}

/** Undefined where they cannot be asked for; that is said, and is not "none". */
export async function askOpen(session: Session, place: Place, io: Io): Promise<Connections | undefined> {
  try {
    return await openIn(session, place);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const why = error.code === 'unknown-route' ? 'this server is of a release that does not tell them' : `${error.message} ${error.fix ?? ''}`.trim();
    io.err(`warning: live connections could not be asked for: ${why}`);
    return undefined;
  }
}

const counted = <T>(map: Map<string, { of: T; connections: number }>, key: string, of: T): void => void map.set(key, { of, connections: (map.get(key)?.connections ?? 0) + 1 });

export function liveOf(before: IndexedWorld, after: IndexedWorld, { connections, missing, notTold }: Connections): Live {
  const groups = { ends: new Map<string, { of: Omit<Group, 'connections'>; connections: number }>(), drains: new Map(), kept: new Map() };
  const undecided = new Map<string, { of: string; connections: number }>();
  const counts = { 'goes on': 0, 'denied before': 0 };
  for (const { source, destination, protocol } of connections) {
    const { port } = destination;
    const found = afterChange(before, after, { from: source.endpoint, to: destination.endpoint, protocol, port, family: 4 });
    if (found.becomes === 'undecided') counted(undecided, found.reason, found.reason);
    else if ('cause' in found) {
      const { becomes, cause, seconds } = found;
      const group = { from: source.endpoint ?? source.address, to: destination.endpoint ?? destination.address, protocol, port, cause, ...(seconds === undefined ? {} : { seconds }) };
      counted(groups[becomes], JSON.stringify(group), group);
    } else counts[found.becomes]++;
  }
  const list = (map: Map<string, { of: Omit<Group, 'connections'>; connections: number }>): Group[] => [...map.values()].map(({ of, connections: count }) => ({ ...of, connections: count })).sort((a, b) => b.connections - a.connections);
  return {
    ends: list(groups.ends), drains: list(groups.drains), kept: list(groups.kept), goOn: counts['goes on'], deniedBefore: counts['denied before'],
    undecided: [...undecided.values()].map(({ of: reason, connections: count }) => ({ reason, connections: count })), missing, notTold,
  };
}

const sum = (groups: readonly { readonly connections: number }[]): number => groups.reduce((total, { connections }) => total + connections, 0);
/** Whether one ends, or it is not known that none does. */
export const mayEnd = (live: Live): boolean => live.ends.length + live.drains.length + live.undecided.length + live.missing.length + live.notTold > 0;

const shown = 5;
const portText = ({ protocol, port }: Group): string => (protocol === 'ICMP' ? `ICMP type ${port >> 8} code ${port & 0xff}` : `${protocol}/${port}`);
const several = (count: number, what = 'live connection'): string => `${count} ${what}${count === 1 ? '' : 's'}`;
const inPlace = (path: string): string => path.split('/').slice(-2).join('/');

export function liveText(live: Live): string[] {
  const rows = (['ends', 'drains', 'kept'] as const).flatMap((what) => live[what].map((group) => ({ what: group.seconds === undefined ? what : `drains ${group.seconds}s`, group })));
  const more = sum(rows.slice(shown).map(({ group }) => group));
  const parts = [`${several(sum(live.ends))} would end`, ...(live.drains.length === 0 ? [] : [`${sum(live.drains)} would drain`]), ...(live.kept.length === 0 ? [] : [`${sum(live.kept)} would be kept though denied`])];
  return [
    ...(rows.length === 0 ? [] : ['', table(['LIVE', 'FROM → TO', 'PORT', 'CONNECTIONS', 'WHY'], rows.slice(0, shown).map(({ what, group }) => [what, `${inPlace(group.from)} → ${inPlace(group.to)}`, portText(group), String(group.connections), causeText(group.cause)]))]),
    ...(more === 0 ? [] : [`and ${several(more)} more: -o json lists all`]),
    ...(rows.length === 0 ? [] : ['']),
    `${parts.join(', ')}; ${live.goOn} would go on`,
    ...live.undecided.map(({ reason, connections }) => `not decided for ${several(connections)}: ${reason}`),
    ...gapsOf(live),
  ];
}
