import { type LocalEndpoint, type Place, placeKey } from './program.ts';

export interface Placed { readonly place: Place; readonly local?: LocalEndpoint }

/**
 * Who has which address, in place. Where two claim one, the lower id has it, whoever came first: the same on every node and after every restart.
 */
export interface Places {
  readonly all: ReadonlyMap<string, Place>;
  /** Those that have their address, by id. */
  locals(): readonly LocalEndpoint[];
  /** Who has the address that this one claims. */
  ofId(id: string): Place | undefined;
  put(id: string, placed: Placed | undefined): void;
  /** What is other than at the last call. `conflicts`: who has to be looked at again, because an address has more than one who claims it, or had. `programs`: digests that nobody runs or shows any more. */
  settle(): { readonly places: ReadonlySet<string>; readonly endpoints: ReadonlySet<string>; readonly conflicts: ReadonlySet<string>; readonly programs: ReadonlySet<string>; readonly left: readonly Place[] };
}

const usedBy = (e: LocalEndpoint | undefined): string[] => [e?.program, e?.shadow].filter((digest) => digest !== undefined);

export function createPlaces(): Places {
  const all = new Map<string, Place>();
  const placed = new Map<string, Placed>();
  const locals = new Map<string, LocalEndpoint>();
  const runs = new Map<string, number>();
  /** Ids by the address that they claim. */
  const claims = new Map<string, string[]>();
  const touched = new Set<string>();
  const conflicts = new Set<string>();
  let list: readonly LocalEndpoint[] | undefined = [];

  const disclaim = (id: string, key: string): void => {
    const rest = (claims.get(key) ?? []).filter((other) => other !== id);
    if (rest.length === 0) claims.delete(key);
    else claims.set(key, rest);
    if (rest.length > 0) for (const other of [id, ...rest]) conflicts.add(other);
    touched.add(key);
  };
  const count = (digest: string, by: 1 | -1): void => void runs.set(digest, (runs.get(digest) ?? 0) + by);

  function settleOne(key: string, changed: { places: Set<string>; endpoints: Set<string>; left: Place[] }, ended: Set<string>): void {
    const winner = placed.get(claims.get(key)?.[0] ?? '');
    const before = all.get(key);
    if (winner?.place === before) return;
    changed.places.add(key);
    if (before && before.id !== winner?.place.id) changed.left.push(before);
    if (winner) all.set(key, winner.place);
    else all.delete(key);
    for (const id of new Set([before?.id, winner?.place.id])) {
      if (id === undefined) continue;
      const [was, is] = [locals.get(id), all.get(key)?.id === id ? winner?.local : undefined];
      if (was === undefined && is === undefined) continue;
      // It may have moved to another address, which is settled by itself.
      if (is === undefined && was !== undefined && placeKey(was) !== key) continue;
      changed.endpoints.add(id);
      list = undefined;
      for (const digest of usedBy(was)) {
        count(digest, -1);
        ended.add(digest);
      }
      for (const digest of usedBy(is)) count(digest, 1);
      if (is) locals.set(id, is);
      else locals.delete(id);
    }
  }

  return {
    all,
    locals: () => (list ??= [...locals.values()].sort((a, b) => (a.id < b.id ? -1 : 1))),
    ofId: (id) => {
      const own = placed.get(id);
      return own && all.get(placeKey(own.place));
    },
    put(id, next) {
      const before = placed.get(id);
      if (before) disclaim(id, placeKey(before.place));
      if (next === undefined) {
        placed.delete(id);
        return;
      }
      placed.set(id, next);
      const key = placeKey(next.place);
      const those = [...(claims.get(key) ?? []), id].sort();
      claims.set(key, those);
      if (those.length > 1) for (const other of those) conflicts.add(other);
      touched.add(key);
    },
    settle() {
      const changed = { places: new Set<string>(), endpoints: new Set<string>(), left: new Array<Place>() };
      const ended = new Set<string>();
      for (const key of touched) settleOne(key, changed, ended);
      touched.clear();
      const looked = new Set(conflicts);
      conflicts.clear();
      const programs = new Set([...ended].filter((digest) => (runs.get(digest) ?? 0) === 0));
      for (const digest of programs) runs.delete(digest);
      return { ...changed, conflicts: looked, programs };
    },
  };
}
