import type { Delivery } from '@osier/bus/bus';
import { type Outcome, outcomeSchema } from '@osier/contracts/outcome';
import type { ServiceDefinition } from '@osier/domain/service';
import type { UnitOfWork, Waiting } from '@osier/store/store';
import { attributes, spans } from '@osier/telemetry/names';
import { inSpan } from '@osier/telemetry/trace';
import type { Work } from './batch.ts';
import { causeOf, messageOf } from './dead.ts';
import { handlerContext, NeedsCatchUp, type Surroundings } from './context.ts';
import { intentKey, serviceCredential } from './intent.ts';
import { internalError } from './intake.ts';
import { refuse, settle } from './settle.ts';

type OnOutcome = NonNullable<ServiceDefinition['onOutcome']>;

/** Goes on with an intent that has waited; `outcome` is undefined where its deadline has passed. */
async function proceed(unit: UnitOfWork, waiting: Waiting, outcome: Outcome | undefined, onOutcome: OnOutcome, around: Surroundings, caughtUp: boolean): Promise<void> {
  const { intent, note, traceparent } = waiting;
  const waited = await inSpan(spans.proceed(intent.name), { traceparent: traceparent ?? '', attributes: { [attributes.intentId]: intent.id } }, async (span) => {
    try {
      const decision = await onOutcome({ intent, note }, outcome, handlerContext(unit, around, caughtUp));
      await settle(unit, intent, decision, around);
      span.setAttribute(attributes.result, decision.result);
      return undefined;
    } catch (error) {
      if (error instanceof NeedsCatchUp) return error;
      throw error;
    }
  });
  if (waited) throw waited;
}

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

async function giveUp(unit: UnitOfWork, waiting: Waiting, error: Error, tries: number, around: Surroundings): Promise<void> {
  await around.bury(waiting.intent, messageOf(waiting), { problem: internalError, cause: causeOf(error), tries });
  await refuse(unit, waiting.intent, internalError, around);
}

/** Reads all outcomes; those of this service's own child intents let their parents go on. */
export function outcomeWork(service: ServiceDefinition['name'], onOutcome: OnOutcome, around: Surroundings): Work<Delivery> {
  const credential = serviceCredential(service);
  return {
    key: (delivery) => delivery.subject,
    one: async (unit, delivery, caughtUp) => {
      const child = childOutcome(delivery, credential);
      const waiting = child && (await unit.takeWaiting(child.awaits));
      if (child && waiting) await proceed(unit, waiting, child.outcome, onOutcome, around, caughtUp);
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
export function deadlineWork(onOutcome: OnOutcome, around: Surroundings): Work<Waiting> {
  return {
    key: (waiting) => `deadline of ${waiting.awaits}`,
    one: async (unit, { awaits }, caughtUp) => {
      const waiting = await unit.takeWaiting(awaits);
      if (waiting) await proceed(unit, waiting, undefined, onOutcome, around, caughtUp);
    },
    giveUp: async (unit, { awaits }, error, tries) => {
      const waiting = await unit.takeWaiting(awaits);
      if (waiting) await giveUp(unit, waiting, error, tries, around);
    },
    done: () => {},
    later: () => {},
  };
}
