import { type AddressRow, type Column, type EndpointRow, keyOf, type Rows, type TableName, tableNames, type Tables } from './tables.ts';

/**
 * The way from the tables that are to the tables that should be, in an order in which every packet sees the old world or the new one,
 * whole. Pure; whoever runs the steps may be killed between any two and plan again from what it finds.
 *
 *   1 meanings, rules, entries of new programs      nothing reads them yet
 *   2 the inactive column of addresses, endpoints   what is new has 0 (nobody) in the column that packets read; what goes has 0 in the other
 *   3 flip(revision)                                one atomic write
 *   4 the other column
 *   5 remove what has gone, its connection tracking, then entries, rules and meanings that nothing refers to
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

/** `epoch`: the kernel's now. `forgetNew`: also drop connection tracking of addresses that are new here, for when a former process may have been killed halfway. */
export function plan(desired: Tables, actual: Tables, epoch: number, o: { forgetNew?: boolean } = {}): Plan {
  const now = (epoch & 1) as 0 | 1;
  const steps: Step[] = [];
  const goneAddresses = missing(actual.addresses, desired.addresses);
  const goneEndpoints = missing(actual.endpoints, desired.endpoints);
  const newAddresses = missing(desired.addresses, actual.addresses);
  if (o.forgetNew && newAddresses.length > 0) steps.push({ do: 'forget', addresses: newAddresses.map(({ rd, address }) => ({ rd, address })) });

  putDifferent(steps, 'rules', desired, actual);
  putDifferent(steps, 'identities', desired, actual);
  putDifferent(steps, 'policies', desired, actual);
  putDifferent(steps, 'policy', desired, actual);
  // An entry too many in a program that stays is not of our making, and packets may be reading it: out at once, and live flows judged anew.
  const gonePolicy = missing(actual.policy, desired.policy);
  const stays = new Set([...desired.policies.values()].map((row) => row.number));
  const foreign = gonePolicy.filter((row) => stays.has(row.policy));
  remove(steps, 'policy', foreign);
  const inUse = new Set([...actual.endpoints.values()].map((row) => row.policy[now]));
  const repaired = foreign.length > 0 || [...desired.policy.values()].some((row) => inUse.has(row.policy) && differs('policy', row, actual.policy));

  const preparedAddresses = [
    ...[...desired.addresses].map(([key, row]): AddressRow => ({ ...row, identity: columns(now, actual.addresses.get(key)?.identity[now] ?? 0, row.identity[0]) })),
    ...goneAddresses.map((row): AddressRow => ({ ...row, identity: columns(now, row.identity[now], 0) })),
  ];
  const preparedEndpoints = [
    ...[...desired.endpoints].map(([key, row]): EndpointRow => ({ ...row, policy: columns(now, actual.endpoints.get(key)?.policy[now] ?? 0, row.policy[0]) })),
    ...goneEndpoints.map((row): EndpointRow => ({ ...row, policy: columns(now, row.policy[now], 0) })),
  ];
  const changes = repaired || preparedAddresses.some((r) => r.identity[0] !== r.identity[1] || differs('addresses', r, actual.addresses))
    || preparedEndpoints.some((r) => r.policy[0] !== r.policy[1] || differs('endpoints', r, actual.endpoints));
  if (changes) {
    // What is unchanged in both columns already is not written again.
    put(steps, 'addresses', preparedAddresses.filter((r) => differs('addresses', r, actual.addresses)));
    put(steps, 'endpoints', preparedEndpoints.filter((r) => differs('endpoints', r, actual.endpoints)));
    steps.push({ do: 'flip' });
    put(steps, 'addresses', finalRows('addresses', desired, preparedAddresses, (r) => r.identity));
    put(steps, 'endpoints', finalRows('endpoints', desired, preparedEndpoints, (r) => r.policy));
  }
  remove(steps, 'endpoints', goneEndpoints);
  remove(steps, 'addresses', goneAddresses);
  if (goneAddresses.length > 0) steps.push({ do: 'forget', addresses: goneAddresses.map(({ rd, address }) => ({ rd, address })) });
  remove(steps, 'policy', gonePolicy.filter((row) => !stays.has(row.policy)));
  remove(steps, 'policies', missing(actual.policies, desired.policies));
  remove(steps, 'identities', missing(actual.identities, desired.identities));
  remove(steps, 'rules', missing(actual.rules, desired.rules));
  return { steps, peak: peakOf(desired, actual) };
}

const columns = (now: 0 | 1, current: number, next: number): Column => (now === 0 ? [current, next] : [next, current]);
const missing = <R>(from: ReadonlyMap<string, R>, than: ReadonlyMap<string, R>): R[] => [...from].filter(([key]) => !than.has(key)).map(([, row]) => row);
/** Rows are flat and written by the same hands in the same order, so their texts compare. */
const text = (row: unknown): string => JSON.stringify(row, (_key, value: unknown) => (value === undefined ? null : value));

function differs<T extends TableName>(name: T, row: Rows[T], actual: ReadonlyMap<string, Rows[T]>): boolean {
  const found = actual.get(keyOf[name](row));
  return found === undefined || text(sorted(found)) !== text(sorted(row));
}
const sorted = (row: object): [string, unknown][] => Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1));

function finalRows<T extends 'addresses' | 'endpoints'>(name: T, desired: Tables, prepared: readonly Rows[T][], column: (row: Rows[T]) => Column): Rows[T][] {
  const wanted: ReadonlyMap<string, Rows[T]> = desired[name];
  return prepared.flatMap((row) => {
    const final = wanted.get(keyOf[name](row));
    const [a, b] = column(row);
    return final !== undefined && a !== b ? [final] : [];
  });
}

function putDifferent<T extends TableName>(steps: Step[], name: T, desired: Tables, actual: Tables): void {
  const wanted: ReadonlyMap<string, Rows[T]> = desired[name];
  put(steps, name, [...wanted.values()].filter((row) => differs(name, row, actual[name])));
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
  const used = new Set([...endpoints.values()].flatMap((row) => row.policy));
  return {
    ...actual, endpoints, addresses: both(actual.addresses, desired.addresses),
    policy: new Map([...actual.policy].filter(([, row]) => used.has(row.policy))),
    policies: new Map([...actual.policies].filter(([, row]) => used.has(row.number))),
  };
}
