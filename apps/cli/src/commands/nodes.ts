import type { NodeView } from '@osier/contracts/queries';
import { exitCodes, type ExitCode } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import { type CommonOptions, sessionOf } from '../session.ts';

function ago(time: string | undefined, now: number): string {
  if (time === undefined) return '-';
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  return seconds < 120 ? `${seconds}s ago` : seconds < 7200 ? `${Math.round(seconds / 60)}m ago` : `${Math.round(seconds / 3600)}h ago`;
}

const pendingShown = 2;

/** How many are pending, and the first of them: one node may have thousands, for one reason. */
export function pendingText(pending: readonly { readonly path: string; readonly reason: string }[]): string {
  if (pending.length === 0) return '-';
  const first = pending.slice(0, pendingShown).map((p) => `${p.path}: ${p.reason}`).join('; ');
  const more = pending.length - pendingShown;
  return `${pending.length}: ${first}${more > 0 ? `; and ${more} more (-o json tells all)` : ''}`;
}

export async function nodes(io: Io, options: CommonOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const { nodes: views } = (await session.client.read('/v1/nodes')) as { nodes: NodeView[] };
  const sorted = views.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const now = Date.now();
  await print(io, session.format, { nodes: sorted }, sorted, () => (sorted.length === 0
    ? 'no nodes yet'
    : table(['NAME', 'STATE', 'TUNNEL ENDPOINT', 'ENDPOINTS', 'REVISION', 'BEHIND', 'LAST RECEIPT', 'PENDING'], sorted.map((n) => [
      n.name, n.state, n.tunnelEndpoint, String(n.endpoints), String(n.revision), String(n.behind), ago(n.lastReceiptAt, now), pendingText(n.receipt?.pending ?? []),
    ]))));
  return exitCodes.ok;
}
