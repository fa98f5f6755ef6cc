import { type Allocation, allocate } from '../policy/numbers.ts';
import { type Direction, type Grace, type RuleAction, type RuleInfo, ruleKey } from '../policy/model.ts';
import { tierOfTurn } from '../policy/order.ts';
import type { Entry, Layer } from '../policy/compile.ts';
import { depthOf, type Region } from '../policy/region.ts';
import type { LocalEndpoint, NodeProgram, Place } from './program.ts';
import { Turns } from './turns.ts';

/**
 * The kernel's tables as plain rows: the shape in which they are compared. A row of `addresses` and of `endpoints` holds numbers for
 * each of the two worlds (columns); `epoch & 1` says which one packets read.
 */
export type Column = readonly [number, number];
export interface AddressRow {
  readonly rd: number; readonly address: string; readonly network: number;
  /** Local: the device; 0: remote. */
  readonly ifindex: number;
  /** Remote: the node's tunnel endpoint; empty: local. */
  readonly tunnel: string;
  readonly mac: string;
  readonly identity: Column;
}
export interface EndpointRow { readonly ifindex: number; readonly rd: number; readonly network: number; readonly address: string; readonly mac: string; readonly policy: Column; readonly shadow: Column }
/** Up to `port` it is the key as the kernel compares it: whole, and 0 behind its first `prefixlen` bits, which are counted from `policy` on. Two rows have one key where the kernel has one entry, and only there. */
export interface PolicyRow {
  readonly policy: number; readonly peer: number;
  /** A number is a direction that no row of ours has. */
  readonly direction: Direction | number;
  readonly prefixlen: number; readonly protocol: number; readonly port: number;
  readonly action: RuleAction;
  /** When it is asked: in which tier, in which turn, and at which place of it. */
  readonly tier: number; readonly precedence: number; readonly place: number;
  readonly rule: number;
}
/** Numbers of slots, in their order. */
export interface ProgramRow { readonly program: number; readonly slots: string }
export interface SlotRow { readonly slot: number; readonly layer: Column; readonly digest: string }
export interface RuleRow { readonly number: number; readonly policyId: string; readonly index: number; readonly direction: Direction; readonly action: RuleAction; readonly priority: number; readonly grace: Grace }
export interface MeaningRow { readonly number: number; readonly digest: string }

export interface Rows {
  addresses: AddressRow; endpoints: EndpointRow; policy: PolicyRow; rules: RuleRow; identities: MeaningRow; policies: MeaningRow;
  programs: ProgramRow; slots: SlotRow;
}
export type TableName = keyof Rows;
export type Tables = { readonly [T in TableName]: ReadonlyMap<string, Rows[T]> };
export const tableNames: readonly TableName[] = ['rules', 'identities', 'policies', 'policy', 'slots', 'programs', 'addresses', 'endpoints'];

export const keyOf: { [T in TableName]: (row: Rows[T]) => string } = {
  addresses: (r) => `${r.rd}|${r.address}`,
  endpoints: (r) => `${r.ifindex}`,
  policy: (r) => `${r.policy}|${r.peer}|${r.direction}|${r.prefixlen}|${r.protocol}|${r.port}`,
  rules: (r) => `${r.number}`,
  identities: (r) => `${r.number}`,
  policies: (r) => `${r.number}`,
  programs: (r) => `${r.program}`,
  slots: (r) => `${r.slot}`,
};
export const table = <T extends TableName>(name: T, rows: Iterable<Rows[T]>): ReadonlyMap<string, Rows[T]> =>
  new Map([...rows].map((row) => [keyOf[name](row), row]));
export const emptyTables: Tables = { addresses: new Map(), endpoints: new Map(), policy: new Map(), rules: new Map(), identities: new Map(), policies: new Map(), programs: new Map(), slots: new Map() };

/** The highest numbers this process has given, so that a number which has just gone out of use is not given again at once. */
export interface Highest { readonly rules: number; readonly identities: number; readonly policies: number; readonly slots: number; /** Those of turns, which are not counted up. */ readonly turns: ReadonlyMap<string, number> }
export const nothingGiven: Highest = { rules: 0, identities: 0, policies: 0, slots: 0, turns: new Map() };

export interface Numbered { readonly tables: Tables; readonly highest: Highest; readonly ruleNumbers: ReadonlyMap<number, RuleInfo>; readonly turns: Turns }

/**
 * Gives numbers to meanings, keeping those that the kernel already has. `devices`: id of a local endpoint → ifindex; a local endpoint
 * without a device is left out altogether, so that nobody sends to it.
 */
export function number(program: NodeProgram, devices: ReadonlyMap<string, number>, actual: Tables, highest: Highest): Numbered {
  const layers = [...program.layers.values()];
  const entries = layers.flatMap((layer) => layer.entries);
  const rules = new Map<string, RuleInfo>();
  for (const layer of layers) for (const [key, info] of layer.rules) rules.set(key, info);
  const places = [...program.places.values()].filter((p) => p.tunnel !== undefined || devices.has(p.id));
  const identityNumbers = allocate([...places.map((p) => p.identity), ...entries.flatMap((e) => e.peer ?? [])], meanings(actual.identities), highest.identities);
  const existingRules = new Map([...actual.rules.values()].map((r) => [r.number, ruleKey(r)]));
  const ruleNumbers = allocate(rules.keys(), existingRules, highest.rules);
  const turns = Turns.of(entries.map(({ turn }) => turn), existingTurns(entries, actual, existingRules, highest.turns));
  const digests = [...program.programs.keys(), ...layers.map((layer) => layer.digest)];
  const existing = meanings(actual.policies);
  const policyRowsBy = (numbers: Allocation): PolicyRow[] => layers.flatMap((layer) => layer.entries.map((e) =>
    policyRow(e, numberOf(numbers, layer.digest), e.peer === undefined ? 0 : numberOf(identityNumbers, e.peer), numberOf(ruleNumbers, e.rule), turns)));
  let policyNumbers = allocate(digests, existing, highest.policies);
  let policyRows = policyRowsBy(policyNumbers);
  // The order of entries that packets read is not changed under them, one after the other: then every layer is another.
  if (policyRows.some((row) => isOtherTurn(row, actual.policy.get(keyOf.policy(row))))) {
    policyNumbers = allocate(digests, new Map([...existing].map(([n, of]) => [n, program.programs.has(of) ? of : `former ${n}`])), highest.policies);
    policyRows = policyRowsBy(policyNumbers);
  }
  const slotNumbers = allocate(program.layers.keys(), new Map([...actual.slots.values()].map((row) => [row.slot, row.digest])), highest.slots);

  const addressRows = places.map((p) => addressRow(p, numberOf(identityNumbers, p.identity), devices.get(p.id)));
  const endpointRows = program.endpoints.flatMap((e) => {
    const ifindex = devices.get(e.id);
    return ifindex === undefined ? [] : [endpointRow(e, ifindex, (of) => numberOf(policyNumbers, of))];
  });
  const slotRows = [...program.layers].map(([slot, layer]) => slotRow(slot, numberOf(slotNumbers, slot), numberOf(policyNumbers, layer.digest)));
  const programRows = [...program.programs].map(([of, { slots }]) => programRow(numberOf(policyNumbers, of), slots, (slot) => numberOf(slotNumbers, slot)));
  const ruleRows = [...rules].map(([key, r]) => ruleRow(numberOf(ruleNumbers, key), r));
  for (const layer of layers) for (const turn of turnsOf(layer)) turns.use(turn);
  const tables: Tables = {
    addresses: table('addresses', addressRows), endpoints: table('endpoints', endpointRows), policy: table('policy', policyRows),
    rules: table('rules', ruleRows), identities: table('identities', meaningRows(identityNumbers)), policies: table('policies', meaningRows(policyNumbers)),
    slots: table('slots', slotRows), programs: table('programs', programRows),
  };
  return {
    tables, turns,
    highest: { rules: ruleNumbers.highest, identities: identityNumbers.highest, policies: policyNumbers.highest, slots: slotNumbers.highest, turns: turns.numbers },
    ruleNumbers: new Map([...rules].map(([key, info]) => [numberOf(ruleNumbers, key), info])),
  };
}

export const turnsOf = (layer: Layer): ReadonlySet<string> => new Set(layer.entries.map(({ turn }) => turn));
const isOtherTurn = (a: PolicyRow, b: PolicyRow | undefined): boolean => b !== undefined && (a.precedence !== b.precedence || a.place !== b.place || a.tier !== b.tier);
/** The numbers that were given; after a start, what the kernel's entries say of the turns of these rules, and nothing where they contradict each other. */
function existingTurns(entries: readonly Entry[], actual: Tables, rules: ReadonlyMap<number, string>, given: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  // A rule may have another turn than before: what was given is asked first.
  if (given.size > 0) return given;
  const turns = new Map(entries.map(({ rule, turn }) => [rule, turn]));
  const found = new Map<string, number>();
  for (const row of actual.policy.values()) {
    const turn = turns.get(rules.get(row.rule) ?? '');
    if (turn === undefined) continue;
    if ((found.get(turn) ?? row.precedence) !== row.precedence) return new Map();
    found.set(turn, row.precedence);
  }
  return found;
}

export const addressRow = (p: Place, identity: number, ifindex: number | undefined): AddressRow => ({
  rd: p.rd, address: p.address, network: p.network, ifindex: p.tunnel === undefined ? ifindex ?? 0 : 0, tunnel: p.tunnel ?? '', mac: p.tunnel === undefined ? p.mac : '', identity: [identity, identity],
});
export function endpointRow(e: LocalEndpoint, ifindex: number, numberOf: (program: string) => number): EndpointRow {
  const [policy, shadow] = [numberOf(e.program), e.shadow === undefined ? 0 : numberOf(e.shadow)];
  return { ifindex, rd: e.rd, network: e.network, address: e.address, mac: e.mac, policy: [policy, policy], shadow: [shadow, shadow] };
}
export const policyRow = (e: Entry, policy: number, peer: number, rule: number, turns: Pick<Turns, 'numberOf'>): PolicyRow => ({
  policy, peer, direction: e.direction, ...keyOfRegion(e.region), action: e.action, tier: tierOfTurn(e.turn), precedence: turns.numberOf(e.turn), place: e.place, rule,
});
export const slotRow = (slot: string, n: number, layer: number): SlotRow => ({ slot: n, layer: [layer, layer], digest: slot });
export const programRow = (program: number, slots: readonly string[], numberOf: (slot: string) => number): ProgramRow => ({ program, slots: slots.map(numberOf).join(' ') });
/** Bits of a key up to here say policy, peer and direction: every entry of ours gives them whole. */
export const wholeSubject = 72;
const [withProtocol, withPort] = [80, 96];
const keyOfRegion = (region: Region): Pick<PolicyRow, 'prefixlen' | 'protocol' | 'port'> => ({ prefixlen: wholeSubject + depthOf(region), protocol: region.protocol ?? 0, port: region.port ?? 0 });
/** Undefined: a key that no region has. */
export function regionOfKey({ prefixlen, protocol, port }: Pick<PolicyRow, 'prefixlen' | 'protocol' | 'port'>): Region | undefined {
  const bits = prefixlen > withProtocol && prefixlen < withPort ? { bits: prefixlen - withProtocol } : {};
  const region = { protocol: prefixlen < withProtocol ? undefined : protocol, port: prefixlen <= withProtocol ? undefined : port, ...bits };
  const key = keyOfRegion(region);
  return key.prefixlen === prefixlen && key.protocol === protocol && key.port === port ? region : undefined;
}
export const ruleRow = (n: number, r: RuleInfo): RuleRow => ({ number: n, policyId: r.policyId, index: r.index, direction: r.direction, action: r.action, priority: r.priority, grace: r.grace ?? 0 });

const meanings = (rows: ReadonlyMap<string, MeaningRow>): Map<number, string> => new Map([...rows.values()].map((r) => [r.number, r.digest]));
const meaningRows = (a: Allocation): MeaningRow[] => [...a.numbers].map(([digest, n]) => ({ number: n, digest }));
function numberOf(allocation: Allocation, meaning: string): number {
  const found = allocation.numbers.get(meaning);
  if (found === undefined) throw new Error(`a meaning without a number: ${meaning}`);
  return found;
}
