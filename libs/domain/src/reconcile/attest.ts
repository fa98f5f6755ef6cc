import { type Entry, layerMeaning, programMeaning } from '../policy/compile.ts';
import { type Digest, ruleKey } from '../policy/model.ts';
import { tierOfTurn } from '../policy/order.ts';
import { Lines } from './lines.ts';
import { type Changed, type LocalEndpoint, type NodeProgram, type Place, placeKey } from './program.ts';
import { type AddressRow, type EndpointRow, nothingGiven, number as numbered, type Numbered, type PolicyRow, regionOfKey, type SlotRow, type TableName, type Tables } from './tables.ts';

/**
 * Compares what was read back of the kernel with what it should do, by meaning: numbers are followed to what they stand for, and a
 * layer is believed only if its entries, translated back, have the digest that its number claims.
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

/** What the numbers of the policy table should be: all its entries by key, and whose turn a precedence is. */
export interface Wanted { readonly entries: ReadonlyMap<string, PolicyRow>; turnOf(precedence: number): string | undefined }
export const wantedOf = ({ tables, turns }: Pick<Numbered, 'tables'> & { readonly turns: Pick<Numbered['turns'], 'turnOf'> }): Wanted => ({ entries: tables.policy, turnOf: (precedence) => turns.turnOf(precedence) });

export interface Attestor {
  attest(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, wanted: Wanted): Attestation;
  /** The same result, where nothing was wrong before and only this much has changed since: of the program, of the devices of these endpoints, of what is read, and `withdrawn` of the wanted entries. */
  follow(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, wanted: Wanted, changed: Changed & { readonly withdrawn: Iterable<string> }, touched: Touched): Attestation;
}

/** By itself; where it is not told which entries there should be, they are those with the numbers that are read. */
export const attest = (program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest, wanted = wantedOf(numbered(program, devices, observed, nothingGiven))): Attestation =>
  createAttestor(digest).attest(program, devices, observed, wanted);

export function createAttestor(digest: Digest): Attestor {
  let about = newState(digest);

  /** Of layers and programs, whose numbers are of one kind. */
  function readMeanings(numbers: Iterable<number>, observed: Tables, wanted: Wanted): Set<number> {
    const other = new Set<number>();
    for (const number of numbers) {
      const found = meaningOf(number, observed, wanted);
      // Whoever starts with this kernel would take the number for what it claims.
      const claimed = observed.policies.get(`${number}`)?.digest;
      differ(`program ${number}`, undefined, found === claimed ? undefined : `program ${number} that claims to be ${claimed ?? 'nothing'} and is ${found ?? 'nothing'}`);
      if (about.means.get(number) === found) continue;
      other.add(number);
      if (found === undefined) about.means.delete(number);
      else about.means.set(number, found);
    }
    return other;
  }
  function meaningOf(number: number, observed: Tables, wanted: Wanted): string | undefined {
    const [rows, program] = [about.entries.get(number), observed.programs.get(`${number}`)];
    const entries: Entry[] = [];
    // What no entry of any layer can be translated to is no part of one.
    const strange: string[] = [];
    for (const [key, row] of rows ?? []) {
      const [region, { direction }, turn] = [regionOfKey(row), row, wanted.turnOf(row.precedence)];
      if (region === undefined || typeof direction === 'number' || program !== undefined) strange.push(`key ${key}`);
      else entries.push({
        direction, region, action: row.action, place: row.place, turn: turn !== undefined && tierOfTurn(turn) === row.tier ? turn : `unknown turn ${row.tier} ${row.precedence}`,
        peer: row.peer === 0 ? undefined : observed.identities.get(`${row.peer}`)?.digest ?? `unknown identity ${row.peer}`,
        rule: about.rules.get(`${row.rule}`) ?? `unknown rule ${row.rule}`,
      });
    }
    if (rows === undefined && program === undefined && !observed.policies.has(`${number}`)) return undefined;
    const meaning = program === undefined ? layerMeaning(entries) : programMeaning(program.slots.split(' ').map((n) => observed.slots.get(n)?.digest ?? `unknown slot ${n}`));
    return digest([meaning, ...strange.sort()].join('\n'));
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
    const meaning = (n: number): string => about.means.get(n) ?? `unknown program ${n}`;
    const shadow = row.shadow.every((n) => n === 0) ? undefined : both(row.shadow, (n) => (n === 0 ? 'nothing' : meaning(n)));
    return `endpoint ${key}${at === 'here' ? '' : ` at ${at}`} network ${row.network} mac ${row.mac} runs ${both(row.policy, meaning)}${shown(shadow)}`;
  }
  const differ = (name: string, expected: string | undefined, found: string | undefined): void => {
    if (expected === found) about.differences.delete(name);
    else about.differences.set(name, [expected === undefined ? [] : `missing ${expected}`, found === undefined ? [] : `unexpected ${found}`].flat());
  };
  /** Whatever its number: a key may leave open for which layer it is. */
  function lookAtEntry(key: string, { entries }: Wanted, observed: Tables): void {
    differ(`entry ${key}`, undefined, observed.policy.has(key) && !entries.has(key) ? `entry ${key}` : undefined);
  }
  function takeSlot(key: string, row: SlotRow | undefined): string[] {
    const before = about.slotAt.get(key);
    if (row) about.slotAt.set(key, row.digest);
    else about.slotAt.delete(key);
    if (before !== undefined) about.slotRows.get(before)?.delete(key);
    if (row) about.slotRows.set(row.digest, (about.slotRows.get(row.digest) ?? new Set()).add(key));
    return [before, row?.digest].filter((slot) => slot !== undefined);
  }
  function lookAtSlot(slot: string, { program, observed }: Now): void {
    const rows = [...about.slotRows.get(slot) ?? []].flatMap((key) => observed.slots.get(key) ?? []);
    if (rows.length === 0) about.slotRows.delete(slot);
    const found = rows.length === 0 ? undefined : `slot ${slot} means ${rows.map((row) => both(row.layer, (n) => about.means.get(n) ?? `unknown layer ${n}`)).sort().join(' and ')}`;
    about.slots.set(slot, slot, found);
    const layer = program.layers.get(slot);
    differ(`slot ${slot}`, layer && `slot ${slot} means ${layer.digest}`, found);
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
    digest: digest([...about.addresses.digests(), ...about.endpoints.digests(), ...about.slots.digests()].join('\n')), differences: [...about.differences.values()].flat(),
    counts: { addresses: observed.addresses.size, identities: observed.identities.size, policyEntries: observed.policy.size, rules: observed.rules.size },
  });

  return {
    attest(program, devices, observed, wanted) {
      about = newState(digest);
      const now = { program, devices, observed };
      for (const [key, row] of observed.rules) about.rules.set(key, ruleKey(row));
      for (const [key, { digest: of }] of observed.identities) about.identities.set(key, of);
      for (const [key, row] of observed.policy) {
        takeEntry(key, row);
        lookAtEntry(key, wanted, observed);
      }
      for (const [key, row] of observed.slots) takeSlot(key, row);
      readMeanings(union(about.entries.keys(), [...observed.policies.values()].map((row) => row.number), [...observed.programs.values()].map((row) => row.program)), observed, wanted);
      for (const slot of union(about.slotRows.keys(), program.layers.keys())) lookAtSlot(slot, now);
      for (const key of union(observed.addresses.keys(), program.places.keys())) lookAtAddress(key, now);
      for (const e of program.endpoints) {
        const ifindex = devices.get(e.id);
        if (ifindex !== undefined) about.attached.set(e.id, `${ifindex}`);
      }
      const expected = new Map(program.endpoints.flatMap((e): [string, LocalEndpoint][] => (devices.has(e.id) ? [[`${devices.get(e.id)}`, e]] : [])));
      for (const ifindex of union(observed.endpoints.keys(), expected.keys())) lookAtEndpoint(ifindex, expected.get(ifindex), now);
      return result(observed);
    },

    follow(program, devices, observed, wanted, changed, touched) {
      const now = { program, devices, observed };
      const numbers = new Set<number>();
      for (const key of touched.policy) numbers.add(takeEntry(key, observed.policy.get(key)));
      for (const key of union(touched.policy, changed.withdrawn)) lookAtEntry(key, wanted, observed);
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
      for (const key of union(touched.policies, touched.programs)) numbers.add(Number(key));
      const slots = new Set<string>(changed.layers);
      const otherSlots = new Set<string>();
      for (const key of touched.slots) {
        const named = takeSlot(key, observed.slots.get(key));
        if (named[0] !== named[1]) otherSlots.add(key);
        for (const slot of named) slots.add(slot);
      }
      if (otherSlots.size > 0) for (const row of observed.programs.values()) if (row.slots.split(' ').some((n) => otherSlots.has(n))) numbers.add(row.program);
      const others = readMeanings(numbers, observed, wanted);
      if (others.size > 0) for (const row of observed.slots.values()) if (row.layer.some((n) => others.has(n))) slots.add(row.digest);
      for (const slot of slots) lookAtSlot(slot, now);

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
      for (const [key, row] of observed.endpoints) if ([...row.policy, ...row.shadow].some((n) => others.has(n)) || changed.places.has(placeKey(row))) endpoints.add(key);
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
  addresses: new Lines(digest), endpoints: new Lines(digest), slots: new Lines(digest), differences: new Map<string, string[]>(),
  /** Rows of each layer, and the digest of what a layer or program means, by number. */
  entries: new Map<number, Map<string, PolicyRow>>(), means: new Map<number, string>(),
  rules: new Map<string, string>(), identities: new Map<string, string>(),
  /** What a row of a slot says that it is, and rows by that. */
  slotAt: new Map<string, string>(), slotRows: new Map<string, Set<string>>(),
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
