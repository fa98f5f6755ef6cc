import { type Entry, programMeaning } from '../src/policy/compile.ts';
import { type Digest, ruleKey } from '../src/policy/model.ts';
import { type NodeProgram, placeKey } from '../src/reconcile/program.ts';
import type { Attestation } from '../src/reconcile/attest.ts';
import { type PolicyRow, regionOfKey, type Tables } from '../src/reconcile/tables.ts';

/** The same as `src/reconcile/attest.ts`, each time over everything: what the other is held against. */
export function plainAttest(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest, wanted: ReadonlyMap<string, PolicyRow>): Attestation {
  const expected = new Set(expectedLines(program, devices));
  const found = observedLines(program, devices, observed, digest);
  const runs = observedPrograms(program, observed, digest);
  const have = new Set(found);
  const differences = [
    ...[...expected].filter((line) => !have.has(line)).map((line) => `missing ${line}`),
    ...found.filter((line) => !expected.has(line)).map((line) => `unexpected ${line}`),
    ...[...new Set([...runs.keys(), ...[...observed.policies.values()].map((row) => row.number)])].flatMap((number) => {
      const [claimed, meaning] = [observed.policies.get(`${number}`)?.digest, runs.get(number)];
      return claimed === meaning ? [] : [`unexpected program ${number} that claims to be ${claimed ?? 'nothing'} and is ${meaning ?? 'nothing'}`];
    }),
    ...[...observed.policy.keys()].filter((key) => !wanted.has(key)).map((key) => `unexpected entry ${key}`),
  ];
  const counts = { addresses: observed.addresses.size, identities: observed.identities.size, policyEntries: observed.policy.size, rules: observed.rules.size };
  return { digest: digestOfLines(found, digest), differences, counts };
}

/** Lines by what they are about, in 256 heaps each, and a digest over those of the heaps. */
function digestOfLines(lines: readonly string[], digest: Digest): string {
  const heaps = Array.from({ length: 512 }, (): string[] => []);
  for (const line of lines) {
    const [word = '', place = ''] = line.split(' ');
    let hash = 0x811c9dc5;
    for (const letter of place) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    heaps[(word === 'address' ? 0 : 256) + (hash & 255)]?.push(line);
  }
  return digest(heaps.map((heap) => (heap.length === 0 ? '' : digest(heap.sort().join('\n')))).join('\n'));
}

function expectedLines(program: NodeProgram, devices: ReadonlyMap<string, number>): string[] {
  const places = [...program.places.values()].filter((p) => p.tunnel !== undefined || devices.has(p.id));
  return [
    ...places.map((p) => `address ${placeKey(p)} network ${p.network} at ${p.tunnel ?? 'here'} is ${p.identity}`),
    ...program.endpoints.filter((e) => devices.has(e.id)).map((e) => `endpoint ${placeKey(e)} network ${e.network} mac ${e.mac} runs ${e.program}${e.shadow === undefined ? '' : `, and shows what ${e.shadow} would do`}`),
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
      return `endpoint ${key}${at === 'here' ? '' : ` at ${at}`} network ${row.network} mac ${row.mac} runs ${both(row.policy, (n) => runs.get(n) ?? `unknown program ${n}`)}${row.shadow.every((n) => n === 0) ? '' : `, and shows what ${both(row.shadow, (n) => (n === 0 ? 'nothing' : runs.get(n) ?? `unknown program ${n}`))} would do`}`;
    }),
  ];
}

/** Number → digest of what its entries mean. */
function observedPrograms(program: NodeProgram, observed: Tables, digest: Digest): Map<number, string> {
  const rules = new Map([...observed.rules.values()].map((r) => [r.number, ruleKey(r)]));
  const entries = new Map<number, Entry[]>();
  const strange = new Map<number, string[]>();
  for (const [key, row] of observed.policy) {
    const [region, { direction }] = [regionOfKey(row), row];
    if (!entries.has(row.policy)) entries.set(row.policy, []);
    if (region === undefined || typeof direction === 'number') {
      strange.set(row.policy, [...strange.get(row.policy) ?? [], `key ${key}`]);
      continue;
    }
    const entry: Entry = {
      direction, region, action: row.action, precedence: row.precedence,
      peer: row.peer === 0 ? undefined : observed.identities.get(`${row.peer}`)?.digest ?? `unknown identity ${row.peer}`,
      rule: rules.get(row.rule) ?? `unknown rule ${row.rule}`,
    };
    entries.get(row.policy)?.push(entry);
  }
  const found = new Map<number, string>();
  for (const [number, list] of entries) {
    const claimed = observed.policies.get(`${number}`)?.digest ?? '';
    const environment = program.programs.get(claimed)?.environment ?? '';
    found.set(number, digest([programMeaning(environment, list), ...(strange.get(number) ?? []).sort()].join('\n')));
  }
  return found;
}
