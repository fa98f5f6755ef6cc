import { problem } from '@osier/contracts/problem';
import type { Intent } from '@osier/domain/decision';
import type { UnitOfWork, Waiting } from '@osier/store/store';
import { currentTraceparent } from '@osier/telemetry/trace';
import { targetOf } from './kinds.ts';

/**
 * Keeps the order of the intents for one entity while the first of them waits for a child: those that come after it stand in line, and are decided
 * when it is. Otherwise a delete would find nothing to delete, be accepted, and what was wished before it would come into being after it.
 *
 * The line is kept among the waiting intents, under a name that no child can have, since no subject holds a space. It never is overdue: its first one is.
 */
export interface Standing { readonly intent: Intent; readonly traceparent?: string }
const never = Number.MAX_SAFE_INTEGER;
/** Intents behind one that waits; more are refused. */
export const longestLine = 100;

function nameOf(intent: Intent): string | undefined {
  const target = targetOf(intent);
  if (target === undefined) return undefined;
  const { kind, scope: { domain, project, environment }, name } = target;
  return `line of ${kind} ${domain}/${project}/${environment}/${name}`;
}
const those = (line: Waiting): readonly Standing[] => line.note as readonly Standing[];

/** An intent as it comes, with the trace that it belongs to. */
export function standing(intent: Intent): Standing {
  const traceparent = currentTraceparent();
  return traceparent === undefined ? { intent } : { intent, traceparent };
}

/** Called for an intent that has to wait. */
export async function openLine(unit: UnitOfWork, intent: Intent, behind: readonly Standing[] = []): Promise<void> {
  const awaits = nameOf(intent);
  if (awaits !== undefined) await unit.wait({ intent, awaits, deadlineAt: never, note: behind });
}

/** Whether an earlier intent for the same entity waits; then this one stands behind it, or is too many. */
export async function standInLine(unit: UnitOfWork, one: Standing): Promise<'first' | 'behind' | 'too-many'> {
  const awaits = nameOf(one.intent);
  const line = awaits === undefined ? undefined : await unit.takeWaiting(awaits);
  if (line === undefined) return 'first';
  const full = those(line).length >= longestLine;
  await unit.wait(full ? line : { ...line, note: [...those(line), one] });
  return full ? 'too-many' : 'behind';
}

/** Called when an intent that waited is decided: those who stood behind it, in their order. Whoever decides them opens the line again when one has to wait. */
export async function endLine(unit: UnitOfWork, intent: Intent): Promise<readonly Standing[]> {
  const awaits = nameOf(intent);
  const line = awaits === undefined ? undefined : await unit.takeWaiting(awaits);
  return line === undefined ? [] : those(line);
}

export const lineTooLong = problem(
  'too-many-waiting', '', `${longestLine} earlier intents for the same object are not decided yet.`,
  'Wait until they are, and send the intent again under a new id.',
);
