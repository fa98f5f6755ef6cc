import type { AuditEntry, AuditPage } from '@osier/contracts/audit';
import { exitCodes, type ExitCode, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import { type CommonOptions, sessionOf } from '../session.ts';

export interface AuditOptions extends CommonOptions { readonly since?: string; readonly credential?: string; readonly result?: string; readonly noun?: string; readonly limit: string }

const none = '_';
/** `acme/shop/staging/main`; a door's record has no name where the scope has it. */
const what = (e: AuditEntry): string => [e.domain, e.project, e.environment, e.name ?? none].filter((part) => part !== none).join('/') || '-';
function became(e: AuditEntry): string {
  if (e.result === 'refused') return `${e.problem?.code ?? ''}${e.problem?.path === undefined || e.problem.path === '' ? '' : ` (${e.problem.path})`}`;
  return e.result === 'accepted' && e.revision !== undefined ? `@${e.revision}` : '-';
}

export const count = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw usage(`"${text}" is not a number of entries.`, 'Write --limit 100.');
  return Number(text);
};

export async function audit(io: Io, options: AuditOptions): Promise<ExitCode> {
  const limit = count(options.limit);
  const session = sessionOf(io, options);
  const query = new URLSearchParams();
  for (const name of ['since', 'credential', 'result', 'noun', 'domain', 'project'] as const) if (options[name] !== undefined) query.set(name, options[name]);
  const items: AuditEntry[] = [];
  for (let next: string | undefined = ''; next !== undefined && items.length < limit && !io.signal.aborted; ) {
    query.set('limit', String(Math.min(1000, limit - items.length)));
    if (next !== '') query.set('before', next);
    const page = (await session.client.read(`/v1/audit?${query}`)) as AuditPage;
    items.push(...page.items);
    next = page.next;
  }
  await print(io, session.format, { items }, items, () => (items.length === 0
    ? 'nothing of that kind is recorded'
    : table(['TIME', 'CREDENTIAL', 'WISH', 'OBJECT', 'RESULT', 'WHY', 'INTENT', 'TRACE'], items.map((e) =>
      [e.at.slice(0, 19).replace('T', ' '), e.credential, e.intent, what(e), e.result, became(e), e.intentId ?? e.request ?? '-', e.trace ?? '-']))));
  return exitCodes.ok;
}
