import type { Flow } from '@osier/contracts/telemetry';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Io } from '../io.ts';
import { toYaml } from '../output.ts';
import { type CommonOptions, sessionOf } from '../session.ts';

export interface FlowsOptions extends CommonOptions { readonly follow?: boolean; readonly denied?: boolean; readonly shadow?: boolean; readonly since?: string }
type Line = ({ domain: string; project: string; node: string } & Flow) | { domain: string; project: string; node: string; lost: number };

export const side = ({ address, port, endpoint }: Pick<Flow['source'], 'address' | 'port' | 'endpoint'>, none = ''): string => `${endpoint?.split('/').at(-1) ?? address}${port === 0 ? none : `:${port}`}`;
/** Further denials are counted over all source ports. */
const anyPort = (flow: Flow): string => (flow.verdict === 'denied' && ['TCP', 'UDP', 'SCTP'].includes(flow.protocol) ? ':*' : '');

export const ruleOf = (d: Flow['decisions'][number]): string => `rule ${d.rule}${d.policy === 'default' ? '' : ` of ${d.policy}`}`;
/** What rules that are not in force would have done to it; whose they are, where that is another thing. */
function shadowText({ shadow, verdict }: Flow): string {
  if (shadow === undefined) return '';
  if (shadow.verdict === verdict) return ' (a shadow agrees)';
  const told = [shadow.egress, shadow.ingress].filter((d) => d !== undefined);
  const rules = (shadow.verdict === 'denied' ? told.slice(-1) : told).map(ruleOf).join(', ');
  return ` (a shadow ${shadow.verdict === 'denied' ? 'denies' : 'allows'}${rules === '' ? '' : `: ${rules}`})`;
}

/** A connection that goes on although its rules deny it since a change. */
export const sparedText = ({ spared }: Pick<Flow, 'spared'>): string => (spared === undefined ? '' : spared.until === undefined ? ' (kept)' : ` (drains until ${spared.until.slice(11, 19)})`);

/** One line for a person: when, where, who to whom, the verdict and the rule that gave it. */
export function flowText(line: Line): string {
  if ('lost' in line) return `${line.node} could not report ${line.lost} flow records`;
  const why = line.decisions.map((d) => `${d.policy === 'default' ? '' : `${d.policy} `}rule ${d.rule} (${d.direction})`).join(', ');
  // A record without a packet of its own tells of further denials only.
  const times = line.repeats + (line.packets.forward > 0 ? 1 : 0);
  const repeats = line.repeats > 0 ? ` ×${times}` : '';
  const verdict = line.verdict === 'denied' ? `denied  ${line.reason}` : line.event === 'denied' ? `spared  ${line.reason}` : `allowed ${line.event}${line.endedBy === undefined ? '' : ` ${line.endedBy}`}`;
  const place = [line.domain, line.project, line.environment].join('/');
  return `${line.at.slice(11, 19)}  ${line.node}  ${place}  ${side(line.source, anyPort(line))} → ${side(line.destination)} ${line.protocol}  ${verdict}${repeats}${sparedText(line)}${shadowText(line)}  ${why} @${line.revision}`.trimEnd();
}

/** Whether shadow policies would decide it otherwise. What was lost is told all the same. */
const isOtherwise = (line: Line): boolean => 'lost' in line || (line.shadow !== undefined && line.shadow.verdict !== line.verdict);

export async function flows(io: Io, options: FlowsOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const query = new URLSearchParams();
  for (const [level, name] of Object.entries(session.place)) query.set(level, name);
  for (const [name, on] of Object.entries({ follow: options.follow, denied: options.denied })) if (on === true) query.set(name, 'true');
  if (options.since !== undefined) query.set('since', options.since);
  let count = 0;
  for await (const line of session.client.lines(`/v1/flows?${query}`)) {
    if (options.shadow === true && !isOtherwise(line as Line)) continue;
    count += 1;
    if (session.format === 'json') io.out(JSON.stringify(line));
    else if (session.format === 'yaml') io.out(`---\n${await toYaml([line])}`);
    else io.out(flowText(line as Line));
  }
  if (count === 0 && session.format === 'table' && !io.signal.aborted) io.err('no flow records here');
  return exitCodes.ok;
}
