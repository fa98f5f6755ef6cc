import { judge, type How, type Meeting, portsBetween, type Sides } from '../rules/decide.ts';
import type { PortMatch } from '../rules/model.ts';
import type { Range } from './ports.ts';

/** Ports that are decided alike. */
export interface Span extends Range { readonly sides: Sides }

export const firstPort = (protocol: string): number => (protocol === 'ICMP' ? 0 : 1);
export const lastPort = 65_535;

const mentions = (match: PortMatch, protocol: string): boolean => match.protocol === undefined || match.protocol === protocol;

/** Borders between ports that some rule could tell apart, of one protocol. */
function borders(meeting: Meeting, matches: readonly PortMatch[], protocol: string): number[] {
  const found = new Set<number>([firstPort(protocol)]);
  const cut = (first: number, last: number): void => {
    for (const at of [first, last + 1]) if (at > firstPort(protocol) && at <= lastPort) found.add(at);
  };
  for (const match of matches) {
    if (!mentions(match, protocol)) continue;
    if ('first' in match) cut(match.first, match.last);
    else if ('name' in match && meeting.to.type === 'party') for (const port of meeting.to.ports) if (port.name === match.name && port.protocol === protocol) cut(port.port, port.port);
  }
  return [...found].sort((a, b) => a - b);
}

/** Every port of each protocol, in spans that no rule of the two sides divides; protocols that no rule names are decided once. */
export function spansOf(meeting: Meeting, protocols: readonly string[], how: How = {}): Map<string, Span[]> {
  const matches = portsBetween(meeting);
  const spans = (protocol: string): Span[] => {
    const starts = borders(meeting, matches, protocol);
    return starts.map((first, i) => ({ first, last: (starts[i + 1] ?? lastPort + 1) - 1, sides: judge(meeting, protocol, first, how) }));
  };
  let unnamed: Span[] | undefined;
  return new Map(protocols.map((protocol) => {
    if (matches.length > 0 && matches.some((match) => match.protocol === protocol || match.protocol === undefined)) return [protocol, spans(protocol)];
    unnamed ??= spans(protocol);
    return [protocol, unnamed.map((span, i) => (i === 0 ? { ...span, first: firstPort(protocol) } : span))];
  }));
}
