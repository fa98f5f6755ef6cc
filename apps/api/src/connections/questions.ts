import { randomUUID } from 'node:crypto';
import type { Scope } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { askConnectionsSubject, connectionsSubject } from '@osier/contracts/subjects';
import { type Connections, type ConnectionsPart, connectionsPartSchema, type ConnectionsQuestion } from '@osier/contracts/telemetry';
import type { ApiBus } from '../context.ts';
import { type Collection, collect, type Holdings } from './collect.ts';

export interface ConnectionQuestions {
  /** Asks the nodes that hold something of it, and waits for all of them, or as long as may be. */
  ask(scope: Scope, holdings: Holdings, signal: AbortSignal): Promise<Connections>;
  stop(): void;
}

interface Open { readonly collection: Collection; readonly done: () => void }

/** One ear for all that is asked. An answer to what nobody asks, or asks no more, is dropped. */
export function askConnections(bus: ApiBus, log: (problem: unknown) => void, waitMs: number = limits.connectionsAnswerMs): ConnectionQuestions {
  const open = new Map<string, Open>();
  const hear = ({ subject, data }: { subject: string; data: Uint8Array }): void => {
    if (open.size === 0) return;
    // The subject says who it is: a node's account lets it answer on its own only.
    const node = subject.split('.').at(-1) ?? '';
    const read = reading(data);
    const question = open.get(read.id);
    question?.collection.take(node, read.part);
    if (question?.collection.isComplete === true) question.done();
  };
  const ear = bus.listen(connectionsSubject('*'), hear, { onProblem: log });
  ear.catch(log);
  const round = async (collection: Collection, scope: Scope, nodes: readonly string[], share: number, signal: AbortSignal): Promise<void> => {
    const question: ConnectionsQuestion = { id: randomUUID(), domain: scope.domain, project: scope.project, environment: scope.environment, most: share };
    const body = new TextEncoder().encode(JSON.stringify(question));
    const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
    collection.ask(nodes, share);
    try {
      await new Promise<void>((resolve, reject) => {
        open.set(question.id, { collection, done: resolve });
        over.addEventListener('abort', () => resolve(), { once: true });
        Promise.all(nodes.map((node) => bus.tell(askConnectionsSubject(node), body))).catch(reject);
      });
    } finally {
      open.delete(question.id);
    }
  };
  return {
    async ask(scope, holdings, signal) {
      await ear;
      const collection = collect(holdings);
      const nodes = [...holdings.keys()];
      if (nodes.length === 0) return collection.answer();
      // All together no more than can be told, or the bus would bring more than can be read: one that has more is asked again for what the others have left of it.
      const shareOf = (asked: readonly string[]): number => (asked.length === 0 ? 0 : Math.floor(collection.room / asked.length / (open.size + 1)));
      const share = Math.max(1, shareOf(nodes));
      await round(collection, scope, nodes, share, signal);
      const again = collection.unfinished;
      const further = shareOf(again);
      if (further > 0 && !signal.aborted) await round(collection, scope, again, Math.min(share + further, limits.connectionsPerAnswer), signal);
      return collection.answer();
    },
    stop: () => void ear.then((listening) => listening.stop(), () => undefined),
  };
}

/** Whose answer it is, also where it is no answer. */
function reading(data: Uint8Array): { readonly id: string; readonly part: ConnectionsPart | undefined } {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(data));
    const part = connectionsPartSchema.safeParse(body).data;
    return { id: String((body as { id?: unknown } | null)?.id), part };
  } catch {
    return { id: '', part: undefined };
  }
}
