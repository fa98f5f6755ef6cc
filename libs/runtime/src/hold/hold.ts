import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '@osier/contracts/limits';
import { type Problem, problem } from '@osier/contracts/problem';
import type { Service } from '@osier/contracts/kinds';
import type { Log } from '@osier/telemetry/log';
import { Gate } from './gate.ts';

/** Milliseconds within which what is committed has to be published. */
const drainWithin = 30_000;

export interface HoldDeps {
  readonly service: Service;
  readonly log: Log;
  /** Whether the streams are what they should be: nothing can be published otherwise. */
  whole(): boolean;
  /** Has published all that is committed. */
  drained(): Promise<boolean>;
  /** There is something to publish. */
  kick(): void;
  readonly leaseMs?: number;
}

/**
 * Holds a service still, so that its database and the streams belong together:
 *
 *   intents, outcomes, deadlines ─► held ─► what others say, publishing of its own ─► held ─► outbox empty ─► "held"
 *
 * First what decides, since a decision may wait for what others say. Intents go on being stored: their authors wait. Who held it says so again
 * before the lease is over; if not, it goes on by itself, and that hold is broken for good.
 */
export class Hold {
  /** What decides: intents, outcomes of children, deadlines. */
  readonly deciding = new Gate();
  /** What follows, looks and speaks by itself. */
  readonly following = new Gate();
  readonly #deps: HoldDeps;
  #held: { readonly id: string; readonly since: number; readonly still: Promise<void> } | undefined;
  #isStill = false;
  #lease: NodeJS.Timeout | undefined;
  readonly #over = new Set<string>();

  constructor(deps: HoldDeps) {
    this.#deps = deps;
  }

  /** The hold that is in force, once all is still. */
  get id(): string | undefined {
    return this.#isStill ? this.#held?.id : undefined;
  }

  /** Begins, or goes on. False where it was in force and is no more. */
  async hold(id: string): Promise<{ held: boolean } | Problem> {
    const { service } = this.#deps;
    if (this.#over.has(id)) return { held: false };
    if (this.#held && this.#held.id !== id) return problem('backup-running', '', `${service} holds still for another backup.`, 'Wait until that one is done.');
    if (!this.#held) {
      if (!this.#deps.whole()) return problem('streams-not-whole', '', `The streams of ${service} are being mended.`, 'Try again when `osier nodes` says that every node is ready.');
      this.#deps.log.info({ hold: id }, 'holding still for a backup');
      this.#held = { id, since: Date.now(), still: this.#still() };
    }
    const { still } = this.#held;
    this.#renew(id);
    try {
      await still;
    } catch (error) {
      this.#end(id);
      return problem('not-still', '', `${service} did not come to rest: ${(error as Error).message}.`, 'Try again when there is less load, and look into its log for what it cannot publish.');
    }
    return { held: this.id === id };
  }
  /** Goes on. Says whether it has held still until now. */
  release(id: string): { held: boolean } {
    const held = this.id === id;
    if (this.#held?.id === id) this.#end(id);
    return { held };
  }
  /** Whoever holds it: the service is to stop. */
  letGo(): void {
    if (this.#held) this.#end(this.#held.id);
  }

  async #still(): Promise<void> {
    await this.deciding.close();
    await this.following.close();
    for (const until = Date.now() + drainWithin; !(await this.#deps.drained()); await sleep(10)) {
      if (Date.now() > until) throw new Error('what it has decided is not published yet');
      this.#deps.kick();
    }
    this.#isStill = this.#held !== undefined;
  }
  #renew(id: string): void {
    clearTimeout(this.#lease);
    this.#lease = setTimeout(() => {
      this.#deps.log.warn({ hold: id }, 'nobody speaks of the backup any more that this service holds still for: going on');
      this.#end(id);
    }, this.#deps.leaseMs ?? limits.holdLeaseMs);
  }
  #end(id: string): void {
    clearTimeout(this.#lease);
    if (this.#held) this.#deps.log.info({ hold: id, ms: Date.now() - this.#held.since }, 'going on after a backup');
    this.#over.add(id);
    this.#held = undefined;
    this.#isStill = false;
    this.following.open();
    this.deciding.open();
  }
}
