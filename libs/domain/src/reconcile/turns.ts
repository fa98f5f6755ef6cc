import { byText } from '../policy/order.ts';

/**
 * A number for each turn of the rules in force, as kernels compare them: of two the higher is asked first. A turn keeps its number as long as it is used, and one
 * that comes gets a number between those of its neighbours, so that what is in force is not renumbered for it.
 */
const most = 0xffff_ffff;
/** Room between neighbours: for 16 to come at one place, and for 32,000 on either side of the first. */
const stride = 0x1_0000;

export class Turns {
  #sorted: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #byNumber = new Map<number, string>();
  readonly #uses = new Map<string, number>();

  /** `existing`: what a kernel has; where it contradicts their order, all are numbered anew. */
  static of(turns: Iterable<string>, existing: ReadonlyMap<string, number>): Turns {
    const sorted = [...new Set(turns)].sort(byText);
    const made = new Turns();
    if (made.#begin(sorted, existing)) return made;
    const fresh = new Turns();
    if (!fresh.#begin(sorted, new Map())) throw new Error(`there are no numbers for ${sorted.length} turns`);
    return fresh;
  }
  #begin(sorted: readonly string[], existing: ReadonlyMap<string, number>): boolean {
    let last = most + 1;
    for (const turn of sorted) {
      const number = existing.get(turn);
      if (number === undefined) continue;
      if (number >= last || number < 1) return false;
      this.#sorted.push(turn);
      this.#give(turn, number);
      last = number;
    }
    return sorted.every((turn) => this.#numbers.has(turn) || this.#insert(turn));
  }

  get numbers(): ReadonlyMap<string, number> {
    return this.#numbers;
  }
  has(turn: string): boolean {
    return this.#numbers.has(turn);
  }
  numberOf(turn: string): number {
    const found = this.#numbers.get(turn);
    if (found === undefined) throw new Error(`a turn without a number: ${JSON.stringify(turn)}`);
    return found;
  }
  /** Undefined: it is none of ours. */
  turnOf(number: number): string | undefined {
    return this.#byNumber.get(number);
  }
  /** False: there is no number left between its neighbours, and nothing is changed. */
  use(turn: string): boolean {
    if (!this.#numbers.has(turn) && !this.#insert(turn)) return false;
    this.#uses.set(turn, (this.#uses.get(turn) ?? 0) + 1);
    return true;
  }
  release(turn: string): void {
    const uses = (this.#uses.get(turn) ?? 0) - 1;
    this.#uses.set(turn, uses);
    if (uses > 0) return;
    this.#uses.delete(turn);
    this.#byNumber.delete(this.numberOf(turn));
    this.#numbers.delete(turn);
    const at = this.#place(turn);
    if (this.#sorted[at] === turn) this.#sorted.splice(at, 1);
  }

  #give(turn: string, number: number): void {
    this.#numbers.set(turn, number);
    this.#byNumber.set(number, turn);
  }
  #insert(turn: string): boolean {
    const at = this.#place(turn);
    const [above, below] = [this.#numbers.get(this.#sorted[at - 1] ?? '') ?? most + 1, this.#numbers.get(this.#sorted[at] ?? '') ?? 0];
    // Those that come last, or first, are not squeezed between the last one and the end.
    const number = at > 0 && at === this.#sorted.length && above - below > stride ? above - stride
      : at === 0 && this.#sorted.length > 0 && above - below > stride ? below + stride : Math.floor((above + below) / 2);
    if (number <= below || number >= above) return false;
    this.#sorted.splice(at, 0, turn);
    this.#give(turn, number);
    return true;
  }
  /** Where a turn is, or belongs. */
  #place(turn: string): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byText(this.#sorted[middle] as string, turn) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
