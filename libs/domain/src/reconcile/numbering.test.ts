import { describe, expect, it } from '@jest/globals';
import type { AnyDocument } from '@osier/contracts/document';
import { document, endpoint, id, network, node } from '../../test/documents.ts';
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
function run(tables: Tables, steps: readonly Step[]): Tables {
  const next = Object.fromEntries(tableNames.map((name) => [name, new Map(tables[name] as ReadonlyMap<string, unknown>)])) as unknown as { [T in TableName]: Map<string, Rows[T]> };
  for (const step of steps) {
    if (step.do === 'put') for (const row of step.rows) next[step.table].set(keyOf[step.table](row as never), row as never);
    if (step.do === 'remove') for (const row of step.rows) next[step.table].delete(keyOf[step.table](row as never));
  }
  return next;
}

/** What packets meet in a column: whom each address is, and what the layers of each device say of peers whom any address is. What they say of anybody else, no packet meets. */
function met(tables: Tables, epoch: number): unknown {
  const column = (epoch & 1) as 0 | 1;
  const meaning = (n: number): string => tables.identities.get(`${n}`)?.digest ?? 'nothing';
  const present = new Set([...tables.addresses.values()].map(({ identity }) => identity[column]));
  const entriesOf = (n: number): string[] => [...tables.policy.values()].filter((e) => e.policy === n && (e.peer === 0 || present.has(e.peer))).map((e) =>
    JSON.stringify([e.peer === 0 ? '*' : meaning(e.peer), e.direction, e.prefixlen, e.protocol, e.port, e.action, e.tier, e.precedence, e.place, tables.rules.get(`${e.rule}`)?.policyId, tables.rules.get(`${e.rule}`)?.index])).sort();
  const programOf = (n: number): unknown => (tables.programs.get(`${n}`)?.slots.split(' ') ?? []).map((slot) => entriesOf(tables.slots.get(slot)?.layer[column] ?? -1));
  return [
    [...tables.addresses].flatMap(([key, { identity }]) => (identity[column] === 0 ? [] : [`${key} ${meaning(identity[column])}`])).sort(),
    [...tables.endpoints.values()].filter(({ policy }) => policy[column] !== 0).map((row) => [row.ifindex, programOf(row.policy[column]), row.shadow[column] === 0 ? [] : programOf(row.shadow[column])]).sort(([a], [b]) => Number(a) - Number(b)),
  ];
}
const text = (value: unknown): string => JSON.stringify(value);

interface Taken { readonly flips: number; readonly shadowed: number; /** Entries that were written where another layer was under its number. */ readonly wentOn: number; readonly states: number }
/** Follows a road both ways: with tables kept up to date, and each time with tables from nothing. */
function take(seed: number, every: number): Taken {
  const told = createDesired(here, digest, room);
  let [kernel, epoch, highest]: [Tables, number, typeof nothingGiven] = [emptyTables, 0, nothingGiven];
  let numbering: Numbering | undefined;
  const taken = { flips: 0, shadowed: 0, wentOn: 0, states: 0 };
  roadOf(seed, 90).forEach((one, step) => {
    told.tell(one);
    if (step % every !== every - 1) return;
    const { program, changed } = told.settle();
    taken.shadowed += program.endpoints.filter((e) => e.shadow !== undefined && program.endpoints.every((other) => other.program !== e.shadow)).length;
    const devices = devicesOf(program);
    const followed = numbering?.follow(program, devices, changed);
    if (followed === undefined) {
      const full = number(program, devices, kernel, highest);
      numbering = createNumbering(program, devices, full);
    }
    const { steps } = followed ? plan(followed.desired, followed.former, epoch, { forgetNew: true, ours: true }) : plan((numbering as Numbering).tables, kernel, epoch, { forgetNew: true });
    if (followed) taken.wentOn += [...followed.desired.policies.values()].filter((row) => kernel.policies.has(`${row.number}`) && kernel.policies.get(`${row.number}`)?.digest !== row.digest).length;
    // Every packet meets the old world or the new one, whole, after each row of an entry and after each step.
    const [from, views] = [text(met(kernel, epoch)), new Array<string>()];
    let [between, flipped] = [kernel, epoch];
    for (const one of steps.flatMap((s): Step[] => ((s.do === 'put' || s.do === 'remove') && s.table === 'policy' ? s.rows.map((row) => ({ ...s, rows: [row] })) : [s]))) {
      between = run(between, [one]);
      if (one.do === 'flip') flipped++;
      views.push(text(met(between, flipped)));
    }
    taken.states += views.length;
    kernel = between;
    const flips = steps.filter((s) => s.do === 'flip').length;
    const to = text(met(kernel, epoch + flips));
    expect({ seed, step, others: views.filter((view) => view !== from && view !== to) }).toEqual({ seed, step, others: [] });
    // Connections are judged again by nothing but a flip.
    if (from !== to) expect({ seed, step, flips }).toEqual({ seed, step, flips: 1 });
    epoch += flips;
    taken.flips += flips;
    const { tables, turns, ruleNumbers } = numbering as Numbering;
    ({ highest } = numbering as Numbering);
    // The kernel has what was counted with, that means what should be, and whoever begins with this kernel finds nothing to do.
    expect({ step, seed, kernel: sorted(kernel) }).toEqual({ step, seed, kernel: sorted(tables) });
    const again = number(program, devices, kernel, highest);
    expect({ step, seed, tables: sorted(again.tables), rules: [...again.ruleNumbers].sort(([a], [b]) => a - b) }).toEqual({ step, seed, tables: sorted(tables), rules: [...ruleNumbers].sort(([a], [b]) => a - b) });
    const seen = attest(program, devices, kernel, digest, wantedOf({ tables, turns }));
    const anew = number(program, devices, emptyTables, nothingGiven);
    expect({ step, seed, differences: seen.differences, digest: seen.digest }).toEqual({ step, seed, differences: [], digest: attest(program, devices, anew.tables, digest, wantedOf(anew)).digest });
  });
  return taken;
}

describe('tables kept up to date', () => {
  it('mean after every change what those from nothing mean, and packets meet nothing between the two', () => {
    const roads = Array.from({ length: 60 }, (_, i) => take(i + 1, 1 + ((i + 1) % 4)));
    const sum = (of: keyof Taken): number => roads.reduce((all, one) => all + one[of], 0);
    expect(sum('flips')).toBeGreaterThan(500);
    expect(sum('wentOn')).toBeGreaterThan(50);
    expect(sum('states')).toBeGreaterThan(5_000);
    // Shadows that nobody runs.
    expect(sum('shadowed')).toBeGreaterThan(50);
  });
});

describe('a layer that packets read', () => {
  const net = network('main', ['10.0.0.0/24'], { id: id(21) });
  const [web, shell] = [endpoint('web', '10.0.0.2', {}, { id: id(31), parent: id(21) }), endpoint('shell', '10.0.0.3', { node: 'node-2', tags: { app: 'web' } }, { id: id(32), parent: id(21) })];
  const db = endpoint('db', '10.0.0.4', {}, { id: id(33), parent: id(21) });
  const policyWith = (action: 'Allow' | 'Deny', version: number) => document('policy', 'p', { appliesTo: { matchTags: { app: 'db' } }, priority: 10, isolates: ['ingress'], ingress: [{ action, from: [{ endpoints: { matchExpressions: [{ key: 'app', operator: 'Exists' }] } }], ports: [{ protocol: 'TCP', port: 80 }] }, { action: 'Allow', from: [{ endpoints: { matchExpressions: [{ key: 'pci', operator: 'Exists' }] } }], ports: [{ protocol: 'TCP', port: 443 }] }] }, {}, { id: id(41), version });
  function changing(...changes: readonly AnyDocument[]): { entries: number; sameNumbers: boolean } {
    const told = createDesired(here, digest, room);
    for (const one of [node('node-1', '192.0.2.1', { id: id(1) }), node('node-2', '192.0.2.2', { id: id(2) }), net, web, shell, db, policyWith('Allow', 1)]) told.tell(one);
    const before = told.settle().program;
    const full = number(before, devicesOf(before), emptyTables, nothingGiven);
    const numbering = createNumbering(before, devicesOf(before), full);
    let followed: ReturnType<typeof numbering.follow>;
    for (const change of changes) {
      told.tell(change);
      const { program, changed } = told.settle();
      followed = numbering.follow(program, devicesOf(program), changed);
    }
    const numbers = (of: Tables) => new Set([...of.policy.values()].map((row) => row.policy));
    return { entries: (followed?.desired.policy.size ?? 0) + (followed?.former.policy.size ?? 0), sameNumbers: [...numbers(numbering.tables)].every((n) => numbers(full.tables).has(n)) };
  }

  it('gets the entries of who comes and loses those of who has gone, and no other', () => {
    expect(changing({ ...shell, version: 2, spec: { ...shell.spec, tags: { app: 'shell' } } })).toEqual({ entries: 0, sameNumbers: true });
    expect(changing({ ...shell, version: 2, spec: { ...shell.spec, tags: { app: 'web', pci: 'yes' } } })).toEqual({ entries: 2, sameNumbers: true });
  });
  it('goes on as well for one who went and comes back', () => {
    const tagged = (version: number, tags: Record<string, string>) => ({ ...shell, version, spec: { ...shell.spec, tags } });
    expect(changing(tagged(2, { app: 'web', pci: 'yes' }), tagged(3, { app: 'web' }), tagged(4, { app: 'web', pci: 'yes' }))).toEqual({ entries: 2, sameNumbers: true });
  });
  it('is another where a rule says something else of those who are there', () => {
    expect(changing(policyWith('Deny', 2)).sameNumbers).toBe(false);
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
