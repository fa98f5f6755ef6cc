import { type RuleInfo, ruleKey } from '../policy/model.ts';
import { byText } from '../policy/order.ts';
import type { Layer } from '../policy/compile.ts';
import { same } from './plan.ts';
import type { Changed, LocalEndpoint, NodeProgram } from './program.ts';
import {
  addressRow, endpointRow, type Highest, keyOf, type MeaningRow, number, type Numbered, policyRow, type PolicyRow, programRow, type Rows, ruleRow, slotRow, type TableName, tableNames,
  type Tables, turnsOf,
} from './tables.ts';
import type { Turns } from './turns.ts';

/**
 * Tables kept up to date with a program: what `number` makes of it from nothing, as long as the kernel holds what these tables say. Whoever finds that it does
 * not begins again with `number` and what is really there.
 */
export interface Numbering {
  readonly tables: Tables;
  readonly highest: Highest;
  readonly ruleNumbers: ReadonlyMap<number, RuleInfo>;
  readonly turns: Pick<Turns, 'turnOf'>;
  /** Follows a change. Only rows that are other than before: as they should be, and as they were. Undefined where no number is left; then nothing may be used any more. */
  follow(program: NodeProgram, devices: ReadonlyMap<string, number>, changed: Changed): Followed | undefined;
}
export interface Followed { readonly desired: Tables; readonly former: Tables; readonly rules: ReadonlyMap<number, RuleInfo> }

const most = 0xffff_ffff;
type Mutable = { [T in TableName]: Map<string, Rows[T]> };
const noRows = (): Mutable => ({ addresses: new Map(), endpoints: new Map(), policy: new Map(), rules: new Map(), identities: new Map(), policies: new Map(), programs: new Map(), slots: new Map() });

type LayerRows = ReadonlyMap<string, PolicyRow>;
/** A layer with what it uses. */
interface Kept { readonly layer: Layer; readonly peers: ReadonlySet<string>; readonly turns: ReadonlySet<string> }

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
  /** The number of one that is not used any more stands for another. */
  pass(from: string, to: string): void {
    this.numbers.set(to, this.of(from));
    this.drop(from);
  }
}

/** `numbered`: what `number` made of this very program and these devices. */
export function createNumbering(program: NodeProgram, devices: ReadonlyMap<string, number>, numbered: Numbered): Numbering {
  const tables = noRows();
  for (const name of tableNames) for (const [key, row] of numbered.tables[name]) (tables[name] as Map<string, unknown>).set(key, row);
  const ruleNumbers = new Map(numbered.ruleNumbers);
  const { turns } = numbered;
  const identities = new Used(numbered.highest.identities);
  /** Of layers and of programs. */
  const policies = new Used(numbered.highest.policies);
  const slots = new Used(numbered.highest.slots);
  const rules = new Used(numbered.highest.rules);
  for (const { number: n, digest } of tables.identities.values()) identities.numbers.set(digest, n);
  for (const { number: n, digest } of tables.policies.values()) policies.numbers.set(digest, n);
  for (const { slot, digest } of tables.slots.values()) slots.numbers.set(digest, slot);
  for (const row of tables.rules.values()) rules.numbers.set(ruleKey(row), row.number);
  /** By slot. */
  const layers = new Map<string, Kept>();
  const programs = new Map<string, readonly string[]>();
  /** Rows of a layer by their keys, by its digest. */
  const rowsOf = new Map<string, LayerRows>();
  /** Identity of each address that has a row. */
  const placed = new Map<string, string>();
  /** Key of its row, by endpoint. */
  const attached = new Map<string, string>();

  const each = ({ peers, layer }: Kept, what: 'use' | 'release'): void => {
    policies[what](layer.digest);
    for (const peer of peers) identities[what](peer);
    for (const key of layer.rules.keys()) rules[what](key);
  };
  const keep = (layer: Layer): Kept => ({ layer, peers: new Set(layer.entries.flatMap((e) => e.peer ?? [])), turns: turnsOf(layer) });
  const rowsFor = (layer: Layer, n: number): LayerRows => new Map(layer.entries.map((e) => {
    const row = policyRow(e, n, e.peer === undefined ? 0 : identities.of(e.peer), rules.of(e.rule), turns);
    return [keyOf.policy(row), row];
  }));
  for (const [slot, layer] of program.layers) {
    const kept = keep(layer);
    layers.set(slot, kept);
    each(kept, 'use');
    if (!rowsOf.has(layer.digest)) rowsOf.set(layer.digest, rowsFor(layer, policies.of(layer.digest)));
  }
  for (const [digest, { slots: those }] of program.programs) {
    programs.set(digest, those);
    policies.use(digest);
    for (const slot of those) slots.use(slot);
  }
  for (const [key, place] of program.places) {
    if (place.tunnel === undefined && !devices.has(place.id)) continue;
    identities.use(place.identity);
    placed.set(key, place.identity);
  }
  for (const e of program.endpoints) {
    const ifindex = devices.get(e.id);
    if (ifindex !== undefined) attached.set(e.id, `${ifindex}`);
  }

  /**
   * One layer for another under the same number, where packets can tell the two apart only by peers whom none of them meets: those who come with this change have no
   * address before it, and those who went have none after it. So an endpoint with another tag costs its own entries, not those of everybody else in the layer.
   */
  function goOn(was: Layer, is: Layer, newcomers: ReadonlySet<string>, { before, desired }: Record<'before' | 'desired', Map<string, PolicyRow>>): void {
    const rows = rowsOf.get(was.digest);
    if (rows === undefined || was.digest === is.digest || policies.isUsed(was.digest) || policies.numbers.has(is.digest)) return;
    const next = rowsFor(is, policies.of(was.digest));
    const coming = [...next].filter(([key, row]) => {
      const there = rows.get(key);
      return there === undefined || !same(there, row);
    });
    const going = [...rows].filter(([key]) => !next.has(key));
    const [fresh, left] = [new Set([...newcomers].map(identities.of)), new Set(was.entries.flatMap(({ peer }) => (peer === undefined || identities.isUsed(peer) ? [] : [identities.of(peer)])))];
    if (coming.some(([key, { peer }]) => rows.has(key) || !fresh.has(peer)) || going.some(([, { peer }]) => !left.has(peer))) return;
    policies.pass(was.digest, is.digest);
    rowsOf.delete(was.digest);
    rowsOf.set(is.digest, next);
    for (const [key, row] of going) {
      before.set(key, row);
      tables.policy.delete(key);
    }
    for (const [key, row] of coming) {
      desired.set(key, row);
      tables.policy.set(key, row);
    }
  }

  function follow(now: NodeProgram, there: ReadonlyMap<string, number>, changed: Changed): Followed | undefined {
    const [before, desired] = [noRows(), noRows()];
    const all: Record<TableName, Set<string>> = { addresses: new Set(), endpoints: new Set(), policy: new Set(), rules: new Set(), identities: new Set(), policies: new Set(), programs: new Set(), slots: new Set() };
    const touched = (name: TableName, key: string): void => {
      if (all[name].has(key)) return;
      all[name].add(key);
      const row = tables[name].get(key);
      if (row !== undefined) (before[name] as Map<string, unknown>).set(key, row);
    };
    const put = <T extends TableName>(name: T, row: Rows[T]): void => {
      const key = keyOf[name](row);
      touched(name, key);
      (tables[name] as Map<string, Rows[T]>).set(key, row);
    };
    const remove = (name: TableName, key: string): void => {
      touched(name, key);
      tables[name].delete(key);
    };
    const changedLayers = [...changed.layers].map((slot) => {
      const is = now.layers.get(slot);
      return { slot, was: layers.get(slot), is: is && keep(is) };
    });
    const changedPrograms = [...changed.programs].map((digest) => ({ digest, was: programs.get(digest), is: now.programs.get(digest)?.slots }));
    const byId = new Map(changed.endpoints.size === 0 ? [] : now.endpoints.map((e) => [e.id, e]));
    const local = (id: string): LocalEndpoint | undefined => (there.has(id) ? byId.get(id) : undefined);
    const placesNow = [...changed.places].map((key) => {
      const place = now.places.get(key);
      return { key, was: placed.get(key), place: place && (place.tunnel !== undefined || there.has(place.id)) ? place : undefined };
    });
    const meanings = { identities: new Set<string>(), rules: new Set<string>(), policies: new Set<string>(), slots: new Set<string>(changed.layers) };

    // What comes is used before what goes is released, so that what stays keeps its number.
    for (const { is } of changedLayers) if (is) each(is, 'use');
    const coming = changedLayers.flatMap(({ is }) => [...is?.turns ?? []]);
    const newTurns = coming.filter((turn) => !turns.has(turn)).sort(byText);
    for (const turn of coming) if (turns.has(turn)) turns.use(turn);
    for (const { was } of changedLayers) if (was) {
      each(was, 'release');
      for (const turn of was.turns) turns.release(turn);
    }
    for (const turn of newTurns) if (!turns.use(turn)) return undefined;
    for (const { was, is } of changedLayers) for (const kept of [was, is]) {
      if (kept === undefined) continue;
      meanings.policies.add(kept.layer.digest);
      for (const key of kept.layer.rules.keys()) meanings.rules.add(key);
      for (const peer of kept.peers) meanings.identities.add(peer);
    }
    for (const { digest, was, is } of changedPrograms) {
      meanings.policies.add(digest);
      if (is) policies.use(digest);
      if (was) policies.release(digest);
      for (const slot of is ?? []) slots.use(slot);
      for (const slot of was ?? []) slots.release(slot);
      for (const slot of [...is ?? [], ...was ?? []]) meanings.slots.add(slot);
    }
    for (const { was, place } of placesNow) {
      if (place) identities.use(place.identity);
      if (was !== undefined) identities.release(was);
      for (const meaning of [was, place?.identity]) if (meaning !== undefined) meanings.identities.add(meaning);
    }
    /** Identities that no packet meets before the change, and those that none meets after it. */
    const newcomers = new Set([...meanings.identities].filter((one) => identities.isUsed(one) && !identities.numbers.has(one)));
    const given = (used: Used, of: ReadonlySet<string>): boolean => {
      for (const meaning of [...of].filter((one) => used.isUsed(one) && !used.numbers.has(one)).sort()) {
        if (used.highest >= most) return false;
        used.numbers.set(meaning, ++used.highest);
      }
      return true;
    };
    if (!given(identities, meanings.identities) || !given(rules, meanings.rules) || !given(slots, meanings.slots)) return undefined;
    for (const { was, is } of changedLayers) if (was && is) goOn(was.layer, is.layer, newcomers, { before: before.policy, desired: desired.policy });
    if (!given(policies, meanings.policies)) return undefined;

    for (const { was } of changedLayers) {
      const digest = was?.layer.digest;
      const rows = digest === undefined || policies.isUsed(digest) ? undefined : rowsOf.get(digest);
      if (digest === undefined || rows === undefined) continue;
      rowsOf.delete(digest);
      for (const [key, row] of rows) {
        before.policy.set(key, row);
        tables.policy.delete(key);
      }
    }
    const newRules = new Map<number, RuleInfo>();
    for (const { slot, is } of changedLayers) {
      if (!is) {
        layers.delete(slot);
        continue;
      }
      layers.set(slot, is);
      const { layer } = is;
      if (!rowsOf.has(layer.digest)) {
        const rows = rowsFor(layer, policies.of(layer.digest));
        rowsOf.set(layer.digest, rows);
        for (const [key, row] of rows) {
          desired.policy.set(key, row);
          tables.policy.set(key, row);
        }
      }
      for (const [key, info] of layer.rules) {
        const n = rules.of(key);
        if (ruleNumbers.get(n) === info) continue;
        put('rules', ruleRow(n, info));
        newRules.set(n, info);
        ruleNumbers.set(n, info);
      }
    }
    for (const slot of meanings.slots) {
      const n = slots.numbers.get(slot);
      if (n === undefined) continue;
      const kept = layers.get(slot);
      if (slots.isUsed(slot) && kept) put('slots', slotRow(slot, n, policies.of(kept.layer.digest)));
      else {
        remove('slots', `${n}`);
        slots.drop(slot);
      }
    }
    for (const { digest, is } of changedPrograms) {
      const n = policies.of(digest);
      if (is) {
        programs.set(digest, is);
        put('programs', programRow(n, is, slots.of));
      } else if (programs.delete(digest)) remove('programs', `${n}`);
    }
    for (const { key, place } of placesNow) {
      if (place) {
        put('addresses', addressRow(place, identities.of(place.identity), there.get(place.id)));
        placed.set(key, place.identity);
      } else if (placed.delete(key)) remove('addresses', key);
    }
    // Those that leave a device first: another may have it now.
    const leaving = [...changed.endpoints].flatMap((id) => attached.get(id) ?? []);
    for (const key of leaving) remove('endpoints', key);
    for (const id of changed.endpoints) {
      const e = local(id);
      if (e) {
        put('endpoints', endpointRow(e, there.get(id) as number, policies.of));
        attached.set(id, `${there.get(id)}`);
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
    tables, ruleNumbers, turns, follow,
    get highest() {
      return { identities: identities.highest, policies: policies.highest, rules: rules.highest, slots: slots.highest, turns: turns.numbers };
    },
  };
}

/** From nothing; see `number`. */
export function renumber(program: NodeProgram, devices: ReadonlyMap<string, number>, actual: Tables, highest: Highest): { numbered: Numbered; numbering: Numbering } {
  const numbered = number(program, devices, actual, highest);
  return { numbered, numbering: createNumbering(program, devices, numbered) };
}
