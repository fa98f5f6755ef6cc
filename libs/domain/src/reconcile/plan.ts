import { type AddressRow, type Column, type EndpointRow, keyOf, type PolicyRow, type SlotRow, type Rows, type TableName, tableNames, type Tables, wholeSubject } from './tables.ts';

/**
 * The way from the tables that are to the tables that should be, in an order in which every packet sees the old world or the new one,
 * whole. Pure; whoever runs the steps may be killed between any two and plan again from what it finds.
 *
 *   1 meanings, rules, entries of new layers, new   nothing reads them yet
 *     slots and programs
 *   2 the inactive column of addresses, endpoints,  what is new has 0 (nobody) in the column that packets read; what goes has 0 in the other
 *     slots
 *   3 flip(revision)                                one atomic write
 *   4 the other column
 *   5 remove what has gone, its connection tracking, then programs, slots, entries, rules and meanings that nothing refers to
 */
export type Step =
  | { readonly [T in TableName]: { readonly do: 'put'; readonly table: T; readonly rows: readonly Rows[T][] } }[TableName]
  | { readonly [T in TableName]: { readonly do: 'remove'; readonly table: T; readonly rows: readonly Rows[T][] } }[TableName]
  | { readonly do: 'flip' }
  | { readonly do: 'forget'; readonly addresses: readonly { readonly rd: number; readonly address: string }[] };

export interface Plan {
  readonly steps: readonly Step[];
  /** Rows of each table while the steps run: the old and the new together. */
  readonly peak: Readonly<Record<TableName, number>>;
}

/**
 * `epoch`: the kernel's now. `forgetNew`: also drop connection tracking of addresses that are new here, for when a former process may have been killed halfway.
 * `ours`: the tables are those of one change (`Numbering.follow`), so every row that goes is one that was wanted, and packets may need it until the flip.
 */
export function plan(desired: Tables, actual: Tables, epoch: number, o: { forgetNew?: boolean; ours?: boolean } = {}): Plan {
  const now = (epoch & 1) as 0 | 1;
  const steps: Step[] = [];
  const goneAddresses = missing(actual.addresses, desired.addresses);
  const goneEndpoints = missing(actual.endpoints, desired.endpoints);
  const newAddresses = missing(desired.addresses, actual.addresses);
  if (o.forgetNew && newAddresses.length > 0) steps.push({ do: 'forget', addresses: newAddresses.map(({ rd, address }) => ({ rd, address })) });

  put(steps, 'rules', different('rules', desired, actual));
  put(steps, 'identities', different('identities', desired, actual));
  put(steps, 'policies', different('policies', desired, actual));
  put(steps, 'policy', different('policy', desired, actual));
  const changedSlots = different('slots', desired, actual);
  const preparedSlots = changedSlots.map((row): SlotRow => ({ ...row, layer: columns(now, actual.slots.get(keyOf.slots(row))?.layer[now] ?? 0, row.layer[0]) }));
  // Packets may be reading it: out at once, and live flows judged anew.
  const gonePolicy = missing(actual.policy, desired.policy);
  const isForeign = o.ours === true ? () => false : foreignTo(desired);
  const foreign = gonePolicy.filter(isForeign);
  remove(steps, 'policy', foreign);
  const repaired = foreign.length > 0 || isRepair(desired, actual, now);

  const changedAddresses = different('addresses', desired, actual);
  const changedEndpoints = different('endpoints', desired, actual);
  const preparedAddresses = [
    ...changedAddresses.map((row): AddressRow => ({ ...row, identity: columns(now, actual.addresses.get(keyOf.addresses(row))?.identity[now] ?? 0, row.identity[0]) })),
    ...goneAddresses.map((row): AddressRow => ({ ...row, identity: columns(now, row.identity[now], 0) })),
  ];
  const preparedEndpoints = [
    ...changedEndpoints.map((row): EndpointRow => {
      const there = actual.endpoints.get(keyOf.endpoints(row));
      return { ...row, policy: columns(now, there?.policy[now] ?? 0, row.policy[0]), shadow: columns(now, there?.shadow[now] ?? 0, row.shadow[0]) };
    }),
    ...goneEndpoints.map((row): EndpointRow => ({ ...row, policy: columns(now, row.policy[now], 0), shadow: columns(now, row.shadow[now], 0) })),
  ];
  put(steps, 'slots', preparedSlots.filter((row) => differs('slots', row, actual)));
  put(steps, 'programs', different('programs', desired, actual));
  if (repaired || preparedAddresses.length > 0 || preparedEndpoints.length > 0 || preparedSlots.length > 0) {
    put(steps, 'addresses', preparedAddresses.filter((row) => differs('addresses', row, actual)));
    put(steps, 'endpoints', preparedEndpoints.filter((row) => differs('endpoints', row, actual)));
    steps.push({ do: 'flip' });
    put(steps, 'addresses', changedAddresses);
    put(steps, 'endpoints', changedEndpoints);
    put(steps, 'slots', changedSlots);
  }
  remove(steps, 'endpoints', goneEndpoints);
  remove(steps, 'addresses', goneAddresses);
  if (goneAddresses.length > 0) steps.push({ do: 'forget', addresses: goneAddresses.map(({ rd, address }) => ({ rd, address })) });
  remove(steps, 'programs', missing(actual.programs, desired.programs));
  remove(steps, 'slots', missing(actual.slots, desired.slots));
  remove(steps, 'policy', gonePolicy.filter((row) => !isForeign(row)));
  remove(steps, 'policies', missing(actual.policies, desired.policies));
  remove(steps, 'identities', missing(actual.identities, desired.identities));
  remove(steps, 'rules', missing(actual.rules, desired.rules));
  return { steps, peak: peakOf(desired, actual) };
}

/** Whether something that packets read is not what it should be by its number, and so is mended under them. */
function isRepair(desired: Tables, actual: Tables, now: 0 | 1): boolean {
  const programs = new Set([...actual.endpoints.values()].flatMap((row) => [row.policy[now], row.shadow[now]]));
  const slots = new Set([...programs].flatMap((n) => actual.programs.get(`${n}`)?.slots.split(' ') ?? []));
  const layers = new Set([...programs, ...[...slots].flatMap((n) => actual.slots.get(n)?.layer[now] ?? [])]);
  return [...desired.policy.values()].some((row) => layers.has(row.policy) && differs('policy', row, actual))
    || [...desired.programs.values()].some((row) => programs.has(row.program) && differs('programs', row, actual));
}

const columns = (now: 0 | 1, current: number, next: number): Column => (now === 0 ? [current, next] : [next, current]);
function missing<R>(from: ReadonlyMap<string, R>, than: ReadonlyMap<string, R>): R[] {
  const rows: R[] = [];
  for (const [key, row] of from) if (!than.has(key)) rows.push(row);
  return rows;
}

/**
 * An entry too many that is not of our making: in a program that stays, or one whose key leaves open whom it is for, which may decide for any program. What a
 * program that goes has, packets read until the flip.
 */
function foreignTo(desired: Tables): (row: PolicyRow) => boolean {
  const stays = new Set([...desired.policies.values()].map((row) => row.number));
  return (row) => !desired.policy.has(keyOf.policy(row)) && (stays.has(row.policy) || row.prefixlen < wholeSubject);
}

/** Rows are flat but for their columns, and rows of one table have the same fields. */
export function same(a: object, b: object): boolean {
  const other = b as Record<string, unknown>;
  for (const field in a) {
    const [x, y] = [(a as Record<string, unknown>)[field], other[field]];
    if (x !== y && !(Array.isArray(x) && Array.isArray(y) && x[0] === y[0] && x[1] === y[1])) return false;
  }
  return true;
}
function differs<T extends TableName>(name: T, row: Rows[T], actual: Tables): boolean {
  const found = (actual[name] as ReadonlyMap<string, Rows[T]>).get(keyOf[name](row));
  return found === undefined || !same(row, found);
}
function different<T extends TableName>(name: T, desired: Tables, actual: Tables): Rows[T][] {
  const wanted: ReadonlyMap<string, Rows[T]> = desired[name];
  const found: ReadonlyMap<string, Rows[T]> = actual[name];
  const rows: Rows[T][] = [];
  for (const [key, row] of wanted) {
    const there = found.get(key);
    if (there === undefined || !same(row, there)) rows.push(row);
  }
  return rows;
}
function put<T extends TableName>(steps: Step[], name: T, rows: readonly Rows[T][]): void {
  if (rows.length > 0) steps.push({ do: 'put', table: name, rows } as unknown as Step);
}
function remove<T extends TableName>(steps: Step[], name: T, rows: readonly Rows[T][]): void {
  if (rows.length > 0) steps.push({ do: 'remove', table: name, rows } as unknown as Step);
}

function peakOf(desired: Tables, actual: Tables): Record<TableName, number> {
  const count = (name: TableName): number => actual[name].size + [...desired[name].keys()].filter((key) => !actual[name].has(key)).length;
  return Object.fromEntries(tableNames.map((name) => [name, count(name)])) as Record<TableName, number>;
}

/**
 * The tables that are, without what will go anyway: a first step where the old and the new do not fit together but the new alone does.
 * It takes reachability away and gives none.
 */
export function shrunk(desired: Tables, actual: Tables): Tables {
  const both = <R>(from: ReadonlyMap<string, R>, wanted: ReadonlyMap<string, unknown>): ReadonlyMap<string, R> => new Map([...from].filter(([key]) => wanted.has(key)));
  const endpoints = both(actual.endpoints, desired.endpoints);
  const programs = new Set([...endpoints.values()].flatMap((row) => [...row.policy, ...row.shadow]));
  const slots = new Set([...programs].flatMap((n) => actual.programs.get(`${n}`)?.slots.split(' ') ?? []));
  const used = new Set([...programs, ...[...slots].flatMap((n) => [...actual.slots.get(n)?.layer ?? []])]);
  const isForeign = foreignTo(desired);
  return {
    ...actual, endpoints, addresses: both(actual.addresses, desired.addresses),
    policy: new Map([...actual.policy].filter(([, row]) => used.has(row.policy) && !isForeign(row))),
    policies: new Map([...actual.policies].filter(([, row]) => used.has(row.number))),
    programs: new Map([...actual.programs].filter(([, row]) => programs.has(row.program))), slots: new Map([...actual.slots].filter(([key]) => slots.has(key))),
  };
}
