import { type Entry, programMeaning } from '../policy/compile.ts';
import { type Digest, ruleKey } from '../policy/model.ts';
import { type NodeProgram, placeKey } from './program.ts';
import type { Tables } from './tables.ts';

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

export function attest(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest): Attestation {
  const expected = new Set(expectedLines(program, devices));
  const found = observedLines(program, devices, observed, digest);
  const have = new Set(found);
  const differences = [
    ...[...expected].filter((line) => !have.has(line)).map((line) => `missing ${line}`),
    ...found.filter((line) => !expected.has(line)).map((line) => `unexpected ${line}`),
  ];
  const counts = { addresses: observed.addresses.size, identities: observed.identities.size, policyEntries: observed.policy.size, rules: observed.rules.size };
  return { digest: digest(found.sort().join('\n')), differences, counts };
}

function expectedLines(program: NodeProgram, devices: ReadonlyMap<string, number>): string[] {
  const places = [...program.places.values()].filter((p) => p.tunnel !== undefined || devices.has(p.id));
  return [
    ...places.map((p) => `address ${placeKey(p)} network ${p.network} at ${p.tunnel ?? 'here'} is ${p.identity}`),
    ...program.endpoints.filter((e) => devices.has(e.id)).map((e) => `endpoint ${placeKey(e)} network ${e.network} mac ${e.mac} runs ${e.program}`),
  ];
}

function observedLines(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest): string[] {
  const identity = (n: number): string => observed.identities.get(`${n}`)?.digest ?? `unknown identity ${n}`;
  const runs = observedPrograms(program, observed, digest);
  const both = (column: readonly [number, number], meaning: (n: number) => string): string => {
    const [a, b] = [meaning(column[0]), meaning(column[1])];
    return a === b ? a : `${a} in one world and ${b} in the other`;
  };
  const where = (key: string, row: { ifindex: number; tunnel: string }): string => {
    if (row.ifindex === 0) return row.tunnel;
    const place = program.places.get(key);
    return place !== undefined && devices.get(place.id) === row.ifindex ? 'here' : `device ${row.ifindex}`;
  };
  return [
    ...[...observed.addresses].map(([key, row]) => `address ${key} network ${row.network} at ${where(key, row)} is ${both(row.identity, identity)}`),
    ...[...observed.endpoints.values()].map((row) => {
      const key = placeKey(row);
      const at = where(key, { ifindex: row.ifindex, tunnel: '' });
      return `endpoint ${key}${at === 'here' ? '' : ` at ${at}`} network ${row.network} mac ${row.mac} runs ${both(row.policy, (n) => runs.get(n) ?? `unknown program ${n}`)}`;
    }),
  ];
}

/** Number → digest of what its entries mean. */
function observedPrograms(program: NodeProgram, observed: Tables, digest: Digest): Map<number, string> {
  const rules = new Map([...observed.rules.values()].map((r) => [r.number, ruleKey(r)]));
  const entries = new Map<number, Entry[]>();
  for (const row of observed.policy.values()) {
    const entry: Entry = {
      direction: row.direction, region: { protocol: row.protocol, port: row.port }, action: row.action, precedence: row.precedence,
      peer: row.peer === 0 ? undefined : observed.identities.get(`${row.peer}`)?.digest ?? `unknown identity ${row.peer}`,
      rule: rules.get(row.rule) ?? `unknown rule ${row.rule}`,
    };
    const list = entries.get(row.policy);
    if (list) list.push(entry);
    else entries.set(row.policy, [entry]);
  }
  const found = new Map<number, string>();
  for (const [number, list] of entries) {
    const claimed = observed.policies.get(`${number}`)?.digest ?? '';
    const environment = program.programs.get(claimed)?.environment ?? '';
    found.set(number, digest(programMeaning(environment, list)));
  }
  return found;
}
