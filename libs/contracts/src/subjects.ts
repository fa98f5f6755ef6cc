import type { Scope } from './document.ts';
import type { Kind } from './kinds.ts';
import { none } from './names.ts';

/** The shapes of all subjects, declared once. A variable token matches `[A-Za-z0-9_-]+`. */
const join = (...tokens: string[]): string => tokens.join('.');

export interface IntentSubject extends Scope { readonly noun: string; readonly verb: string; readonly credential: string }
export const intentSubject = (s: IntentSubject): string =>
  join('osier.intent', s.domain, s.project, s.environment, s.noun, s.verb, s.credential);
export function parseIntentSubject(subject: string): IntentSubject | undefined {
  const [osier, intent, domain, project, environment, noun, verb, credential, extra] = subject.split('.');
  if (osier !== 'osier' || intent !== 'intent' || extra !== undefined) return undefined;
  if (!domain || !project || !environment || !noun || !verb || !credential) return undefined;
  return { domain, project, environment, noun, verb, credential };
}
/** What a stream must listen to for one kind of intent; INTENTS takes exactly the union of these. */
export const intentPattern = (noun: string, verb: string): string => join('osier.intent.*.*.*', noun, verb, '*');

export interface StateSubject extends Scope { readonly noun: Kind | 'barrier' | 'interest'; readonly parent: string; readonly id: string }
export const stateSubject = (s: StateSubject): string =>
  join('osier.state', s.domain, s.project, s.environment, s.noun, s.parent, s.id);
export const documentSubject = (d: Scope & { kind: Kind; parent: string; id: string }): string => stateSubject({ ...d, noun: d.kind });
export function parseStateSubject(subject: string): StateSubject | undefined {
  const [osier, state, domain, project, environment, noun, parent, id, extra] = subject.split('.');
  if (osier !== 'osier' || state !== 'state' || extra !== undefined) return undefined;
  if (!domain || !project || !environment || !noun || !parent || !id) return undefined;
  return { domain, project, environment, noun: noun as StateSubject['noun'], parent, id };
}
/** A filter over state subjects; whatever is not given matches anything. */
export const statePattern = (s: Partial<StateSubject>): string =>
  join('osier.state', s.domain ?? '*', s.project ?? '*', s.environment ?? '*', s.noun ?? '*', s.parent ?? '*', s.id ?? '*');

/** Topology's heartbeat through CHANGES: whoever has received it has received all that came before it. */
export const barrierSubject: string = stateSubject({ domain: none, project: none, environment: none, noun: 'barrier', parent: none, id: 'all' });

/**
 * What stands for a scope in the subject of an outcome: itself where it could be a name. A server stores an intent whatever its tokens are; published
 * back, `*` and `>` would be wildcards, and a token as long as a line may be would not fit into a line with more around it.
 */
export const outcomeToken = (token: string): string => (/^[A-Za-z0-9_-]{1,63}$/.test(token) ? token : '_invalid');
export const outcomeSubject = (domain: string, project: string, intentId: string): string => join('osier.outcome', domain, project, intentId);
export const receiptSubject = (node: string): string => join('osier.receipt', node);
export const flowSubject = (domain: string, project: string, node: string): string => join('osier.flow', domain, project, node);
export const observationSubject = (node: string, topic: string): string => join('osier.observation', node, topic);
/** What is asked of a node, and where it answers: whoever listens hears it, and nothing of it is stored. */
export const askConnectionsSubject = (node: string): string => join('osier.ask.connections', node);
export const connectionsSubject = (node: string): string => join('osier.connections', node);
export const querySubject = (service: string, domain: string, project: string, name: string): string =>
  join('osier.query', service, domain, project, name);
