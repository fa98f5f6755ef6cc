import type { Delivery } from '@osier/bus/bus';
import { intentDeclaration, type IntentDeclaration, type IntentName, intentName } from '@osier/contracts/catalogue';
import type { Scope } from '@osier/contracts/document';
import { headers, intentIdOf } from '@osier/contracts/envelope';
import type { Level, Service } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import { nameSchema, none } from '@osier/contracts/names';
import { parse, type Problem, problem } from '@osier/contracts/problem';
import { outcomeToken, parseIntentSubject } from '@osier/contracts/subjects';
import type { Intent } from '@osier/domain/decision';
import { wishDigest } from './digest.ts';

/** An intent as it came: either whole and valid in itself, or what is wrong with it. Both are concluded with one outcome. */
export interface Received {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  readonly credential: string;
  readonly traceparent: string | undefined;
  readonly digest: string;
  readonly content: { readonly ok: true; readonly intent: Intent } | { readonly ok: false; readonly problem: Problem };
}

/** The credential with which a service speaks to the others. */
export const serviceCredential = (service: Service): string => `osier-${service}`;
const isServiceCredential = (credential: string): boolean => credential.startsWith('osier-');

/** Ids are unique within a project: no tenant can use up another's. As in the subject of the outcome, all that is no project counts as one. */
export const intentKey = (scope: Pick<Scope, 'domain' | 'project'>, id: string): string => `${outcomeToken(scope.domain)}/${outcomeToken(scope.project)}/${id}`;

const levels: Record<Level, readonly (keyof Scope)[]> = { platform: [], domain: ['domain'], project: ['domain', 'project'], environment: ['domain', 'project', 'environment'] };

function scopeProblem(level: Level, scope: Scope): Problem | undefined {
  for (const part of ['domain', 'project', 'environment'] as const) {
    const applies = levels[level].includes(part);
    if (applies && scope[part] === none) {
      return problem('wrong-scope', `subject.${part}`, `This intent needs a ${part}, and its subject has "${none}" there.`, `Name the ${part} in the subject.`);
    }
    if (!applies && scope[part] !== none) {
      return problem('wrong-scope', `subject.${part}`, `This intent is not made within a ${part}, and its subject names one.`, `Write "${none}" for the ${part} in the subject.`);
    }
    const named = applies ? nameSchema.safeParse(scope[part]) : { success: true };
    if (!named.success) {
      return problem('invalid-name', `subject.${part}`, `The ${part} in the subject is not a name that anything can have.`, 'Use lower-case letters, digits and "-", at most 63 characters.');
    }
  }
  return undefined;
}

function readBody(declaration: IntentDeclaration, data: Uint8Array): { ok: true; value: unknown } | { ok: false; problem: Problem } {
  if (data.byteLength > limits.intentBytes) {
    return { ok: false, problem: problem('too-large', '', `The body is ${data.byteLength} bytes long; at most ${limits.intentBytes} are taken.`, 'Split it into several intents.') };
  }
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    return { ok: false, problem: problem('not-json', '', 'The body is not JSON in UTF-8.', 'Send the body as one JSON object.') };
  }
  return parse(declaration.body, body);
}

function read(declaration: IntentDeclaration | undefined, name: string, scope: Scope, credential: string, data: Uint8Array): { ok: true; value: unknown } | { ok: false; problem: Problem } {
  if (!declaration) return { ok: false, problem: problem('unknown-intent', 'subject', `There is no intent "${name}".`, 'Use one of the intents of the reference.') };
  if (declaration.internal && !isServiceCredential(credential)) {
    return { ok: false, problem: problem('not-allowed', 'subject.credential', `"${name}" is spoken between the services of Osier only.`, 'Leave it to Osier: it follows from applying or deleting an endpoint.') };
  }
  const wrong = scopeProblem(declaration.level, scope);
  return wrong ? { ok: false, problem: wrong } : readBody(declaration, data);
}

/** Which intent a delivery is, without a look at its body. Undefined for a subject that is no intent's; the filters of the consumer let none through. */
export function identify(delivery: Pick<Delivery, 'subject' | 'sequence' | 'headers'>): Omit<Received, 'content' | 'digest'> | undefined {
  const subject = parseIntentSubject(delivery.subject);
  if (!subject) return undefined;
  const { domain, project, environment, credential } = subject;
  return {
    id: intentIdOf(delivery.headers[headers.id], delivery.sequence), name: intentName(subject), scope: { domain, project, environment }, credential,
    traceparent: delivery.headers[headers.traceparent],
  };
}

export function readIntent(delivery: Pick<Delivery, 'subject' | 'sequence' | 'headers' | 'data'>): Received | undefined {
  const about = identify(delivery);
  if (!about) return undefined;
  const { id, name, scope, credential } = about;
  const body = read(intentDeclaration(name), name, scope, credential, delivery.data);
  const digest = wishDigest(name, scope, delivery.data);
  return { ...about, digest, content: body.ok ? { ok: true, intent: { id, name: name as IntentName, scope, credential, digest, body: body.value } as Intent } : body };
}
