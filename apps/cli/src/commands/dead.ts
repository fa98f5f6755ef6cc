import type { DeadLetter } from '@osier/contracts/dead';
import type { Outcome } from '@osier/contracts/outcome';
import { failureOf } from '../client.ts';
import { duration } from '../duration.ts';
import { exitCodes, type ExitCode, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import { type CommonOptions, sessionOf } from '../session.ts';
import { count } from './audit.ts';

type Summary = Omit<DeadLetter, 'headers' | 'headersLeftOut' | 'body'>;

const shownId = (letter: Pick<DeadLetter, 'domain' | 'project' | 'intentId'>): string => `${letter.domain}/${letter.project}/${letter.intentId}`;

function pathOf(id: string): string {
  const parts = id.split('/');
  if (parts.length !== 3 || parts.includes('')) throw usage(`"${id.slice(0, 200)}" is not the id of a dead letter.`, 'Write it as osier dead list shows it: DOMAIN/PROJECT/INTENT.');
  return `/v1/dead-letters/${parts.map(encodeURIComponent).join('/')}`;
}

export async function list(io: Io, options: CommonOptions & { limit: string }): Promise<ExitCode> {
  const limit = count(options.limit);
  const session = sessionOf(io, options);
  const query = new URLSearchParams();
  for (const name of ['domain', 'project'] as const) if (options[name] !== undefined) query.set(name, options[name]);
  const items: Summary[] = [];
  for (let next: string | undefined = ''; next !== undefined && items.length < limit && !io.signal.aborted; ) {
    query.set('limit', String(Math.min(1000, limit - items.length)));
    if (next !== '') query.set('before', next);
    const page = (await session.client.read(`/v1/dead-letters?${query}`)) as { items: Summary[]; next?: string };
    items.push(...page.items);
    next = page.next;
  }
  await print(io, session.format, { items }, items, () => (items.length === 0
    ? 'no dead letters'
    : table(['ID', 'TIME', 'WISH', 'CREDENTIAL', 'SERVICE', 'TRIES', 'TOLD', 'CAUSE'], items.map((l) =>
      [shownId(l), l.at.slice(0, 19).replace('T', ' '), l.intent, l.credential, l.service, String(l.tries), l.problem.code, l.cause.split('\n')[0]?.slice(0, 100) ?? '']))));
  return exitCodes.ok;
}

function whole(letter: DeadLetter): string {
  const body = letter.body.encoding === 'json' ? letter.body.text : letter.body.encoding === 'base64' ? `base64 ${letter.body.text}` : 'larger than an intent may be, and not kept';
  const rows: [string, string][] = [
    ['id', shownId(letter)], ['wish', letter.intent], ['credential', letter.credential], ['service', `${letter.service}, after ${letter.tries} tries, ${letter.at}`],
    ['told', `${letter.problem.code}: ${letter.problem.reason}`], ['cause', letter.cause], ['subject', letter.subject], ['stored as', letter.sequence === 0 ? '-' : `INTENTS ${letter.sequence}`],
    ...Object.entries(letter.headers).map(([name, value]): [string, string] => ['header', `${name}: ${value}`]),
    ...(letter.headersLeftOut > 0 ? [['header', `and ${letter.headersLeftOut} more, too long to be kept`] as [string, string]] : []),
    [`body, ${letter.bytes} bytes`, body],
  ];
  const width = Math.max(...rows.map(([title]) => title.length));
  return rows.map(([title, value]) => `${title.padEnd(width)}  ${value}`).join('\n');
}

export async function show(io: Io, id: string, options: CommonOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const letter = (await session.client.read(pathOf(id))) as DeadLetter;
  await print(io, session.format, letter, [letter], () => whole(letter));
  return exitCodes.ok;
}

export async function retry(io: Io, id: string, options: CommonOptions & { timeout: string }): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const timeoutMs = duration(options.timeout);
  const reply = await session.client.call('POST', `${pathOf(id)}/retry?timeout=${timeoutMs}ms`, { timeoutMs: timeoutMs + 20_000 });
  const outcome = reply.body as Outcome | { result: 'pending'; intentId: string } | undefined;
  if (outcome?.result === undefined) throw failureOf(reply, session.client.server);
  await print(io, session.format, outcome, [outcome], () => {
    if (outcome.result === 'pending') return `stored as ${outcome.intentId}; not decided within ${timeoutMs / 1000} s`;
    return outcome.result === 'accepted' ? `accepted @${outcome.revision} as ${outcome.intentId}` : `refused as ${outcome.intentId}: ${outcome.problem.code}: ${outcome.problem.reason}\n  fix: ${outcome.problem.fix}`;
  });
  return outcome.result === 'accepted' ? exitCodes.ok : outcome.result === 'pending' ? exitCodes.timeout : exitCodes.refused;
}

export async function drop(io: Io, id: string, options: CommonOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const reply = await session.client.call('DELETE', pathOf(id));
  if (reply.status !== 200) throw failureOf(reply, session.client.server);
  await print(io, session.format, reply.body, [reply.body], () => `dropped ${shownId(reply.body as Summary)}`);
  return exitCodes.ok;
}
