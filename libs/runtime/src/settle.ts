import { type Document, pathOf } from '@osier/contracts/document';
import { targetOf } from './kinds.ts';
import type { Outcome } from '@osier/contracts/outcome';
import type { Problem } from '@osier/contracts/problem';
import { documentSubject } from '@osier/contracts/subjects';
import type { Decision, Intent } from '@osier/domain/decision';
import type { UnitOfWork } from '@osier/store/store';
import { currentTraceparent } from '@osier/telemetry/trace';
import type { Surroundings } from './context.ts';
import { intentKey } from './intent.ts';

type About = Pick<Intent, 'id' | 'scope' | 'credential' | 'digest'> & { readonly name: string };

const trace = (traceparent = currentTraceparent()) => (traceparent === undefined ? {} : { traceparent });

const digestOf = ({ digest }: Pick<Intent, 'digest'>) => (digest === undefined ? {} : { digest });

/** Stores the refusal of an intent, to be published as its outcome. */
export async function refuse(unit: UnitOfWork, intent: About, problem: Problem, around: Surroundings): Promise<void> {
  const { id: intentId, name, credential, scope } = intent;
  const at = new Date(around.now()).toISOString();
  const outcome: Outcome = { intentId, intent: name, credential, at, service: around.service, ...digestOf(intent), result: 'refused', problem };
  await unit.conclude({ scope, outcome, about: [], ...trace() });
}

/** The entity that an intent without changes found to be as wished already. */
async function unchanged(unit: UnitOfWork, intent: Intent): Promise<string[]> {
  const target = targetOf(intent);
  const found = target && (await unit.own.byName(target.kind, target.scope, target.name));
  return found ? [found.id] : [];
}

async function accept(unit: UnitOfWork, intent: Intent, documents: readonly Document[], around: Surroundings): Promise<void> {
  const changes = documents.map((d) => ({ kind: d.kind, id: d.id, path: pathOf(d), version: d.version, subject: documentSubject(d), revision: 0 }));
  const outcome: Outcome = {
    intentId: intent.id, intent: intent.name, credential: intent.credential, at: new Date(around.now()).toISOString(),
    service: around.service, ...digestOf(intent), result: 'accepted', revision: 0, changes,
  };
  const about = documents.length > 0 ? documents.map((d) => d.id) : await unchanged(unit, intent);
  await unit.conclude({ scope: intent.scope, outcome, about, ...trace() });
}

/** Puts a decision into the unit of work: what changes, what is asked of other services, and the outcome, or what it waits for. */
export async function settle(unit: UnitOfWork, intent: Intent, decision: Decision, around: Surroundings): Promise<void> {
  const by = { intentId: intent.id, at: around.now(), ...trace() };
  for (const child of decision.intents ?? []) await unit.send(child, trace());
  if (decision.result === 'refused') return refuse(unit, intent, decision.problem, around);
  if (decision.result === 'waiting') {
    const child = decision.intents.find((c) => c.id === decision.awaits);
    const awaits = intentKey(child?.scope ?? intent.scope, decision.awaits);
    return unit.wait({ intent, awaits, deadlineAt: around.now() + decision.deadlineMs, note: decision.note, ...trace() });
  }
  const documents: Document[] = [];
  for (const proposed of decision.puts) documents.push((await unit.put(proposed, by)) as Document);
  return accept(unit, intent, documents, around);
}
