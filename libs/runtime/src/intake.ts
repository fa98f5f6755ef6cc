import type { Delivery } from '@osier/bus/bus';
import { problem } from '@osier/contracts/problem';
import type { Decision, Intent } from '@osier/domain/decision';
import type { HandlerContext } from '@osier/domain/service';
import type { UnitOfWork } from '@osier/store/store';
import { attributes, spans } from '@osier/telemetry/names';
import { inSpan } from '@osier/telemetry/trace';
import type { Work } from './batch.ts';
import { causeOf } from './dead.ts';
import { type AnyDefinition, handlerContext, NeedsCatchUp, type Surroundings } from './context.ts';
import { identify, intentKey, readIntent, type Received } from './intent.ts';
import { targetOf } from './kinds.ts';
import { lineTooLong, openLine, standing, standInLine } from './line.ts';
import { refuse, settle } from './settle.ts';

/** Bodies that nobody can read, now or ever: their authors are told, and those who run the platform can look at them. */
const unreadable: ReadonlySet<string> = new Set(['not-json', 'too-large']);

type AnyHandler = (intent: Intent, context: HandlerContext) => Promise<Decision>;
export const internalError = problem(
  'internal-error', '', 'Osier failed at this intent several times, through no fault of its own.',
  "Look for the intent's id in the service's log, report it, and send the intent again under a new id.",
);

/** By the handler that the service has for it. */
export function decideWith(definition: AnyDefinition): AnyHandler {
  const handlers = definition.handlers as unknown as Readonly<Record<string, AnyHandler | undefined>>;
  return (intent, context) => {
    const handler = handlers[intent.name];
    if (!handler) throw new Error(`${definition.name} has no handler for ${intent.name}`);
    return handler(intent, context);
  };
}

/** How a stored intent is decided: once, whatever is delivered twice, and to exactly one outcome, whatever it holds. */
export function intentWork(definition: AnyDefinition, around: Surroundings): Work<Delivery> {
  const decideOf = decideWith(definition);

  /** A batch is read before it is done, and may be done again one by one. */
  const read = new WeakMap<Delivery, Received | undefined>();
  const readOnce = (delivery: Delivery): Received | undefined => {
    if (!read.has(delivery)) read.set(delivery, readIntent(delivery));
    return read.get(delivery);
  };

  async function decide(unit: UnitOfWork, received: Received, delivery: Delivery, caughtUp: boolean): Promise<Decision['result']> {
    if (!received.content.ok) {
      const { problem: why } = received.content;
      if (unreadable.has(why.code)) await around.bury(received, delivery, { problem: why, cause: why.reason, tries: 1 });
      await refuse(unit, received, why, around);
      return 'refused';
    }
    const { intent } = received.content;
    // Only where intents may have to wait.
    const place = definition.onOutcome === undefined ? 'first' : await standInLine(unit, standing(intent));
    if (place === 'behind') return 'waiting';
    if (place === 'too-many') {
      await refuse(unit, intent, lineTooLong, around);
      return 'refused';
    }
    const decision = await decideOf(intent, handlerContext(unit, around, caughtUp));
    await settle(unit, intent, decision, around);
    if (decision.result === 'waiting') await openLine(unit, intent);
    return decision.result;
  }

  async function one(unit: UnitOfWork, delivery: Delivery, caughtUp: boolean): Promise<void> {
    const received = readOnce(delivery);
    if (!received) return around.log.error({ subject: delivery.subject }, 'not the subject of an intent; left aside');
    if (await unit.seen(intentKey(received.scope, received.id))) return;
    const { id, name, credential, traceparent } = received;
    const facts = { [attributes.intentId]: id, [attributes.credential]: credential, ...scopeFacts(received.scope) };
    const waited = await inSpan(spans.intent(name), { traceparent: traceparent ?? '', kind: 'CONSUMER', attributes: facts }, async (span) => {
      try {
        const result = await decide(unit, received, delivery, caughtUp);
        span.setAttribute(attributes.result, result);
        around.log.info({ intent: name, id, credential, ...received.scope, result }, 'decided');
        return undefined;
      } catch (error) {
        if (error instanceof NeedsCatchUp) return error;
        throw error;
      }
    });
    if (waited) throw waited;
  }

  return {
    key: (delivery) => {
      const received = identify(delivery);
      return received ? intentKey(received.scope, received.id) : delivery.subject;
    },
    prefetch: (unit, deliveries) => {
      const received = deliveries.flatMap((delivery) => readOnce(delivery) ?? []);
      return unit.prefetch({ seen: received.map(({ scope, id }) => intentKey(scope, id)), named: received.flatMap(({ content }) => (content.ok ? (targetOf(content.intent) ?? []) : [])) });
    },
    one,
    giveUp: async (unit, delivery, error, tries) => {
      const received = identify(delivery);
      if (!received || (await unit.seen(intentKey(received.scope, received.id)))) return;
      await around.bury(received, delivery, { problem: internalError, cause: causeOf(error), tries });
      await refuse(unit, received, internalError, around);
    },
    done: (delivery) => delivery.ack(),
    later: (delivery, delayMs) => delivery.nak(delayMs),
  };
}

const scopeFacts = (scope: Received['scope']) => ({ [attributes.domain]: scope.domain, [attributes.project]: scope.project, [attributes.environment]: scope.environment });
