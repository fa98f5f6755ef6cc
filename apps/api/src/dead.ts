import type { Message } from '@osier/bus/bus';
import { intentDeclaration } from '@osier/contracts/catalogue';
import { type DeadLetter, deadLetterSchema, deadPattern, deadSubject, retryId } from '@osier/contracts/dead';
import { eventType, headers as names } from '@osier/contracts/envelope';
import { none, tokenSchema } from '@osier/contracts/names';
import { intentSubject, parseIntentSubject } from '@osier/contracts/subjects';
import { traceHeaders } from '@osier/telemetry/trace';
import { type Answer, type ApiRequest, refusal } from './answers.ts';
import { backwards } from './backwards.ts';
import type { ApiContext } from './context.ts';
import { beforeOf, limitOf, token } from './parameters.ts';
import { mustBe, within } from './principal.ts';
import { type Asked, doorRecord, insist } from './record.ts';
import type { Route } from './routes.ts';
import { carryOut } from './submit.ts';

type Laid = DeadLetter & { readonly deadSequence: number };

const lookAt = 2_000;

function letterIn(context: ApiContext, message: Message): Laid | undefined {
  try {
    return { ...deadLetterSchema.parse(JSON.parse(new TextDecoder().decode(message.data))), deadSequence: message.sequence };
  } catch (err) {
    context.log.warn({ err, subject: message.subject, sequence: message.sequence }, 'a dead letter that cannot be read was left out');
    return undefined;
  }
}

/** Without headers and body. */
function summary({ headers: _, headersLeftOut: __, body: ___, ...rest }: Laid): Omit<Laid, 'headers' | 'headersLeftOut' | 'body'> {
  return rest;
}

export async function deadLetters(context: ApiContext, request: ApiRequest): Promise<Answer> {
  const limit = limitOf(request.query);
  const { domain, project } = within(request.who, { domain: token(request.query, 'domain') ?? none, project: token(request.query, 'project') ?? none });
  const filters = [deadPattern(domain === none ? undefined : domain, project === none ? undefined : project)];
  const [before] = beforeOf(request.query, 1);
  const items: ReturnType<typeof summary>[] = [];
  for await (const found of backwards(context.bus, 'DEAD', { filters, before, budget: { left: lookAt }, signal: request.signal })) {
    if ('paused' in found) return { status: 200, body: { items, next: String(found.paused) } };
    for (const message of found.messages) {
      if (items.length === limit) return { status: 200, body: { items, next: String(message.sequence + 1) } };
      const letter = letterIn(context, message);
      if (letter) items.push(summary(letter));
    }
  }
  return { status: 200, body: { items } };
}

async function find(context: ApiContext, request: ApiRequest): Promise<{ letter: Laid; subject: string }> {
  const { domain = '', project = '', intentId = '' } = request.params;
  const subject = deadSubject(domain, project, intentId);
  const message = tokenSchema.safeParse(intentId).success ? await context.bus.last('DEAD', subject) : undefined;
  const letter = message && letterIn(context, message);
  if (!letter) throw refusal(404, 'not-found', 'intentId', 'There is no dead letter of this intent in this project.', 'List what there is: osier dead list.');
  return { letter, subject };
}

export async function deadLetter(context: ApiContext, request: ApiRequest): Promise<Answer> {
  return { status: 200, body: (await find(context, request)).letter };
}

const asked = (route: Route, request: ApiRequest): Asked => {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(request.params[name] ?? ''));
  return { route, params: request.params, method: route.method.toUpperCase(), path, who: request.who, ...traceHeaders() };
};

/** The same wish once more, in the name of its author: under an id of its own, since the old one is decided. */
export const retry = (route: Route) => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  const { letter, subject } = await find(context, request);
  const wish = parseIntentSubject(letter.subject);
  if (letter.body.encoding === 'left-out' || wish === undefined || !Object.values(wish).every((part) => tokenSchema.safeParse(part).success)) {
    throw refusal(422, 'not-repeatable', '', 'This intent can never be carried out as it was published.', 'Drop it, and publish what was meant under a new id.');
  }
  // In its author's name: who could not wish it himself must not have it wished again.
  mustBe(request.who, intentDeclaration(letter.intent)?.role ?? 'admin');
  const id = retryId(letter, letter.deadSequence);
  const headers = {
    [names.id]: id, [names.retryOf]: letter.intentId, [names.source]: 'osier/api', [names.type]: eventType(wish.noun, wish.verb), [names.specversion]: '1.0',
    [names.time]: new Date().toISOString(), [names.contentType]: 'application/json', ...traceHeaders(),
  };
  return carryOut(context, request, {
    id, given: true, intent: letter.intent, scope: wish, subject: intentSubject(wish), headers,
    data: letter.body.encoding === 'json' ? new TextEncoder().encode(letter.body.text) : Buffer.from(letter.body.text, 'base64'),
    stored: async () => {
      await insist(context, doorRecord(asked(route, request), { status: 200, result: 'accepted' }));
      await context.bus.purge('DEAD', subject);
    },
  });
};

/** Nothing is dropped of which it is not written down who did it. */
export const drop = (route: Route) => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  const { letter, subject } = await find(context, request);
  await insist(context, doorRecord(asked(route, request), { status: 200, result: 'accepted' }));
  await context.bus.purge('DEAD', subject);
  return { status: 200, body: summary(letter) };
};
