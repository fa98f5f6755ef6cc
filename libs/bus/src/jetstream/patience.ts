/** Pure: for how long nothing has been answered. */
export class Patience {
  readonly #limitMs: number;
  #since: number | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }
  answered(): void {
    this.#since = undefined;
  }
  /** Something was not answered at `now`. True once for each time that the limit is over without an answer between. */
  isOver(now: number): boolean {
    this.#since ??= now;
    if (now - this.#since < this.#limitMs) return false;
    this.#since = undefined;
    return true;
  }
}
