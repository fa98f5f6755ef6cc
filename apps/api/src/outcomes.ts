import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from '@osier/bus/bus';
import { type Outcome, outcomeSchema } from '@osier/contracts/outcome';
import { outcomeSubject } from '@osier/contracts/subjects';
import type { ApiBus } from './context.ts';

export interface Outcomes {
  find(domain: string, project: string, intentId: string): Promise<Outcome | undefined>;
  /** Listens at once; `undefined` when the time is over or `signal` aborts. `lookNow`: it may be there already. */
  wait(o: { domain: string; project: string; intentId: string; timeoutMs: number; signal: AbortSignal; lookNow?: boolean }): Promise<Outcome | undefined>;
  stop(): void;
}

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
          if (outcome) for (const resolve of waiting) resolve(outcome);
        }
      } catch (error) {
        if (!stopped.signal.aborted && !interrupted) log(error);
        interrupted = true;
      }
      if (!stopped.signal.aborted) await sleep(500, undefined, { ref: false });
    }
  };
  void follow();

  const look = async (subject: string): Promise<Outcome | undefined> => {
    const message = await bus.last('OUTCOMES', subject);
    return message && decode(message);
  };

  const wait: Outcomes['wait'] = async ({ domain, project, intentId, timeoutMs, signal, lookNow = false }) => {
    const subject = outcomeSubject(domain, project, intentId);
    const done = new AbortController();
    const over = AbortSignal.any([done.signal, signal, stopped.signal, AbortSignal.timeout(Math.max(0, timeoutMs))]);
    return new Promise<Outcome | undefined>((resolve) => {
      const set = waiters.get(subject) ?? new Set();
      const finish = (outcome: Outcome | undefined): void => {
        set.delete(finish);
        if (set.size === 0) waiters.delete(subject);
        done.abort();
        resolve(outcome);
      };
      waiters.set(subject, set.add(finish));
      const looking = async (): Promise<void> => {
        if (!lookNow) await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
        while (!over.aborted) {
          const outcome = await look(subject).catch(() => undefined);
          if (outcome) return finish(outcome);
          await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
        }
        if (!done.signal.aborted) finish(undefined);
      };
      void looking();
    });
  };

  return {
    find: (domain, project, intentId) => look(outcomeSubject(domain, project, intentId)),
    wait,
    stop: () => stopped.abort(),
  };
}
