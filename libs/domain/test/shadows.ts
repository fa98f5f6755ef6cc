import type { Program } from '../src/policy/compile.ts';
import type { Changed, NodeProgram } from '../src/reconcile/program.ts';

interface Settled { readonly program: NodeProgram; readonly changed: Changed }

/**
 * Gives endpoints shadows, as whoever compiles them would: the program of another, or one that nobody runs (one that somebody ran before). Which has which follows from
 * the programs that there are, so that shadows come, change and go along a road.
 */
export function shadowing(): (settled: Settled) => Settled {
  let [shadows, programs]: [ReadonlyMap<string, string | undefined>, ReadonlyMap<string, Program>] = [new Map(), new Map()];
  const seen: Program[] = [];
  let calls = 0;
  return ({ program, changed }) => {
    for (const one of program.programs.values()) if (!seen.includes(one)) seen.push(one);
    // A rule that was changed since has the number of the one that it is now.
    const agrees = (former: Program): boolean => [...program.programs.values()].every((one) => [...one.rules].every(([key, rule]) => (former.rules.get(key) ?? rule) === rule));
    const spare = seen.filter((one) => !program.programs.has(one.digest) && agrees(one));
    const one = spare[(calls++ >> 2) % Math.max(1, spare.length)];
    const now = new Map([...one ? [[one.digest, one] as const] : [], ...program.programs]);
    const digests = [...now.keys()].sort();
    const shadowOf = (id: string): string | undefined => {
      const n = Number(id.slice(-3));
      return (n + digests.length) % 3 === 0 ? undefined : digests[(n * 7) % digests.length];
    };
    const endpoints = program.endpoints.map((e) => ({ ...e, shadow: shadowOf(e.id) }));
    const others = new Set(changed.endpoints);
    for (const e of endpoints) if (shadows.get(e.id) !== e.shadow) others.add(e.id);
    const otherPrograms = new Set(changed.programs);
    for (const digest of new Set([...programs.keys(), ...now.keys()])) if (programs.get(digest) !== now.get(digest)) otherPrograms.add(digest);
    [shadows, programs] = [new Map(endpoints.map((e) => [e.id, e.shadow])), now];
    return { program: { ...program, endpoints, programs: now }, changed: { ...changed, endpoints: others, programs: otherPrograms } };
  };
}
