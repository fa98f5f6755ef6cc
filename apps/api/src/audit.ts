import type { Message } from '@osier/bus/bus';
import { type AuditEntry, auditResults, doorRecordSchema } from '@osier/contracts/audit';
import { catalogue, intentDeclaration, intentName } from '@osier/contracts/catalogue';
import { headers, intentIdOf } from '@osier/contracts/envelope';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import type { Outcome } from '@osier/contracts/outcome';
import { outcomeToken, parseIntentSubject } from '@osier/contracts/subjects';
import { parseTraceparent } from '@osier/telemetry/trace';
import type { Answer, ApiRequest } from './answers.ts';
import { type Budget, backwards, type Found } from './backwards.ts';
import type { ApiContext } from './context.ts';
import { beforeOf, limitOf, oneOf, sinceOf, token } from './parameters.ts';
import { within } from './principal.ts';

/** Messages that one request looks at; then it says from where to go on. */
const lookAt = 10_000;
const atOnce = 64;

interface Wanted {
  readonly since: number | undefined;
  readonly credential: string | undefined; readonly result: AuditEntry['result'] | undefined; readonly noun: string | undefined;
  readonly domain: string | undefined; readonly project: string | undefined;
  /** Whose credentials' knocking at the door may be seen; undefined: anybody's. */
  readonly home: string | undefined;
}

const trace = (traceparent: string | undefined): { trace?: string } => {
  const found = parseTraceparent(traceparent);
  return found === undefined ? {} : { trace: found.traceId };
};

/** What the author called his object; nothing else of a body is told here. */
function nameIn(data: Uint8Array): { name?: string } {
  if (data.byteLength > limits.intentBytes) return {};
  try {
    const { name } = JSON.parse(new TextDecoder().decode(data)) as { name?: unknown };
    return typeof name === 'string' ? { name: name.slice(0, 63) } : {};
  } catch {
    return {};
  }
}

type Became = Pick<AuditEntry, 'result' | 'decidedAt' | 'service' | 'revision' | 'problem'>;
/** An id is decided once: under another name, or in another's name, it was somebody else's. */
function became(outcome: Outcome | undefined, intent: string, credential: string): Became {
  if (outcome === undefined) return { result: 'pending' };
  if (outcome.intent !== intent || outcome.credential !== credential) return { result: 'ignored' };
  const { at: decidedAt, service } = outcome;
  return outcome.result === 'accepted' ? { result: 'accepted', decidedAt, service, revision: outcome.revision } : { result: 'refused', decidedAt, service, problem: outcome.problem };
}

async function intentEntry(context: ApiContext, message: Message): Promise<AuditEntry | undefined> {
  const subject = parseIntentSubject(message.subject);
  if (subject === undefined) return undefined;
  const { domain, project, environment, credential } = subject;
  const intent = intentName(subject);
  const intentId = intentIdOf(message.headers[headers.id], message.sequence);
  const outcome = await context.outcomes.find({ domain: outcomeToken(domain), project: outcomeToken(project), intentId, service: intentDeclaration(intent)?.owner });
  return {
    at: new Date(message.storedAt).toISOString(), from: 'intents', sequence: message.sequence, credential, intent, domain, project, environment, intentId,
    ...nameIn(message.data), ...trace(message.headers[headers.traceparent]), ...became(outcome, intent, credential),
  };
}

function doorEntry(message: Message): AuditEntry | undefined {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(message.data));
  } catch {
    return undefined;
  }
  const record = doorRecordSchema.safeParse(body);
  if (!record.success) return undefined;
  const { traceparent, ...rest } = record.data;
  return { ...rest, at: new Date(message.storedAt).toISOString(), from: 'door', sequence: message.sequence, ...trace(traceparent) };
}

type Step = { readonly entry: AuditEntry } | { readonly paused: number };

/** The entries of one stream that are wanted, the newest first. */
async function* entries(found: AsyncIterable<Found>, wanted: Wanted, make: (message: Message) => AuditEntry | undefined | Promise<AuditEntry | undefined>): AsyncGenerator<Step> {
  for await (const portion of found) {
    if ('paused' in portion) return yield portion;
    for (let from = 0; from < portion.messages.length; from += atOnce) {
      for (const entry of await Promise.all(portion.messages.slice(from, from + atOnce).map(async (message) => make(message)))) {
        if (entry === undefined) continue;
        if (wanted.since !== undefined && Date.parse(entry.at) < wanted.since) return;
        if (isWanted(entry, wanted)) yield { entry };
      }
    }
  }
}

const isWanted = (entry: AuditEntry, { credential, result, noun, domain, project, home }: Wanted): boolean =>
  (home === undefined || entry.from === 'intents' || entry.home === home) && (credential === undefined || entry.credential === credential) && (result === undefined || entry.result === result)
  && (noun === undefined || entry.intent.startsWith(`${noun}.`)) && (domain === undefined || entry.domain === domain) && (project === undefined || entry.project === project);

/** What INTENTS has of it, by subject. None: it cannot have any. */
function intentFilters({ domain = '*', project = '*', noun, credential = '*' }: Wanted): string[] {
  return catalogue.filter((i) => noun === undefined || i.noun === noun).map((i) => ['osier.intent', domain, project, '*', i.noun, i.verb, credential].join('.'));
}

function sources(context: ApiContext, request: ApiRequest, wanted: Wanted): AsyncGenerator<Step>[] {
  const budget: Budget = { left: lookAt };
  const [intents, door] = beforeOf(request.query, 2);
  const filters = intentFilters(wanted);
  const read = (stream: string, filter: readonly string[], before: number | undefined) => backwards(context.bus, stream, { filters: filter, before, budget, signal: request.signal });
  return [
    ...(filters.length === 0 ? [] : [entries(read('INTENTS', filters, intents), wanted, (message) => intentEntry(context, message))]),
    entries(read('AUDIT', ['osier.audit.*'], door), wanted, doorEntry),
  ];
}

/** Where the next page of a stream begins: 0 where there is nothing more of it. */
const cursorOf = (head: IteratorResult<Step, unknown>): number => (head.done === true ? 0 : 'paused' in head.value ? head.value.paused : head.value.entry.sequence + 1);

/** Who wished what, when, and what became of it: INTENTS with its OUTCOMES, and what the door refused; the newest first. */
export async function audit(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const { query } = request;
  const limit = limitOf(query);
  const asked = within(request.who, { domain: token(query, 'domain') ?? none, project: token(query, 'project') ?? none });
  const any = (name: string): string | undefined => (name === none ? undefined : name);
  const wanted: Wanted = {
    since: sinceOf(query), credential: token(query, 'credential'), result: oneOf(query, 'result', auditResults), noun: token(query, 'noun'),
    domain: any(asked.domain), project: any(asked.project), home: any(request.who.domain),
  };
  const all = sources(context, request, wanted);
  const heads = await Promise.all(all.map((source) => source.next() as Promise<IteratorResult<Step, unknown>>));
  const items: AuditEntry[] = [];
  while (items.length < limit && !heads.some((head) => head.done !== true && 'paused' in head.value)) {
    let newest: { index: number; entry: AuditEntry } | undefined;
    for (const [index, head] of heads.entries()) {
      if (head.done !== true && 'entry' in head.value && (newest === undefined || head.value.entry.at > newest.entry.at)) newest = { index, entry: head.value.entry };
    }
    if (newest === undefined) break;
    items.push(newest.entry);
    heads[newest.index] = (await all[newest.index]?.next()) as IteratorResult<Step, unknown>;
  }
  await Promise.all(all.map((source) => source.return(undefined)));
  const cursors = heads.map(cursorOf);
  if (cursors.length === 1) cursors.unshift(0);
  return { status: 200, body: { items, ...(cursors.some((cursor) => cursor > 0) ? { next: cursors.join('.') } : {}) } };
}
