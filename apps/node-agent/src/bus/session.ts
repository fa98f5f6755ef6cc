import type { Bus, Consumption, Delivery } from '@osier/bus/bus';
import { barrierSchema, helloTopic, type Interest, interestSchema, joinConsumer, nodeConsumer } from '@osier/contracts/coordination';
import { type AnyDocument, documentSchema } from '@osier/contracts/document';
import { headers } from '@osier/contracts/envelope';
import { type Kind, kindNames } from '@osier/contracts/kinds';
import { observationSubject, parseStateSubject } from '@osier/contracts/subjects';
import { createView, type View } from '@osier/domain/reconcile/view';
import type { Log } from '@osier/telemetry/log';

/**
 * What this node has been told, and whether that is all of it.
 *
 *   hello ──► topology: makes node-<N> anew, last per subject ──► documents …, interest(session) ──► complete
 *             topology: the interest grows ──► interest(join) ──► drain join-<N> up to that same document ──► complete again
 *
 * Until a session is complete nothing of it may be enforced: half a world could allow what the whole one denies.
 */
export interface Knowledge {
  readonly view: View;
  /** The highest sequence of STATE of which all that concerns this node has come. */
  readonly revision: number;
  readonly incarnation: string;
  /** The interest has been delivered whole. */
  readonly complete: boolean;
  /** Counts the documents that changed the view. */
  readonly changes: number;
  /** Subject of a document that this version cannot read; what it says may be that something is denied. */
  readonly unreadable: string | undefined;
}
export interface Sessions {
  readonly knowledge: Knowledge;
  /** The trace contexts of the changes since the last call, each once. */
  takeTraces(): string[];
  stop(): Promise<void>;
}

/** Milliseconds. Barriers come every 10 s at the least, so longer silence means that the consumer is gone. */
const helloEvery = 1_000;
const silence = 30_000;
const tracesKept = 64;

interface Session {
  readonly id: string;
  readonly view: View;
  interest: Interest | undefined;
  /** Generation of the last join that was drained. */
  drained: number;
  highest: number;
  changes: number;
  readonly unreadable: Set<string>;
}

export async function startSessions(o: { bus: Bus; node: string; log: Log; now: () => number; newId: () => string; onAdvance: () => void; onSilence?: () => void }): Promise<Sessions> {
  const { bus, node, log } = o;
  const begin = (): Session => ({ id: o.newId(), view: createView(), interest: undefined, drained: 0, highest: 0, changes: 0, unreadable: new Set() });
  let session = begin();
  let incarnation = '';
  let heard = o.now();
  let joining: Promise<Consumption> | undefined;
  const traces = new Set<string>();
  const joinOf = (s: Session): number => s.interest?.join?.generation ?? 0;
  const isComplete = (s: Session): boolean => s.interest !== undefined && s.drained >= joinOf(s);

  const beginAgain = (facts: object, why: string): void => {
    log.warn(facts, why);
    session = begin();
    heard = o.now();
  };
  /**
   * What was on its way when a connection broke comes again later than its place, or not at all if what came after it is acknowledged: a receipt
   * would claim what never came. Only a consumer made anew restores the order; until it has, the kernel goes on enforcing what it holds.
   */
  const onGap = (): void => beginAgain({ revision: session.highest }, 'messages were lost on the way: asking for everything again');

  const problem = (sentence: string) => (error: Error): void => log.warn({ error: error.message }, sentence);

  const take = (delivery: Delivery, from: 'node' | 'join'): void => {
    const { subject, sequence } = delivery;
    const parsed = parseStateSubject(subject);
    const body = json(delivery.data);
    if (parsed?.noun === 'barrier') {
      takeIncarnation(barrierSchema.safeParse(body).data?.incarnation);
    } else if (parsed?.noun === 'interest') {
      const interest = interestSchema.safeParse(body).data;
      if (interest?.node === node && interest.session === session.id) takeInterest(interest, from);
    } else if (parsed && isKindName(parsed.noun)) {
      const document = documentSchema(parsed.noun).safeParse(body).data as AnyDocument | undefined;
      if (document === undefined) {
        if (!session.unreadable.has(subject)) log.error({ subject, sequence }, 'this document is not of a shape that this version knows; nothing newer is enforced until it is');
        session.unreadable.add(subject);
      } else session.unreadable.delete(subject);
      if (document !== undefined && session.view.merge(subject, sequence, document)) {
        session.changes++;
        const trace = delivery.headers[headers.traceparent];
        if (trace !== undefined && traces.size < tracesKept) traces.add(trace);
      }
    }
    if (from === 'node') session.highest = Math.max(session.highest, sequence);
  };
  /** The streams are others: rebuilt, or those of a backup, in which there are no documents that were here before. What was heard of the former ones does not count. */
  const takeIncarnation = (found: string | undefined): void => {
    if (found === undefined || found === incarnation) return;
    const before = incarnation;
    incarnation = found;
    if (before !== '') beginAgain({ before, found }, 'the streams were made anew or restored: asking for everything again');
  };
  const takeInterest = (interest: Interest, from: 'node' | 'join'): void => {
    if (!session.interest || interest.generation >= session.interest.generation) session.interest = interest;
    if (from === 'join') session.drained = Math.max(session.drained, interest.join?.generation ?? 0);
  };
  const handler = (from: 'node' | 'join') => async (batch: readonly Delivery[]): Promise<void> => {
    heard = o.now();
    for (const delivery of batch) {
      take(delivery, from);
      // What is taken is in memory only; whoever starts with an empty memory says hello and is given everything again.
      delivery.ack();
    }
    await settleJoin();
    if (isComplete(session)) o.onAdvance();
  };
  const settleJoin = async (): Promise<void> => {
    if (session.interest !== undefined && !isComplete(session)) {
      joining ??= bus.consume({ stream: 'STATE', durable: joinConsumer(node), batch: 256, onGap, onBatch: handler('join'), onProblem: problem('the join consumer cannot be read yet') });
      await joining.catch((error: unknown) => {
        joining = undefined;
        throw error;
      });
    } else if (joining !== undefined) {
      const done = joining;
      joining = undefined;
      // Not awaited: this may be running in that very consumption.
      void done.then((consumption) => consumption.stop());
    }
  };
  const hello = async (): Promise<void> => {
    if (bus.connected && session.interest !== undefined && o.now() - heard > silence) {
      o.onSilence?.();
      beginAgain({ silentMs: o.now() - heard }, 'no word from the state stream: asking for everything again');
    }
    if (session.interest !== undefined) return;
    const body = { node, session: session.id, at: new Date(o.now()).toISOString() };
    await bus.publish(observationSubject(node, helloTopic), new TextEncoder().encode(JSON.stringify(body))).catch((error: Error) => log.warn({ error: error.message }, 'hello was not heard; it is repeated'));
  };
  const states = await bus.consume({ stream: 'STATE', durable: nodeConsumer(node), batch: 256, onGap, onBatch: handler('node'), onProblem: problem('the state stream cannot be read yet') });
  await hello();
  const timer = setInterval(() => void hello(), helloEvery);
  return {
    get knowledge() {
      return { view: session.view, revision: session.highest, incarnation, complete: isComplete(session), changes: session.changes, unreadable: [...session.unreadable][0] };
    },
    takeTraces() {
      const taken = [...traces];
      traces.clear();
      return taken;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all([states.stop(), joining?.then((consumption) => consumption.stop())]);
    },
  };
}

const kinds = new Set<string>(kindNames);
const isKindName = (noun: string): noun is Kind => kinds.has(noun);

function json(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
