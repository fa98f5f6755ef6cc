import { type Entry, programMeaning } from '../policy/compile.ts';
import { type Digest, ruleKey } from '../policy/model.ts';
import { Lines } from './lines.ts';
import { type Changed, type LocalEndpoint, type NodeProgram, type Place, placeKey } from './program.ts';
import { type AddressRow, type EndpointRow, nothingGiven, number as numbered, type PolicyRow, regionOfKey, type TableName, type Tables } from './tables.ts';

/**
 * Compares what was read back of the kernel with what it should do, by meaning: numbers are followed to what they stand for, and a
 * program is believed only if its entries, translated back, have the digest that its number claims.
 */
export interface Attestation {
  /** SHA-256 over the meaning of what was read back; equal on two kernels that do the same. */
  readonly digest: string;
  /** Empty: the kernel does what it should. One line per difference, `missing …` or `unexpected …`. */
  readonly differences: readonly string[];
  readonly counts: { readonly addresses: number; readonly identities: number; readonly policyEntries: number; readonly rules: number };
}
/** Keys of the rows that are other than when the kernel was read before. */
export type Touched = Readonly<Record<TableName, ReadonlySet<string>>>;

export interface Attestor {
  /** `entries`: all that the policy table should have, by key. */
  attest(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, entries: ReadonlyMap<string, PolicyRow>): Attestation;
  /** The same result, where nothing was wrong before and only this much has changed since: of the program, of the devices of these endpoints, of what is read, and `withdrawn` of `entries`. */
  follow(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, entries: ReadonlyMap<string, PolicyRow>, changed: Changed & { readonly withdrawn: Iterable<string> }, touched: Touched): Attestation;
}

/** By itself; where it is not told which entries there should be, they are those with the numbers that are read. */
export const attest = (program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest, entries = numbered(program, devices, observed, nothingGiven).tables.policy): Attestation =>
  createAttestor(digest).attest(program, devices, observed, entries);

export function createAttestor(digest: Digest): Attestor {
  let about = newState(digest);

  function readPrograms(numbers: Iterable<number>, program: NodeProgram, observed: Tables): Set<number> {
    const other = new Set<number>();
    for (const number of numbers) {
      const found = meaningOf(number, program, observed);
      // Whoever starts with this kernel would take the number for what it claims.
      const claimed = observed.policies.get(`${number}`)?.digest;
      differ(`program ${number}`, undefined, found === claimed ? undefined : `program ${number} that claims to be ${claimed ?? 'nothing'} and is ${found ?? 'nothing'}`);
      if (about.runs.get(number) === found) continue;
      other.add(number);
      if (found === undefined) about.runs.delete(number);
      else about.runs.set(number, found);
    }
    return other;
  }
  function meaningOf(number: number, program: NodeProgram, observed: Tables): string | undefined {
    const rows = about.entries.get(number);
    if (rows === undefined) return undefined;
    const entries: Entry[] = [];
    // What no entry of any program can be translated to is no part of one.
    const strange: string[] = [];
    for (const [key, row] of rows) {
      const [region, { direction }] = [regionOfKey(row), row];
      if (region === undefined || typeof direction === 'number') strange.push(`key ${key}`);
      else entries.push({
        direction, region, action: row.action, precedence: row.precedence,
        peer: row.peer === 0 ? undefined : observed.identities.get(`${row.peer}`)?.digest ?? `unknown identity ${row.peer}`,
        rule: about.rules.get(`${row.rule}`) ?? `unknown rule ${row.rule}`,
      });
    }
    const claimed = observed.policies.get(`${number}`)?.digest ?? '';
    return digest([programMeaning(program.programs.get(claimed)?.environment ?? '', entries), ...strange.sort()].join('\n'));
  }
  function takeEntry(key: string, row: PolicyRow | undefined): number {
    const number = row?.policy ?? Number(key.slice(0, key.indexOf('|')));
    const rows = about.entries.get(number) ?? new Map<string, PolicyRow>();
    if (row) rows.set(key, row);
    else rows.delete(key);
    if (rows.size === 0) about.entries.delete(number);
    else about.entries.set(number, rows);
    return number;
  }

  interface Now { readonly program: NodeProgram; readonly devices: ReadonlyMap<string, number>; readonly observed: Tables }
  const where = (key: string, row: { ifindex: number; tunnel: string }, { program, devices }: Now): string => {
    if (row.ifindex === 0) return row.tunnel;
    const place = program.places.get(key);
    return place !== undefined && devices.get(place.id) === row.ifindex ? 'here' : `device ${row.ifindex}`;
  };
  function addressLine(key: string, row: AddressRow, now: Now): string {
    return `address ${key} network ${row.network} at ${where(key, row, now)} is ${both(row.identity, (n) => now.observed.identities.get(`${n}`)?.digest ?? `unknown identity ${n}`)}`;
  }
  function endpointLine(row: EndpointRow, now: Now): string {
    const key = placeKey(row);
    const at = where(key, { ifindex: row.ifindex, tunnel: '' }, now);
    const meaning = (n: number): string => about.runs.get(n) ?? `unknown program ${n}`;
    const shadow = row.shadow.every((n) => n === 0) ? undefined : both(row.shadow, (n) => (n === 0 ? 'nothing' : meaning(n)));
    return `endpoint ${key}${at === 'here' ? '' : ` at ${at}`} network ${row.network} mac ${row.mac} runs ${both(row.policy, meaning)}${shown(shadow)}`;
  }
  const differ = (name: string, expected: string | undefined, found: string | undefined): void => {
    if (expected === found) about.differences.delete(name);
    else about.differences.set(name, [expected === undefined ? [] : `missing ${expected}`, found === undefined ? [] : `unexpected ${found}`].flat());
  };
  /** Whatever its number: a key may leave open for which program it is. */
  function lookAtEntry(key: string, entries: ReadonlyMap<string, PolicyRow>, observed: Tables): void {
    differ(`entry ${key}`, undefined, observed.policy.has(key) && !entries.has(key) ? `entry ${key}` : undefined);
  }
  function lookAtAddress(key: string, now: Now): void {
    const row = now.observed.addresses.get(key);
    const place = now.program.places.get(key);
    const found = row && addressLine(key, row, now);
    about.addresses.set(key, key, found);
    differ(`address ${key}`, place && (place.tunnel !== undefined || now.devices.has(place.id)) ? expectedAddress(key, place) : undefined, found);
  }
  function lookAtEndpoint(ifindex: string, expected: LocalEndpoint | undefined, now: Now): void {
    const row = now.observed.endpoints.get(ifindex);
    const before = about.seenAt.get(ifindex);
    const place = row && placeKey(row);
    if (before !== undefined && before !== place) about.endpoints.set(before, ifindex, undefined);
    if (place === undefined) about.seenAt.delete(ifindex);
    else about.seenAt.set(ifindex, place);
    const found = row && endpointLine(row, now);
    if (place !== undefined) about.endpoints.set(place, ifindex, found);
    differ(`endpoint ${ifindex}`, expected && expectedEndpoint(expected), found);
  }
  const result = (observed: Tables): Attestation => ({
    digest: digest([...about.addresses.digests(), ...about.endpoints.digests()].join('\n')), differences: [...about.differences.values()].flat(),
    counts: { addresses: observed.addresses.size, identities: observed.identities.size, policyEntries: observed.policy.size, rules: observed.rules.size },
  });

  return {
    attest(program, devices, observed, entries) {
      about = newState(digest);
      const now = { program, devices, observed };
      for (const [key, row] of observed.rules) about.rules.set(key, ruleKey(row));
      for (const [key, { digest: of }] of observed.identities) about.identities.set(key, of);
      for (const [key, row] of observed.policy) {
        takeEntry(key, row);
        lookAtEntry(key, entries, observed);
      }
      readPrograms(union(about.entries.keys(), [...observed.policies.values()].map((row) => row.number)), program, observed);
      for (const key of union(observed.addresses.keys(), program.places.keys())) lookAtAddress(key, now);
      for (const e of program.endpoints) {
        const ifindex = devices.get(e.id);
        if (ifindex !== undefined) about.attached.set(e.id, `${ifindex}`);
      }
      const expected = new Map(program.endpoints.flatMap((e): [string, LocalEndpoint][] => (devices.has(e.id) ? [[`${devices.get(e.id)}`, e]] : [])));
      for (const ifindex of union(observed.endpoints.keys(), expected.keys())) lookAtEndpoint(ifindex, expected.get(ifindex), now);
      return result(observed);
    },

    follow(program, devices, observed, entries, changed, touched) {
      const now = { program, devices, observed };
      const numbers = new Set<number>();
      for (const key of touched.policy) numbers.add(takeEntry(key, observed.policy.get(key)));
      for (const key of union(touched.policy, changed.withdrawn)) lookAtEntry(key, entries, observed);
      // What means something else now, or nothing any more, is looked for wherever it may be used.
      const otherRules = new Set<number>();
      for (const key of touched.rules) if (becomes(about.rules, key, observed.rules.get(key), ruleKey)) otherRules.add(Number(key));
      const [otherIdentities, lostIdentities] = [new Set<number>(), new Set<number>()];
      for (const key of touched.identities) {
        const was = about.identities.has(key);
        if (!becomes(about.identities, key, observed.identities.get(key), (row) => row.digest)) continue;
        otherIdentities.add(Number(key));
        if (was) lostIdentities.add(Number(key));
      }
      if (otherRules.size + otherIdentities.size > 0) for (const row of observed.policy.values()) if (otherRules.has(row.rule) || otherIdentities.has(row.peer)) numbers.add(row.policy);
      for (const key of touched.policies) numbers.add(Number(key));
      for (const row of observed.policies.values()) if (changed.programs.has(row.digest)) numbers.add(row.number);
      const otherPrograms = readPrograms(numbers, program, observed);

      const addresses = union(touched.addresses, changed.places);
      // An address with a number that meant nothing would have been wrong before.
      if (lostIdentities.size > 0) for (const [key, { identity: [a, b] }] of observed.addresses) if (lostIdentities.has(a) || lostIdentities.has(b)) addresses.add(key);
      for (const key of addresses) lookAtAddress(key, now);

      const endpoints = new Set(touched.endpoints);
      for (const id of changed.endpoints) {
        const [before, ifindex] = [about.attached.get(id), devices.get(id)];
        if (before !== undefined) endpoints.add(before);
        if (ifindex !== undefined) endpoints.add(`${ifindex}`);
      }
      for (const [key, row] of observed.endpoints) if ([...row.policy, ...row.shadow].some((n) => otherPrograms.has(n)) || changed.places.has(placeKey(row))) endpoints.add(key);
      const expected = new Map<string, LocalEndpoint>();
      if (endpoints.size > 0) for (const e of program.endpoints) {
        const ifindex = devices.get(e.id);
        if (ifindex !== undefined) expected.set(`${ifindex}`, e);
      }
      for (const ifindex of endpoints) lookAtEndpoint(ifindex, expected.get(ifindex), now);
      for (const id of changed.endpoints) about.attached.delete(id);
      for (const [ifindex, e] of expected) if (changed.endpoints.has(e.id)) about.attached.set(e.id, ifindex);
      return result(observed);
    },
  };
}

/** What was read, by meaning, and what of it is not as it should be. */
const newState = (digest: Digest) => ({
  addresses: new Lines(digest), endpoints: new Lines(digest), differences: new Map<string, string[]>(),
  /** Rows of each program, and the digest of what they mean, by number. */
  entries: new Map<number, Map<string, PolicyRow>>(), runs: new Map<number, string>(),
  rules: new Map<string, string>(), identities: new Map<string, string>(),
  /** The place that a device's row told of; the device of an endpoint. */
  seenAt: new Map<string, string>(), attached: new Map<string, string>(),
});

/** Whether something that was known is another now, or gone. */
function becomes<R>(known: Map<string, string>, key: string, row: R | undefined, meaning: (row: R) => string): boolean {
  const [before, now] = [known.get(key), row === undefined ? undefined : meaning(row)];
  if (now === undefined) known.delete(key);
  else known.set(key, now);
  return before !== now;
}
function both(column: readonly [number, number], meaning: (n: number) => string): string {
  const a = meaning(column[0]);
  if (column[0] === column[1]) return a;
  const b = meaning(column[1]);
  return a === b ? a : `${a} in one world and ${b} in the other`;
}
const expectedAddress = (key: string, p: Place): string => `address ${key} network ${p.network} at ${p.tunnel ?? 'here'} is ${p.identity}`;
const expectedEndpoint = (e: LocalEndpoint): string => `endpoint ${placeKey(e)} network ${e.network} mac ${e.mac} runs ${e.program}${shown(e.shadow)}`;
const shown = (shadow: string | undefined): string => (shadow === undefined ? '' : `, and shows what ${shadow} would do`);
function union<T>(...all: Iterable<T>[]): Set<T> {
  const found = new Set<T>();
  for (const some of all) for (const one of some) found.add(one);
  return found;
}
