import { type Entry, layerMeaning, programMeaning } from '../src/policy/compile.ts';
import { tierOfTurn } from '../src/policy/order.ts';
import { type Digest, ruleKey } from '../src/policy/model.ts';
import { type NodeProgram, placeKey } from '../src/reconcile/program.ts';
import type { Attestation, Wanted } from '../src/reconcile/attest.ts';
import { regionOfKey, type Tables } from '../src/reconcile/tables.ts';

/** The same as `src/reconcile/attest.ts`, each time over everything: what the other is held against. */
export function plainAttest(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest, wanted: Wanted): Attestation {
  const expected = new Set(expectedLines(program, devices));
  const found = observedLines(program, devices, observed, digest, wanted);
  const runs = observedMeanings(observed, digest, wanted);
  const have = new Set(found);
  const differences = [
    ...[...expected].filter((line) => !have.has(line)).map((line) => `missing ${line}`),
    ...found.filter((line) => !expected.has(line)).map((line) => `unexpected ${line}`),
    ...[...new Set([...runs.keys(), ...[...observed.policies.values()].map((row) => row.number)])].flatMap((number) => {
      const [claimed, meaning] = [observed.policies.get(`${number}`)?.digest, runs.get(number)];
      return claimed === meaning ? [] : [`unexpected program ${number} that claims to be ${claimed ?? 'nothing'} and is ${meaning ?? 'nothing'}`];
    }),
    ...[...observed.policy.keys()].filter((key) => !wanted.entries.has(key)).map((key) => `unexpected entry ${key}`),
  ];
  const counts = { addresses: observed.addresses.size, identities: observed.identities.size, policyEntries: observed.policy.size, rules: observed.rules.size };
  return { digest: digestOfLines(found, digest), differences, counts };
}

/** Lines by what they are about, in 256 heaps each, and a digest over those of the heaps. */
function digestOfLines(lines: readonly string[], digest: Digest): string {
  const heaps = Array.from({ length: 768 }, (): string[] => []);
  for (const line of lines) {
    const [word = '', place = ''] = line.split(' ');
    let hash = 0x811c9dc5;
    for (const letter of place) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    heaps[(word === 'address' ? 0 : word === 'endpoint' ? 256 : 512) + (hash & 255)]?.push(line);
  }
  return digest(heaps.map((heap) => (heap.length === 0 ? '' : digest(heap.sort().join('\n')))).join('\n'));
}

function expectedLines(program: NodeProgram, devices: ReadonlyMap<string, number>): string[] {
  const places = [...program.places.values()].filter((p) => p.tunnel !== undefined || devices.has(p.id));
  return [
    ...places.map((p) => `address ${placeKey(p)} network ${p.network} at ${p.tunnel ?? 'here'} is ${p.identity}`),
    ...program.endpoints.filter((e) => devices.has(e.id)).map((e) => `endpoint ${placeKey(e)} network ${e.network} mac ${e.mac} runs ${e.program}${e.shadow === undefined ? '' : `, and shows what ${e.shadow} would do`}`),
    ...[...program.layers].map(([slot, layer]) => `slot ${slot} means ${layer.digest}`),
  ];
}

function observedLines(program: NodeProgram, devices: ReadonlyMap<string, number>, observed: Tables, digest: Digest, wanted: Wanted): string[] {
  const identity = (n: number): string => observed.identities.get(`${n}`)?.digest ?? `unknown identity ${n}`;
  const runs = observedMeanings(observed, digest, wanted);
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
    ...[...new Set([...observed.slots.values()].map((row) => row.digest))].map((slot) => {
      const means = [...observed.slots.values()].filter((row) => row.digest === slot).map((row) => both(row.layer, (n) => runs.get(n) ?? `unknown layer ${n}`));
      return `slot ${slot} means ${means.sort().join(' and ')}`;
    }),
  ];
}

/** Number → digest of what a layer's entries mean, or a program's slots. */
function observedMeanings(observed: Tables, digest: Digest, wanted: Wanted): Map<number, string> {
  const rules = new Map([...observed.rules.values()].map((r) => [r.number, ruleKey(r)]));
  const numbers = new Set([...observed.policy.values()].map((row) => row.policy));
  for (const row of observed.policies.values()) numbers.add(row.number);
  for (const row of observed.programs.values()) numbers.add(row.program);
  return new Map([...numbers].map((number): [number, string] => {
    const program = observed.programs.get(`${number}`);
    const rows = [...observed.policy].filter(([, row]) => row.policy === number);
    const proper = rows.filter(([, row]) => program === undefined && regionOfKey(row) !== undefined && typeof row.direction !== 'number');
    const strange = rows.filter((row) => !proper.includes(row)).map(([key]) => `key ${key}`);
    const entries = proper.map(([, row]) => {
      const turn = wanted.turnOf(row.precedence);
      return {
        direction: row.direction, region: regionOfKey(row), action: row.action, place: row.place,
        turn: turn === undefined || tierOfTurn(turn) !== row.tier ? `unknown turn ${row.tier} ${row.precedence}` : turn,
        peer: row.peer === 0 ? undefined : observed.identities.get(`${row.peer}`)?.digest ?? `unknown identity ${row.peer}`,
        rule: rules.get(row.rule) ?? `unknown rule ${row.rule}`,
      } as Entry;
    });
    const meaning = program === undefined ? layerMeaning(entries) : programMeaning(program.slots.split(' ').map((n) => observed.slots.get(n)?.digest ?? `unknown slot ${n}`));
    return [number, digest([meaning, ...strange.sort()].join('\n'))];
  }));
}
