import { type Bus, WrongLastSequence } from '@osier/bus/bus';
import type { AnyDocument } from '@osier/contracts/document';
import { eventType, headers } from '@osier/contracts/envelope';
import type { Service } from '@osier/contracts/kinds';
import type { Outcome } from '@osier/contracts/outcome';
import { documentSubject, intentSubject, outcomeSubject, outcomeToken } from '@osier/contracts/subjects';
import type { ChildIntent } from '@osier/domain/decision';
import type { Outgoing } from '@osier/store/store';
import { attributes, spans } from '@osier/telemetry/names';
import { currentTraceparent, inSpan } from '@osier/telemetry/trace';
import { intentKey, serviceCredential } from './intent.ts';

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function envelope(service: Service, id: string, type: string, time: string, traceparent: string | undefined): Record<string, string> {
  return {
    [headers.id]: id, [headers.source]: `osier/${service}`, [headers.type]: type, [headers.time]: time,
    [headers.specversion]: '1.0', [headers.contentType]: 'application/json', ...(traceparent === undefined ? {} : { [headers.traceparent]: traceparent }),
  };
}

const versionOf = (data: Uint8Array): number => Number((JSON.parse(new TextDecoder().decode(data)) as Partial<AnyDocument>).version ?? 0);
const contention = 20;

/**
 * Publishes a document unless that version, or a later one, is there already; returns its sequence. The guard is the server's:
 * of two relays, or with one that comes late, none can lay an older document over a newer.
 */
export function publishState(bus: Bus, service: Service, item: Extract<Outgoing, { type: 'state' }>, publishedRevision: number): Promise<number> {
  const { document, traceparent } = item;
  if (traceparent === undefined) return publishGuarded(bus, service, document, publishedRevision, undefined);
  return inSpan(spans.publish(document.kind), { traceparent, kind: 'PRODUCER', attributes: { [attributes.subject]: documentSubject(document) } }, async (span) => {
    const revision = await publishGuarded(bus, service, document, publishedRevision, currentTraceparent() ?? traceparent);
    span.setAttribute(attributes.revision, revision);
    return revision;
  });
}

/**
 * CHANGES does not have what this database published to it. To publish on top of it would be accepted there and dropped by the mirror, which remembers:
 * the streams have to be made anew first.
 */
export class PublishedIsGone extends Error {
  override readonly name = 'PublishedIsGone';
  readonly witness: { readonly subject: string; readonly sequence: number };
  constructor(subject: string, sequence: number) {
    super(`CHANGES has lost ${subject} as it was published at revision ${sequence}`);
    this.witness = { subject, sequence };
  }
}

async function publishGuarded(bus: Bus, service: Service, document: AnyDocument, publishedRevision: number, traceparent: string | undefined): Promise<number> {
  const subject = documentSubject(document);
  const data = encode(document);
  const headersOf = envelope(service, `${document.id}_${document.version}`, eventType(document.kind, 'state'), document.updatedAt, traceparent);
  let expected = publishedRevision;
  for (let attempt = 0; attempt < contention; attempt++) {
    try {
      return (await bus.publish(subject, data, { headers: headersOf, expectedLastSubjectSequence: expected })).sequence;
    } catch (error) {
      if (!(error instanceof WrongLastSequence)) throw error;
      const last = await bus.last('CHANGES', subject);
      if (last && versionOf(last.data) === document.version) return last.sequence;
      if (last && versionOf(last.data) > document.version) return (await whereItIs(bus, document, publishedRevision)) ?? last.sequence;
      if ((last?.sequence ?? 0) < publishedRevision) throw new PublishedIsGone(subject, publishedRevision);
      expected = last?.sequence ?? 0;
    }
  }
  throw new Error(`${subject} changes faster than it can be published`);
}

/**
 * Its own place among the versions of its object, where later ones are there too: the place of the last of them would be taken for what the next
 * one has to come after, and that one would be published twice. Undefined where CHANGES does not reach back so far any more.
 */
async function whereItIs(bus: Bus, document: AnyDocument, after: number): Promise<number | undefined> {
  for await (const message of bus.read({ stream: 'CHANGES', filters: [documentSubject(document)], from: { sequence: after + 1 } })) {
    if (versionOf(message.data) === document.version) return message.sequence;
  }
  return undefined;
}

/** Its id makes a repeat the same intent: the stream drops one that is near, the owner's inbox one that is late. */
export async function publishIntent(bus: Bus, service: Service, child: ChildIntent, now: number, traceparent: string | undefined): Promise<void> {
  const dot = child.name.lastIndexOf('.');
  const [noun, verb] = [child.name.slice(0, dot), child.name.slice(dot + 1)];
  const credential = serviceCredential(service);
  await bus.publish(intentSubject({ ...child.scope, noun, verb, credential }), encode(child.body), {
    headers: {
      ...envelope(service, child.id, eventType(noun, verb), new Date(now).toISOString(), traceparent),
      [headers.messageId]: `${credential}/${intentKey(child.scope, child.id)}`,
    },
  });
}

/** An outcome, with the revisions at which its changes became visible. */
export function completeOutcome(outcome: Outcome, revisions: ReadonlyMap<string, number>): Outcome {
  if (outcome.result === 'refused') return outcome;
  return {
    ...outcome,
    revision: Math.max(0, ...revisions.values()),
    changes: outcome.changes.map((change) => ({ ...change, revision: revisions.get(change.id) ?? 0 })),
  };
}

function isOutcomeOf(service: Service, data: Uint8Array): boolean {
  try {
    return (JSON.parse(new TextDecoder().decode(data)) as Partial<Outcome>).service === service;
  } catch {
    return false;
  }
}

/**
 * Expecting none to be there makes it exactly one, for as long as OUTCOMES keeps them. Where another service has decided another wish under the same id, its
 * outcome stands on the same subject, and this one comes after it: one of each service.
 */
export async function publishOutcome(bus: Bus, service: Service, item: Extract<Outgoing, { type: 'outcome' }>, revisions: ReadonlyMap<string, number>): Promise<void> {
  const { scope, traceparent } = item.open;
  const outcome = completeOutcome(item.open.outcome, revisions);
  const headersOf = envelope(service, outcome.intentId, `io.osier.outcome.${outcome.result}`, outcome.at, traceparent);
  const subject = outcomeSubject(outcomeToken(scope.domain), outcomeToken(scope.project), outcome.intentId);
  let expected = 0;
  for (let attempt = 0; attempt < contention; attempt++) {
    try {
      return void (await bus.publish(subject, encode(outcome), { headers: headersOf, expectedLastSubjectSequence: expected }));
    } catch (error) {
      if (!(error instanceof WrongLastSequence)) throw error;
      for await (const { data, sequence } of bus.read({ stream: 'OUTCOMES', filters: [subject] })) {
        if (isOutcomeOf(service, data)) return;
        expected = sequence;
      }
    }
  }
  throw new Error(`${subject} gets more outcomes than there are services`);
}
