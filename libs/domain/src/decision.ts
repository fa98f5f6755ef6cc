import type { ApplyBody, IntentBody, IntentName } from '@osier/contracts/catalogue';
import type { Document, Scope } from '@osier/contracts/document';
import type { Kind, Spec, Status } from '@osier/contracts/kinds';
import { type Problem, problem } from '@osier/contracts/problem';

/** A stored wish, parsed and valid in itself. */
export interface Intent<N extends IntentName = IntentName> {
  readonly id: string;
  readonly name: N;
  readonly scope: Scope;
  readonly credential: string;
  /** Of what was wished, for its outcome to tell; absent in intents stored by versions that had none. */
  readonly digest?: string;
  readonly body: IntentBody<N>;
}

/** What an owner wants an entity to be now; the store gives it its version, its times and the id of its intent. */
export interface Proposed<K extends Kind = Kind> extends Scope {
  readonly kind: K;
  readonly id: string;
  readonly name: string;
  readonly parent: string;
  readonly phase: 'active' | 'deleted';
  readonly spec: Spec<K>;
  readonly status: Status<K>;
}
export type AnyProposed = { [K in Kind]: Proposed<K> }[Kind];

/** An intent that a service sends to another in the course of its own; its id is derived from the parent's, so a repeat is the same one. */
export interface ChildIntent<N extends IntentName = IntentName> {
  readonly id: string;
  readonly name: N;
  readonly scope: Scope;
  readonly body: IntentBody<N>;
}

/**
 * What becomes of an intent. `puts` are saved and published together (a tombstone is a put with phase `deleted`);
 * an unchanged entity is simply not put. `awaits` keeps the intent's outcome open until the named child intent has one;
 * `note` is what the process manager needs to go on from there.
 */
export type Decision =
  | { readonly result: 'accepted'; readonly puts: readonly AnyProposed[]; readonly intents?: readonly ChildIntent[] }
  | { readonly result: 'waiting'; readonly awaits: string; readonly deadlineMs: number; readonly note: unknown; readonly intents: readonly ChildIntent[] }
  | { readonly result: 'refused'; readonly problem: Problem; readonly intents?: readonly ChildIntent[] };

export const accept = (...puts: AnyProposed[]): Decision => ({ result: 'accepted', puts });
export const refuse = (code: string, path: string, reason: string, fix: string): Decision => ({ result: 'refused', problem: problem(code, path, reason, fix) });

export const tombstone = <K extends Kind>(document: Document<K>): Proposed<K> => ({ ...propose(document), phase: 'deleted' });

export function propose<K extends Kind>(d: Document<K>): Proposed<K> {
  const { kind, id, name, parent, phase, domain, project, environment, spec, status } = d;
  return { kind, id, name, parent, phase, domain, project, environment, spec, status };
}

/** Refuses where the author expected another version of the object than there is. */
export function versionConflict(body: Pick<ApplyBody, 'expectedVersion'>, current: Document | undefined): Decision | undefined {
  const version = current?.version ?? 0;
  if (body.expectedVersion === undefined || body.expectedVersion === version) return undefined;
  return refuse('version-conflict', 'expectedVersion', `The object is at version ${version}, not ${body.expectedVersion}.`, 'Read it again, and apply your change to what it is now.');
}
