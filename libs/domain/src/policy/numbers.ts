/**
 * Numbers for meanings. A meaning that has a number keeps it, also over a restart, since the kernel's own tables say what each number
 * means; a new one gets a number that nothing in the kernel has, beyond the highest ever given where possible.
 * Numbers are kernel keys: u32, never 0.
 */
export interface Allocation {
  readonly numbers: ReadonlyMap<string, number>;
  readonly highest: number;
}
const most = 0xffff_ffff;

/** `existing`: number → meaning, as the kernel holds it. `highest`: the highest number given by this process so far. */
export function allocate(meanings: Iterable<string>, existing: ReadonlyMap<number, string>, highest = 0): Allocation {
  const byMeaning = new Map<string, number>();
  for (const [number, meaning] of [...existing].sort(([a], [b]) => a - b)) if (!byMeaning.has(meaning)) byMeaning.set(meaning, number);
  let last = existing.size === 0 ? highest : Math.max(highest, ...batchesOfKeys(existing));
  let wrapped = 0;
  const numbers = new Map<string, number>();
  for (const meaning of [...new Set(meanings)].sort()) {
    let number = byMeaning.get(meaning);
    if (number === undefined) {
      if (last < most) number = ++last;
      else {
        do wrapped++; while (existing.has(wrapped));
        number = wrapped;
      }
    }
    numbers.set(meaning, number);
  }
  return { numbers, highest: last };
}

/** Spreading 100,000 arguments into Math.max would overflow the stack. */
function batchesOfKeys(existing: ReadonlyMap<number, string>): number[] {
  let highest = 0;
  for (const number of existing.keys()) highest = Math.max(highest, number);
  return [highest];
}
