import { describe, expect, it } from '@jest/globals';
import type { AnyDocument } from '@osier/contracts/document';
import { document, endpoint, id, network, node, staging } from '../../test/documents.ts';
import { digest, random, room } from '../../test/policies.ts';
import { createDesired } from './desired.ts';
import { nothingGiven, number, emptyTables, type Tables } from './tables.ts';
import { Turns } from './turns.ts';

const named = (n: number): string => `3\0${String(n).padStart(6, '0')}`;

describe('numbers of turns', () => {
  it('go down in the order of the turns, whatever comes and goes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed);
      const turns = Turns.of(Array.from({ length: 20 }, () => named(next(1_000))), new Map());
      const used: string[] = [];
      for (const turn of turns.numbers.keys()) {
        turns.use(turn);
        used.push(turn);
      }
      for (let step = 0; step < 500; step++) {
        if (next(3) === 0 && used.length > 0) turns.release(used.splice(next(used.length), 1)[0] as string);
        else {
          const turn = named(next(1_000));
          if (turns.use(turn)) used.push(turn);
        }
        const sorted = [...turns.numbers].sort(([a], [b]) => (a < b ? -1 : 1));
        expect(sorted.map(([turn]) => turn)).toEqual([...new Set(used)].sort());
        expect(sorted.every(([, n], at) => n > 0 && n <= 0xffff_ffff && (at === 0 || n < (sorted[at - 1]?.[1] ?? 0)))).toBe(true);
        expect(sorted.every(([turn, n]) => turns.turnOf(n) === turn)).toBe(true);
      }
    }
  });

  it('are those of a kernel, where it has them in order; else all are others', () => {
    const [a, b, c] = [named(1), named(2), named(3)];
    const kept = Turns.of([a, b, c], new Map([[a, 900], [c, 100]]));
    expect([a, b, c].map((turn) => kept.numberOf(turn))).toEqual([900, 500, 100]);
    const fresh = Turns.of([a, b, c], new Map([[a, 100], [c, 900]]));
    const numbers = [a, b, c].map((turn) => fresh.numberOf(turn));
    expect(numbers).toEqual([...numbers].sort((x, y) => y - x));
    expect(new Set(numbers).size).toBe(3);
  });

  it('have room for 30,000 turns at once', () => expect(Turns.of(Array.from({ length: 30_000 }, (_, n) => named(n)), new Map()).numbers.size).toBe(30_000));

  it('say where there is no room between two, and leave everything as it was', () => {
    const turns = Turns.of([named(1), named(1_000)], new Map([[named(1), 12], [named(1_000), 10]]));
    expect(turns.use(named(500))).toBe(true);
    expect([turns.use(named(400)), turns.use(named(600))]).toEqual([false, false]);
    expect([...turns.numbers.values()].sort()).toEqual([10, 11, 12]);
  });
});

describe('a kernel whose order cannot be gone on from', () => {
  it('gets other layers, so that no packet meets half of each order', () => {
    const policy = (n: number, priority: number): AnyDocument => document('policy', `p${n}`, { appliesTo: {}, priority, ingress: [{ action: n === 1 ? 'Allow' : 'Deny' }] }, {}, { id: id(40 + n), ...staging }) as AnyDocument;
    const desired = createDesired('node-1', digest, room);
    for (const one of [node('node-1'), network('main', ['10.0.0.0/24']), endpoint('e', '10.0.0.1'), policy(1, 1), policy(2, 2)]) desired.tell(one as AnyDocument);
    const { program } = desired.settle();
    const devices = new Map(program.endpoints.map((e) => [e.id, 7]));
    const { tables } = number(program, devices, emptyTables, nothingGiven);
    const layersOf = (of: Tables): number[] => [...of.slots.values()].map((row) => row.layer[0]).sort();
    expect(layersOf(number(program, devices, tables, nothingGiven).tables)).toEqual(layersOf(tables));
    // Somebody exchanged what comes first.
    const numbers = [...new Set([...tables.policy.values()].map((row) => row.precedence))];
    const exchanged: Tables = { ...tables, policy: new Map([...tables.policy].map(([key, row]) => [key, { ...row, precedence: numbers[numbers.length - 1 - numbers.indexOf(row.precedence)] as number }])) };
    const anew = number(program, devices, exchanged, nothingGiven).tables;
    expect(layersOf(anew).filter((n) => layersOf(tables).includes(n))).toEqual([]);
    expect([...anew.programs.values()]).toEqual([...tables.programs.values()]);
  });
});
