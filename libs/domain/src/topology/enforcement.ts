import { none } from '@osier/contracts/names';
import type { Enforcement } from '@osier/contracts/queries';
import type { Receipt } from '@osier/contracts/telemetry';
import { coverage } from './interest.ts';

/** Milliseconds without a receipt after which a node counts as silent: an idle barrier asks for one every 10 s. */
export const silentAfterMs = 15_000;

/** What a node's agent was told, and what it has said. */
export interface Claim {
  /** What it has been told, and the revision of the document that told it: receipts below that may lack what was told newly. */
  readonly told?: { readonly filters: readonly string[]; readonly revision: number } | undefined;
  readonly receipt?: (Receipt & { readonly receivedAt: number }) | undefined;
  /** The receipt speaks of revisions that do not exist: it proves nothing. */
  readonly ahead?: boolean;
}
export interface Standing extends Claim {
  readonly name: string;
  /** What its endpoints need it to hear of. */
  readonly wanted: readonly string[];
}
export interface Change { readonly kind: string; readonly id: string; readonly subject: string; readonly revision: number }
/** `incarnation`: of CHANGES now; a receipt of another one counts other revisions. */
export interface Moment { readonly incarnation: string; readonly now: number }

export function enforcementOf(changes: readonly Change[], nodes: readonly Standing[], moment: Moment): Enforcement {
  const views = nodes.flatMap((node) => {
    const concerns = coverage([...node.wanted, ...(node.told?.filters ?? [])]);
    const mine = changes.filter((c) => concerns(c.subject));
    return mine.length === 0 ? [] : [viewOf(node, mine, moment)];
  });
  const state = views.length === 0 ? 'none' : views.every((v) => v.enforced) ? 'enforced' : 'waiting';
  return { state, revision: Math.max(0, ...changes.map((c) => c.revision)), nodes: views };
}

function viewOf(node: Standing, changes: readonly Change[], moment: Moment): Enforcement['nodes'][number] {
  const why = obstacle(node, changes, moment);
  const receipt = node.receipt;
  return { node: node.name, enforced: why === undefined, revision: receipt?.revision ?? 0, ...(receipt ? { readBackAt: receipt.readBackAt } : {}), ...(why === undefined ? {} : { why }) };
}

/** Why a receipt does not prove these changes yet; undefined where it does. */
function obstacle({ told, receipt, ahead }: Standing, changes: readonly Change[], { incarnation, now }: Moment): string | undefined {
  if (!told && !receipt) return 'its agent has never said anything: is it running?';
  const age = receipt ? Math.max(0, now - receipt.receivedAt) : 0;
  const seconds = Math.round(age / 1000);
  const silence = age > silentAfterMs ? `; silent for ${seconds} s, is its agent running?` : `; last heard of ${seconds} s ago`;
  if (!receipt) return 'its agent has started, and has not confirmed anything yet';
  if (receipt.incarnation !== incarnation) return `its last confirmation belongs to another incarnation of the stream${silence}`;
  if (ahead) return `it claims revision ${receipt.revision}, which does not exist yet: its agent is broken, or not ours${silence}`;
  const heard = coverage(told?.filters ?? []);
  if (!told || changes.some((c) => !heard(c.subject))) return `it is just being told of this${silence}`;
  const needed = Math.max(told.revision, ...changes.map((c) => c.revision));
  if (receipt.revision < needed) return `it has confirmed revision ${receipt.revision}, and ${needed} is needed${silence}`;
  const pending = receipt.pending.find((p) => changes.some((c) => c.id === p.id && liesWhere(p.path, c.subject)));
  return pending && `it could not put ${brief(pending.kind)} ${brief(pending.path)} into force: ${brief(pending.reason)}`;
}

/** An id alone may be anybody's: whoever asks about his own scope is told of nothing else. */
const liesWhere = (path: string, subject: string): boolean => {
  const [, , domain, project] = subject.split('.');
  return domain === none || path.split('/').slice(0, 2).join('/') === `${domain}/${project}`;
};

/** What a node says is repeated to others at a bounded length. */
const brief = (text: string, most = 300): string => (text.length <= most ? text : `${text.slice(0, most)}…`);
