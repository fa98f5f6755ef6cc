/** Numbers that look random and are the same for the same seed (mulberry32). */
export interface Random {
  /** From 0 up to, and not, `below`. */
  int(below: number): number;
  chance(percent: number): boolean;
  pick<T>(of: readonly T[]): T;
  /** Some of them, in their order. */
  some<T>(of: readonly T[], percent: number): T[];
}

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (below: number): number => Math.floor(next() * below);
  const chance = (percent: number): boolean => next() * 100 < percent;
  return {
    int, chance,
    pick: (of) => {
      if (of.length === 0) throw new Error('nothing to pick from');
      return of[int(of.length)] as (typeof of)[number];
    },
    some: (of, percent) => of.filter(() => chance(percent)),
  };
}
