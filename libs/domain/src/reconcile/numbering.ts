import { type RuleInfo, ruleKey } from '../policy/model.ts';
import type { Program } from '../policy/compile.ts';
import type { Changed, LocalEndpoint, NodeProgram } from './program.ts';
import {
  addressRow, endpointRow, type Highest, keyOf, type MeaningRow, number, type Numbered, policyRow, type PolicyRow, type Rows, ruleRow, type TableName, tableNames, type Tables,
} from './tables.ts';

/**
 * Tables kept up to date with a program: what `number` makes of it from nothing, as long as the kernel holds what these tables say. Whoever finds that it does
 * not begins again with `number` and what is really there.
 */
export interface Numbering {
  readonly tables: Tables;
  readonly highest: Highest;
  readonly ruleNumbers: ReadonlyMap<number, RuleInfo>;
  /** Follows a change. Only rows that are other than before: as they should be, and as they were. Undefined where no number is left beyond the highest; then nothing may be used any more. */
  follow(program: NodeProgram, devices: ReadonlyMap<string, number>, changed: Changed): Followed | undefined;
}
export interface Followed { readonly desired: Tables; readonly former: Tables; readonly rules: ReadonlyMap<number, RuleInfo> }

const most = 0xffff_ffff;
type Mutable = { [T in TableName]: Map<string, Rows[T]> };
const noRows = (): Mutable => ({ addresses: new Map(), endpoints: new Map(), policy: new Map(), rules: new Map(), identities: new Map(), policies: new Map() });

/** A program with its rows: nobody changes them, they come and go with it. */
interface Kept { readonly program: Program; readonly peers: ReadonlySet<string>; readonly rows: readonly (readonly [string, PolicyRow])[] }

/** Numbers of meanings that are in use, and how often. */
class Used {
  readonly numbers = new Map<string, number>();
  readonly #uses = new Map<string, number>();
  highest: number;
  constructor(highest: number) {
    this.highest = highest;
  }
  use(meaning: string): void {
    this.#uses.set(meaning, (this.#uses.get(meaning) ?? 0) + 1);
  }
  release(meaning: string): void {
    this.#uses.set(meaning, (this.#uses.get(meaning) ?? 0) - 1);
  }
  isUsed = (meaning: string): boolean => (this.#uses.get(meaning) ?? 0) > 0;
  drop(meaning: string): void {
    this.#uses.delete(meaning);
    this.numbers.delete(meaning);
  }
  of = (meaning: string): number => this.numbers.get(meaning) as number;
}

/** `numbered`: what `number` made of this very program and these devices. */
export function createNumbering(program: NodeProgram, devices: ReadonlyMap<string, number>, numbered: Numbered): Numbering {
  const tables = noRows();
  for (const name of tableNames) for (const [key, row] of numbered.tables[name]) (tables[name] as Map<string, unknown>).set(key, row);
  const ruleNumbers = new Map(numbered.ruleNumbers);
  const identities = new Used(numbered.highest.identities);
  const policies = new Used(numbered.highest.policies);
  const rules = new Used(numbered.highest.rules);
  for (const { number: n, digest } of tables.identities.values()) identities.numbers.set(digest, n);
  for (const { number: n, digest } of tables.policies.values()) policies.numbers.set(digest, n);
  for (const row of tables.rules.values()) rules.numbers.set(ruleKey(row), row.number);
  const programs = new Map<string, Kept>();
  /** Identity of each address that has a row. */
  const placed = new Map<string, string>();
  /** Key of its row, and its program, by endpoint. */
  const attached = new Map<string, { readonly key: string; readonly program: string }>();

  const each = ({ peers, program: { rules: those } }: Kept, what: 'use' | 'release'): void => {
    for (const peer of peers) identities[what](peer);
    for (const key of those.keys()) rules[what](key);
  };
  const keep = (p: Program): Kept => ({ program: p, peers: new Set(p.entries.flatMap((e) => e.peer ?? [])), rows: [] });
  const rowsFor = (p: Program): Kept['rows'] => p.entries.map((e) => {
    const row = policyRow(e, policies.of(p.digest), e.peer === undefined ? 0 : identities.of(e.peer), rules.of(e.rule));
    return [keyOf.policy(row), row];
  });
  for (const [digest, p] of program.programs) {
    const kept = keep(p);
    programs.set(digest, { ...kept, rows: rowsFor(p) });
    policies.use(digest);
    each(kept, 'use');
  }
  for (const [key, place] of program.places) {
    if (place.tunnel === undefined && !devices.has(place.id)) continue;
    identities.use(place.identity);
    placed.set(key, place.identity);
  }
  for (const e of program.endpoints) {
    const ifindex = devices.get(e.id);
    if (ifindex !== undefined) attached.set(e.id, { key: `${ifindex}`, program: e.program });
  }

  function follow(now: NodeProgram, there: ReadonlyMap<string, number>, changed: Changed): Followed | undefined {
    const [before, desired] = [noRows(), noRows()];
    const touched = (name: TableName, key: string): void => {
      if (all[name].has(key)) return;
      all[name].add(key);
      const row = tables[name].get(key);
      if (row !== undefined) (before[name] as Map<string, unknown>).set(key, row);
    };
    const all: Record<TableName, Set<string>> = { addresses: new Set(), endpoints: new Set(), policy: new Set(), rules: new Set(), identities: new Set(), policies: new Set() };
    const put = <T extends TableName>(name: T, row: Rows[T]): void => {
      const key = keyOf[name](row);
      touched(name, key);
      (tables[name] as Map<string, Rows[T]>).set(key, row);
    };
    const remove = (name: TableName, key: string): void => {
      touched(name, key);
      tables[name].delete(key);
    };
    const pairs = [...changed.programs].map((digest) => {
      const is = now.programs.get(digest);
      return { digest, was: programs.get(digest), is: is && keep(is) };
    });
    const local = (id: string): LocalEndpoint | undefined => (there.has(id) ? byId.get(id) : undefined);
    const byId = new Map(changed.endpoints.size === 0 ? [] : now.endpoints.map((e) => [e.id, e]));
    const placesNow = [...changed.places].map((key) => {
      const place = now.places.get(key);
      return { key, was: placed.get(key), place: place && (place.tunnel !== undefined || there.has(place.id)) ? place : undefined };
    });
    const meanings = { identities: new Set<string>(), rules: new Set<string>(), policies: new Set<string>() };

    for (const { digest, was, is } of pairs) {
      if (is) {
        policies.use(digest);
        each(is, 'use');
      }
      if (was) {
        policies.release(digest);
        each(was, 'release');
      }
      meanings.policies.add(digest);
      for (const p of [was, is]) {
        for (const key of p?.program.rules.keys() ?? []) meanings.rules.add(key);
        for (const peer of p?.peers ?? []) meanings.identities.add(peer);
      }
    }
    for (const { was, place } of placesNow) {
      if (place) identities.use(place.identity);
      if (was !== undefined) identities.release(was);
      for (const meaning of [was, place?.identity]) if (meaning !== undefined) meanings.identities.add(meaning);
    }
    const given = (used: Used, of: ReadonlySet<string>): boolean => {
      for (const meaning of [...of].filter((one) => used.isUsed(one) && !used.numbers.has(one)).sort()) {
        if (used.highest >= most) return false;
        used.numbers.set(meaning, ++used.highest);
      }
      return true;
    };
    if (!given(identities, meanings.identities) || !given(policies, meanings.policies) || !given(rules, meanings.rules)) return undefined;

    const newRules = new Map<number, RuleInfo>();
    for (const { digest, was, is } of pairs) {
      if (was && !is) {
        programs.delete(digest);
        for (const [key, row] of was.rows) {
          before.policy.set(key, row);
          tables.policy.delete(key);
        }
      }
      if (!is) continue;
      const rows = was?.rows ?? rowsFor(is.program);
      programs.set(digest, { ...is, rows });
      if (!was) for (const [key, row] of rows) {
        desired.policy.set(key, row);
        tables.policy.set(key, row);
      }
      for (const [key, info] of is.program.rules) {
        const n = rules.of(key);
        if (ruleNumbers.get(n) === info) continue;
        put('rules', ruleRow(n, info));
        newRules.set(n, info);
        ruleNumbers.set(n, info);
      }
    }
    for (const { key, place } of placesNow) {
      if (place) {
        put('addresses', addressRow(place, identities.of(place.identity), there.get(place.id)));
        placed.set(key, place.identity);
      } else if (placed.delete(key)) remove('addresses', key);
    }
    // Those that leave a device first: another may have it now.
    const leaving = [...changed.endpoints].flatMap((id) => attached.get(id) ?? []);
    for (const { key } of leaving) remove('endpoints', key);
    for (const id of changed.endpoints) {
      const e = local(id);
      if (e) {
        put('endpoints', endpointRow(e, there.get(id) as number, policies.of));
        attached.set(id, { key: `${there.get(id)}`, program: e.program });
      } else attached.delete(id);
    }
    const meaningRows = (name: 'identities' | 'policies', used: Used): void => {
      for (const meaning of meanings[name]) {
        const n = used.numbers.get(meaning);
        if (n === undefined) continue;
        const row: MeaningRow = { number: n, digest: meaning };
        if (used.isUsed(meaning)) put(name, row);
        else {
          remove(name, `${n}`);
          used.drop(meaning);
        }
      }
    };
    meaningRows('identities', identities);
    meaningRows('policies', policies);
    for (const key of meanings.rules) {
      const n = rules.numbers.get(key);
      if (n === undefined || rules.isUsed(key)) continue;
      remove('rules', `${n}`);
      ruleNumbers.delete(n);
      rules.drop(key);
    }

    for (const name of tableNames) for (const key of all[name]) {
      const row = tables[name].get(key);
      if (row !== undefined) (desired[name] as Map<string, unknown>).set(key, row);
    }
    return { desired, former: before, rules: newRules };
  }
  return {
    tables, ruleNumbers, follow,
    get highest() {
      return { identities: identities.highest, policies: policies.highest, rules: rules.highest };
    },
  };
}

/** From nothing; see `number`. */
export function renumber(program: NodeProgram, devices: ReadonlyMap<string, number>, actual: Tables, highest: Highest): { numbered: Numbered; numbering: Numbering } {
  const numbered = number(program, devices, actual, highest);
  return { numbered, numbering: createNumbering(program, devices, numbered) };
}
