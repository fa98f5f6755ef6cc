import { hear, judge, type Meeting, type Sides } from '../rules/decide.ts';
import type { Where } from '../rules/explain.ts';
import type { Direction, PortMatch } from '../rules/model.ts';
import type { Range } from './ports.ts';

/** Ports that are decided alike. */
export interface Span extends Range { readonly sides: Sides }
/** The same, of one direction. */
interface Half extends Range { readonly where: Where | undefined }

export const firstPort = (protocol: string): number => (protocol === 'ICMP' ? 0 : 1);
export const lastPort = 65_535;

/** Borders between ports that some rule could tell apart, of one protocol. */
function borders(meeting: Meeting, matches: readonly PortMatch[], protocol: string): number[] {
  const found = new Set<number>([firstPort(protocol)]);
  const cut = (first: number, last: number): void => {
    for (const at of [first, last + 1]) if (at > firstPort(protocol) && at <= lastPort) found.add(at);
  };
  for (const match of matches) {
    if (match.protocol !== undefined && match.protocol !== protocol) continue;
    if ('first' in match) cut(match.first, match.last);
    else if ('name' in match && meeting.to.type === 'party') for (const port of meeting.to.ports) if (port.name === match.name && port.protocol === protocol) cut(port.port, port.port);
  }
  return [...found].sort((a, b) => a - b);
}

/** Every port of each protocol, in spans that no rule of the two sides divides. Of one world: it remembers what a direction made of those whom its rules see alike. */
export function spanner(protocols: readonly string[]): (meeting: Meeting) => ReadonlyMap<string, readonly Span[]> {
  const known = { egress: new Map<string, ReadonlyMap<string, readonly Half[]>>(), ingress: new Map<string, ReadonlyMap<string, readonly Half[]>>() };
  const nothing = new Map(protocols.map((protocol) => [protocol, [{ first: firstPort(protocol), last: lastPort, where: undefined }]]));
  const half = (meeting: Meeting, direction: Direction): ReadonlyMap<string, readonly Half[]> => {
    const heard = hear(meeting, direction);
    if (heard === undefined) return nothing;
    const before = heard.key === undefined ? undefined : known[direction].get(heard.key);
    if (before !== undefined) return before;
    const only: Meeting = { ...meeting, egress: undefined, ingress: undefined, [direction]: meeting[direction] };
    const made = new Map(protocols.map((protocol) => {
      const starts = borders(meeting, heard.ports, protocol);
      return [protocol, starts.map((first, i): Half => ({ first, last: (starts[i + 1] ?? lastPort + 1) - 1, where: judge(only, protocol, first)[direction] }))];
    }));
    if (heard.key !== undefined) known[direction].set(heard.key, made);
    return made;
  };
  return (meeting) => {
    const whole = meeting.apart !== undefined || meeting.from === meeting.to ? judge(meeting, '', undefined) : undefined;
    if (whole !== undefined) return new Map(protocols.map((protocol) => [protocol, [{ first: firstPort(protocol), last: lastPort, sides: whole }]]));
    const [egress, ingress] = [half(meeting, 'egress'), half(meeting, 'ingress')];
    return new Map(protocols.map((protocol) => [protocol, both(egress.get(protocol) ?? [], ingress.get(protocol) ?? [])]));
  };
}

/** Two lists that each hold every port, cut at the borders of both. */
function both(egress: readonly Half[], ingress: readonly Half[]): Span[] {
  const found: Span[] = [];
  for (let [i, j, first] = [0, 0, egress[0]?.first ?? 0]; i < egress.length && j < ingress.length;) {
    const [out, into] = [egress[i] as Half, ingress[j] as Half];
    const last = Math.min(out.last, into.last);
    found.push({ first, last, sides: { egress: out.where, ingress: into.where } });
    if (out.last === last) i++;
    if (into.last === last) j++;
    first = last + 1;
  }
  return found;
}
