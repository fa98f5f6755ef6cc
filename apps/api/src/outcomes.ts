import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from '@osier/bus/bus';
import type { Service } from '@osier/contracts/kinds';
import { type Outcome, outcomeSchema } from '@osier/contracts/outcome';
import { outcomeSubject } from '@osier/contracts/subjects';
import type { ApiBus } from './context.ts';

/** `service`: whose outcome is meant, where several services have decided under one id; without it the last one. */
export interface Outcomes {
  find(o: { domain: string; project: string; intentId: string; service?: Service | undefined }): Promise<Outcome | undefined>;
  /** Listens at once; `undefined` when the time is over or `signal` aborts. `lookNow`: it may be there already. */
  wait(o: { domain: string; project: string; intentId: string; service?: Service | undefined; timeoutMs: number; signal: AbortSignal; lookNow?: boolean }): Promise<Outcome | undefined>;
  stop(): void;
}

const isOf = (outcome: Outcome | undefined, service: Service | undefined): outcome is Outcome => outcome !== undefined && (service === undefined || outcome.service === service);
const decode = (message: Message): Outcome | undefined => {
  try {
    return outcomeSchema.safeParse(JSON.parse(new TextDecoder().decode(message.data))).data;
  } catch {
    return undefined;
  }
};

/**
 * Follows OUTCOMES once for all requests that wait. What the follower misses (a lost connection, a restart of NATS) the
 * waiting request finds by looking itself every second.
 */
export function followOutcomes(bus: ApiBus, log: (problem: unknown) => void, lookEveryMs = 1000): Outcomes {
  const waiters = new Map<string, Set<(outcome: Outcome) => void>>();
  const stopped = new AbortController();

  let interrupted = !bus.connected;
  const follow = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        for await (const message of bus.read({ stream: 'OUTCOMES', from: 'new', follow: true, signal: stopped.signal })) {
          interrupted = false;
          const waiting = waiters.get(message.subject);
          if (waiting === undefined) continue;
          const outcome = decode(message);
          if (outcome) for (const tell of waiting) tell(outcome);
        }
      } catch (error) {
        if (!stopped.signal.aborted && !interrupted) log(error);
        interrupted = true;
      }
      if (!stopped.signal.aborted) await sleep(500, undefined, { ref: false });
    }
  };
  void follow();

  const look = async (subject: string, service: Service | undefined): Promise<Outcome | undefined> => {
    const message = await bus.last('OUTCOMES', subject);
    const last = message && decode(message);
    if (message === undefined || isOf(last, service)) return last;
    for await (const earlier of bus.read({ stream: 'OUTCOMES', filters: [subject] })) {
      const outcome = decode(earlier);
      if (isOf(outcome, service)) return outcome;
    }
    return undefined;
  };

  const wait: Outcomes['wait'] = async ({ domain, project, intentId, service, timeoutMs, signal, lookNow = false }) => {
    const subject = outcomeSubject(domain, project, intentId);
    const done = new AbortController();
    const over = AbortSignal.any([done.signal, signal, stopped.signal, AbortSignal.timeout(Math.max(0, timeoutMs))]);
    return new Promise<Outcome | undefined>((resolve) => {
      const set = waiters.get(subject) ?? new Set();
      const told = (outcome: Outcome): void => {
        if (isOf(outcome, service)) finish(outcome);
      };
      const finish = (outcome: Outcome | undefined): void => {
        set.delete(told);
        if (set.size === 0) waiters.delete(subject);
        done.abort();
        resolve(outcome);
      };
      waiters.set(subject, set.add(told));
      const looking = async (): Promise<void> => {
        if (!lookNow) await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
        while (!over.aborted) {
          const outcome = await look(subject, service).catch(() => undefined);
          if (outcome) return finish(outcome);
          await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
        }
        if (!done.signal.aborted) finish(undefined);
      };
      void looking();
    });
  };

  return {
    find: ({ domain, project, intentId, service }) => look(outcomeSubject(domain, project, intentId), service),
    wait,
    stop: () => stopped.abort(),
  };
}
