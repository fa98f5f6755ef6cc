import { type Refusal, refusal } from './answers.ts';

/** A bucket that holds `burst` and fills by `perSecond`. */
export interface Rate { readonly perSecond: number; readonly burst: number }
interface Bucket { left: number; at: number }

/** Remembered at once. The one that has waited longest is forgotten first: it is full again by then, or nearly. */
const remembered = 10_000;

/** How often each of many may do something. `now`: milliseconds. */
export class Rates {
  readonly #buckets = new Map<string, Bucket>();
  readonly #rate: Rate;
  readonly #now: () => number;
  constructor(rate: Rate, now: () => number = () => performance.now()) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Takes one, if there is one; otherwise says in how many seconds there will be. */
  take(who: string): { readonly ok: true } | { readonly ok: false; readonly waitSeconds: number } {
    const bucket = this.#bucket(who);
    if (bucket.left < 1) return { ok: false, waitSeconds: Math.max(1, Math.ceil((1 - bucket.left) / this.#rate.perSecond)) };
    bucket.left--;
    return { ok: true };
  }

  #bucket(who: string): Bucket {
    const [{ perSecond, burst }, at] = [this.#rate, this.#now()];
    const before = this.#buckets.get(who) ?? { left: burst, at };
    const bucket = { left: Math.min(burst, before.left + ((at - before.at) / 1000) * perSecond), at };
    this.#buckets.delete(who);
    this.#buckets.set(who, bucket);
    const oldest = this.#buckets.size > remembered ? this.#buckets.keys().next().value : undefined;
    if (oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}

export const tooOften = (what: string, waitSeconds: number): Refusal =>
  Object.assign(refusal(429, 'too-many-requests', '', `${what} asks more often than one may.`, `Wait ${waitSeconds} s, and ask less often.`), { headers: { 'retry-after': String(waitSeconds) } });
