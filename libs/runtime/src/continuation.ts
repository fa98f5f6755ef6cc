import type { Delivery } from '@osier/bus/bus';
import { type Outcome, outcomeSchema } from '@osier/contracts/outcome';
import type { Decision, Intent } from '@osier/domain/decision';
import type { HandlerContext, ServiceDefinition } from '@osier/domain/service';
import type { UnitOfWork, Waiting } from '@osier/store/store';
import { attributes, spans } from '@osier/telemetry/names';
import { inSpan } from '@osier/telemetry/trace';
import type { Work } from './batch.ts';
import { causeOf, messageOf } from './dead.ts';
import { handlerContext, NeedsCatchUp, type Surroundings } from './context.ts';
import { intentKey, serviceCredential } from './intent.ts';
import { internalError } from './intake.ts';
import { endLine, openLine, type Standing } from './line.ts';
import { refuse, settle } from './settle.ts';

type OnOutcome = NonNullable<ServiceDefinition['onOutcome']>;
type Decide = (intent: Intent, context: HandlerContext) => Promise<Decision>;
/** How a service decides: an intent that comes, and one whose child has an outcome. */
export interface Deciding { readonly onOutcome: OnOutcome; readonly decide: Decide }

/** Goes on with an intent that has waited; `outcome` is undefined where its deadline has passed. */
async function proceed(unit: UnitOfWork, waiting: Waiting, outcome: Outcome | undefined, { onOutcome, decide }: Deciding, around: Surroundings, caughtUp: boolean): Promise<void> {
  const { intent, note, traceparent } = waiting;
  const waited = await inSpan(spans.proceed(intent.name), { traceparent: traceparent ?? '', attributes: { [attributes.intentId]: intent.id } }, async (span) => {
    try {
      const decision = await onOutcome({ intent, note }, outcome, handlerContext(unit, around, caughtUp));
      await settle(unit, intent, decision, around);
      span.setAttribute(attributes.result, decision.result);
      if (decision.result !== 'waiting') await decideLine(unit, intent, decide, around, caughtUp);
      return undefined;
    } catch (error) {
      if (error instanceof NeedsCatchUp) return error;
      throw error;
    }
  });
  if (waited) throw waited;
}

/** Decides those who stood behind an intent, until one of them has to wait: the others stand behind that one. */
async function decideLine(unit: UnitOfWork, first: Intent, decide: Decide, around: Surroundings, caughtUp: boolean): Promise<void> {
  const line = await endLine(unit, first);
  for (const [place, one] of line.entries()) {
    const result = await decideOne(unit, one, decide, around, caughtUp);
    if (result === 'waiting') return openLine(unit, one.intent, line.slice(place + 1));
  }
}

async function decideOne(unit: UnitOfWork, { intent, traceparent }: Standing, decide: Decide, around: Surroundings, caughtUp: boolean): Promise<Decision['result']> {
  const facts = { [attributes.intentId]: intent.id, [attributes.credential]: intent.credential };
  const done = await inSpan(spans.intent(intent.name), { traceparent: traceparent ?? '', kind: 'CONSUMER', attributes: facts }, async (span) => {
    try {
      const decision = await decide(intent, handlerContext(unit, around, caughtUp));
      await settle(unit, intent, decision, around);
      span.setAttribute(attributes.result, decision.result);
      around.log.info({ intent: intent.name, id: intent.id, credential: intent.credential, ...intent.scope, result: decision.result }, 'decided');
      return decision.result;
    } catch (error) {
      if (error instanceof NeedsCatchUp) return error;
      throw error;
    }
  });
  if (done instanceof NeedsCatchUp) throw done;
  return done;
}

/** Whether it can be a child's of this service: all outcomes of the installation come by, and next to none is. */
const mentions = ({ data }: Pick<Delivery, 'data'>, credential: string): boolean => Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(`"${credential}"`);

/** The outcome of a child of this service, with the key that its parent waits for; undefined for anybody else's. */
export function childOutcome(delivery: Pick<Delivery, 'subject' | 'data'>, credential: string): { awaits: string; outcome: Outcome } | undefined {
  const [, , domain, project] = delivery.subject.split('.');
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(delivery.data));
  } catch {
    return undefined;
  }
  const outcome = outcomeSchema.safeParse(body);
  if (!domain || !project || !outcome.success || outcome.data.credential !== credential) return undefined;
  return { awaits: intentKey({ domain, project }, outcome.data.intentId), outcome: outcome.data };
}

/** One of those in line can not be decided: then none of them is, since which one it was is not known, and none must be left undecided. */
async function giveUp(unit: UnitOfWork, waiting: Waiting, error: Error, tries: number, around: Surroundings): Promise<void> {
  const line = await endLine(unit, waiting.intent);
  for (const one of [waiting, ...line]) {
    await around.bury(one.intent, messageOf(one), { problem: internalError, cause: causeOf(error), tries });
    await refuse(unit, one.intent, internalError, around);
  }
}

/** Reads all outcomes; those of this service's own child intents let their parents go on. */
export function outcomeWork(service: ServiceDefinition['name'], deciding: Deciding, around: Surroundings): Work<Delivery> {
  const credential = serviceCredential(service);
  return {
    key: (delivery) => delivery.subject,
    concerns: (delivery) => mentions(delivery, credential),
    one: async (unit, delivery, caughtUp) => {
      const child = childOutcome(delivery, credential);
      const waiting = child && (await unit.takeWaiting(child.awaits));
      if (child && waiting) await proceed(unit, waiting, child.outcome, deciding, around, caughtUp);
    },
    giveUp: async (unit, delivery, error, tries) => {
      const child = childOutcome(delivery, credential);
      const waiting = child && (await unit.takeWaiting(child.awaits));
      if (waiting) await giveUp(unit, waiting, error, tries, around);
    },
    done: (delivery) => delivery.ack(),
    later: (delivery, delayMs) => delivery.nak(delayMs),
  };
}

/** What has waited too long goes on without an outcome. What fails is found again by the next look. */
export function deadlineWork(deciding: Deciding, around: Surroundings): Work<Waiting> {
  return {
    key: (waiting) => `deadline of ${waiting.awaits}`,
    one: async (unit, { awaits }, caughtUp) => {
      const waiting = await unit.takeWaiting(awaits);
      if (waiting) await proceed(unit, waiting, undefined, deciding, around, caughtUp);
    },
    giveUp: async (unit, { awaits }, error, tries) => {
      const waiting = await unit.takeWaiting(awaits);
      if (waiting) await giveUp(unit, waiting, error, tries, around);
    },
    done: () => {},
    later: () => {},
  };
}
