import { describe, expect, it } from '@jest/globals';
import { digest, random, room } from '../../test/policies.ts';
import { here, roadOf } from '../../test/roads.ts';
import { plainAttest } from '../../test/plain-attest.ts';
import { type Attestation, attest, createAttestor, type Touched, type Wanted, wantedOf } from './attest.ts';
import { createDesired } from './desired.ts';
import { createNumbering, type Numbering } from './numbering.ts';
import { plan, type Step } from './plan.ts';
import type { NodeProgram } from './program.ts';
import { emptyTables, keyOf, nothingGiven, number, type Rows, type TableName, tableNames, type Tables } from './tables.ts';

/** One endpoint never gets a device. */
const devicesOf = (program: NodeProgram): Map<string, number> => new Map(program.endpoints.filter((e) => !e.id.endsWith('67')).map((e) => [e.id, Number(e.id.slice(-3)) + 1000]));
const sorted = (tables: Tables): unknown => tableNames.map((name) => [name, [...tables[name] as ReadonlyMap<string, unknown>].sort(([a], [b]) => (a < b ? -1 : 1))]);
/** In which order rows of one step are written does not matter. */
const unordered = (steps: readonly Step[]): unknown => steps.map((step) => (step.do === 'put' || step.do === 'remove' ? { ...step, rows: step.rows.map((row) => JSON.stringify(row)).sort() } : step.do === 'forget' ? step.addresses.map((a) => JSON.stringify(a)).sort() : step));

function run(tables: Tables, steps: readonly Step[]): Tables {
  const next = Object.fromEntries(tableNames.map((name) => [name, new Map(tables[name] as ReadonlyMap<string, unknown>)])) as unknown as { [T in TableName]: Map<string, Rows[T]> };
  for (const step of steps) {
    if (step.do === 'put') for (const row of step.rows) next[step.table].set(keyOf[step.table](row as never), row as never);
    if (step.do === 'remove') for (const row of step.rows) next[step.table].delete(keyOf[step.table](row as never));
  }
  return next;
}

/** Follows a road both ways: with tables kept up to date, and with tables from nothing and from what the kernel has. */
function take(seed: number, every: number): { flips: number; shadowed: number } {
  const told = createDesired(here, digest, room);
  let shadows = 0;
  let [kernel, epoch, highest]: [Tables, number, typeof nothingGiven] = [emptyTables, 0, nothingGiven];
  let numbering: Numbering | undefined;
  let flips = 0;
  roadOf(seed, 90).forEach((one, step) => {
    told.tell(one);
    if (step % every !== every - 1) return;
    const { program, changed } = told.settle();
    shadows += program.endpoints.filter((e) => e.shadow !== undefined && program.endpoints.every((other) => other.program !== e.shadow)).length;
    const devices = devicesOf(program);
    const full = number(program, devices, kernel, highest);
    const steps = plan(full.tables, kernel, epoch, { forgetNew: true }).steps;
    const followed = numbering?.follow(program, devices, changed);
    numbering ??= createNumbering(program, devices, full);
    if (followed) {
      expect({ step, seed, steps: unordered(plan(followed.desired, followed.former, epoch, { forgetNew: true }).steps) }).toEqual({ step, seed, steps: unordered(steps) });
      expect({ step, rules: [...numbering.ruleNumbers].sort(([a], [b]) => a - b) }).toEqual({ step, rules: [...full.ruleNumbers].sort(([a], [b]) => a - b) });
    }
    expect({ step, tables: sorted(numbering.tables), highest: numbering.highest }).toEqual({ step, tables: sorted(full.tables), highest: full.highest });
    kernel = run(kernel, steps);
    highest = full.highest;
    expect({ step, seed, kernel: sorted(kernel) }).toEqual({ step, seed, kernel: sorted(full.tables) });
    if (steps.some((s) => s.do === 'flip')) [epoch, flips] = [epoch + 1, flips + 1];
  });
  return { flips, shadowed: shadows };
}

describe('tables kept up to date', () => {
  it('are after every change those from nothing, and so is the way there', () => {
    const roads = Array.from({ length: 60 }, (_, i) => take(i + 1, 1 + ((i + 1) % 4)));
    expect(roads.reduce((sum, { flips }) => sum + flips, 0)).toBeGreaterThan(500);
    // Shadows that nobody runs.
    expect(roads.reduce((sum, { shadowed }) => sum + shadowed, 0)).toBeGreaterThan(50);
  });
});

/** A row that nobody wrote, one that somebody took, or one with another value. */
function tampered(tables: Tables, next: (below: number) => number): Tables {
  const name = tableNames[next(tableNames.length)] as TableName;
  const rows = [...(tables[name] as ReadonlyMap<string, Rows[TableName]>)];
  // What is only shown is rare.
  const shown = name === 'programs' ? [...tables.endpoints.values()].find((e) => e.shadow[0] !== 0)?.shadow[0] : undefined;
  const [key, row] = rows.find(([one]) => one === `${shown}`) ?? rows[next(Math.max(1, rows.length))] ?? [];
  if (key === undefined || row === undefined) return tables;
  const other = new Map<string, unknown>(rows);
  if (name === 'policy' && next(2) === 0) {
    const strange = [{ prefixlen: 73 }, { prefixlen: 32, policy: 1 + next(9) }, { prefixlen: 0, policy: 0 }, { direction: 3 }, { policy: 1 + next(9) }, { prefixlen: 88, protocol: 6 }][next(6)];
    const foreign = { ...row, ...strange } as Rows['policy'];
    return { ...tables, policy: new Map([...tables.policy, [keyOf.policy(foreign), foreign]]) };
  }
  const fields = Object.keys(row).filter((field) => !keyOf[name]({ ...row, [field]: 'other' } as never).includes('other'));
  const field = fields[next(fields.length)] ?? '';
  const value = (row as unknown as Record<string, unknown>)[field];
  const another = Array.isArray(value) ? [value[0], 1 + next(6)] : typeof value === 'number' ? 1 + next(6) : field === 'digest' ? digest('other') : 'other';
  if (field === '' || next(3) === 0) other.delete(key);
  else other.set(key, { ...row, [field]: another });
  return { ...tables, [name]: other };
}
function touchedBetween(before: Tables, now: Tables): Touched {
  const of = (name: TableName): Set<string> => {
    const [a, b] = [before[name] as ReadonlyMap<string, unknown>, now[name] as ReadonlyMap<string, unknown>];
    return new Set([...a.keys(), ...b.keys()].filter((key) => JSON.stringify(a.get(key)) !== JSON.stringify(b.get(key))));
  };
  return Object.fromEntries(tableNames.map((name) => [name, of(name)])) as unknown as Touched;
}
const plainly = ({ differences, ...rest }: Attestation): unknown => ({ ...rest, differences: [...differences].sort() });

describe('an attestation that follows changes', () => {
  it('says after every change what one over everything says, also where the kernel was tampered with', () => {
    let wrong = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const next = random(seed);
      const told = createDesired(here, digest, room);
      const attestor = createAttestor(digest);
      let last: { tables: Tables; wanted: Wanted; clean: boolean } | undefined;
      let [kernel, highest]: [Tables, typeof nothingGiven] = [emptyTables, nothingGiven];
      roadOf(seed, 60).forEach((one, step) => {
        told.tell(one);
        const { program, changed } = told.settle();
        const devices = devicesOf(program);
        const full = number(program, devices, kernel, highest);
        kernel = run(kernel, plan(full.tables, kernel, 0).steps);
        highest = full.highest;
        const tables = next(3) === 0 ? tampered(kernel, next) : kernel;
        const wanted = wantedOf(full);
        const withdrawn = [...last?.wanted.entries.keys() ?? []].filter((key) => !wanted.entries.has(key));
        const expected = plainly(plainAttest(program, devices, tables, digest, wanted));
        const found = last?.clean ? attestor.follow(program, devices, tables, wanted, { ...changed, withdrawn }, touchedBetween(last.tables, tables)) : attestor.attest(program, devices, tables, wanted);
        expect({ seed, step, ...(plainly(found) as object) }).toEqual({ seed, step, ...(expected as object) });
        expect(plainly(attest(program, devices, tables, digest, wanted))).toEqual(expected);
        last = { tables, wanted, clean: found.differences.length === 0 };
        if (!last.clean) wrong++;
      });
    }
    expect(wrong).toBeGreaterThan(200);
  });
});
