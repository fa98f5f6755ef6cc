import { describe, expect, it } from '@jest/globals';
import type { AnyDocument, Document } from '@osier/contracts/document';
import { document, id } from '../../test/documents.ts';
import { plainDesired } from '../../test/plain-desired.ts';
import { digest, room } from '../../test/policies.ts';
import { deleted, here, roadOf as road } from '../../test/roads.ts';
import { createDesired, type Desired } from './desired.ts';
import type { NodeProgram } from './program.ts';
import { createView } from './view.ts';

const ordered = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const comparable = (p: Pick<NodeProgram, 'tunnelEndpoint' | 'endpoints' | 'places' | 'programs' | 'pending'>) => ({
  tunnelEndpoint: p.tunnelEndpoint, places: ordered(p.places), programs: ordered(p.programs),
  endpoints: [...p.endpoints].sort((a, b) => (a.id < b.id ? -1 : 1)), pending: [...p.pending].sort((a, b) => (a.id < b.id ? -1 : 1)),
});

/** Tells both of each document; the copy follows only what is told as changed. */
function take(road: readonly AnyDocument[], every: number): void {
  const told: Desired = createDesired(here, digest, room);
  const view = createView();
  const copy = { places: new Map<string, unknown>(), endpoints: new Map<string, unknown>(), programs: new Map<string, unknown>() };
  road.forEach((one, step) => {
    told.tell(one);
    view.merge(`${one.kind} ${one.id}`, step + 1, one);
    if (step % every !== every - 1) return;
    const { program, changed } = told.settle();
    expect({ step, ...comparable(program) }).toEqual({ step, ...comparable(plainDesired(view, here, digest, room)) });
    const follow = (map: Map<string, unknown>, ids: ReadonlySet<string>, now: (key: string) => unknown): void => {
      for (const key of ids) {
        const value = now(key);
        if (value === undefined) map.delete(key);
        else map.set(key, value);
      }
    };
    follow(copy.places, changed.places, (key) => program.places.get(key));
    follow(copy.endpoints, changed.endpoints, (key) => program.endpoints.find((e) => e.id === key));
    follow(copy.programs, changed.programs, (key) => program.programs.get(key));
    expect({ step, places: ordered(copy.places), endpoints: ordered(copy.endpoints).map(([, e]) => e), programs: ordered(copy.programs) })
      .toEqual({ step, places: ordered(program.places), endpoints: program.endpoints, programs: ordered(program.programs) });
  });
}

describe('what a node should do, told document by document', () => {
  const seeds = Array.from({ length: 80 }, (_, n) => n + 1);

  it('is after every document what it is from nothing, and says what changed', () => {
    for (const seed of seeds) take(road(seed, 80), 1);
  });
  it('is so when several come at once', () => {
    for (const seed of seeds) take(road(seed, 120), 2 + (seed % 9));
  });
  it('goes every way back', () => {
    for (const seed of seeds) {
      const way = road(seed, 50);
      const back: AnyDocument[] = [];
      const known = new Map<string, AnyDocument>();
      for (const one of way) {
        back.unshift(known.get(one.id) ?? deleted(one));
        known.set(one.id, one);
      }
      take([...way, ...back], 1);
    }
  });
  it('takes each twice, and the deletion of what never was', () => {
    const never = deleted(document('policy', 'never', { appliesTo: {}, priority: 1 }, {}, { id: id(99) } as Partial<Document<'policy'>>));
    for (const seed of seeds) take(road(seed, 40).flatMap((one) => [one, one, never]), 1);
  });
});
