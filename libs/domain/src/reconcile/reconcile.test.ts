import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { AnyDocument, Document } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { attest, wantedOf } from './attest.ts';
import { desired } from './desired.ts';
import { createPlaces } from './places.ts';
import { plan, shrunk, type Step } from './plan.ts';
import type { LocalEndpoint, NodeProgram } from './program.ts';
import { emptyTables, keyOf, nothingGiven, number, type Rows, type TableName, type Tables } from './tables.ts';
import { createView } from './view.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const room = 10;
const id = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const common = { createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z', intent: 'i', version: 1, phase: 'active' as const };
const staging = { domain: 'acme', project: 'shop', environment: 'staging' };
const production = { ...staging, environment: 'production' };
const platform = { domain: '_', project: '_', environment: '_' };

const node = (n: number): Document<'node'> => ({ ...common, ...platform, kind: 'node', id: id(n), name: `node-${n}`, parent: '_', spec: { tunnelEndpoint: `192.0.2.${n}` }, status: {} });
const network = (n: number, scope: typeof staging): Document<'network'> => ({
  ...common, ...scope, kind: 'network', id: id(n), name: `net-${n}`, parent: '_', spec: { subnets: ['10.0.0.0/24'] }, status: { routingDomain: id(900 + n), vni: n, number: n },
});
const endpoint = (n: number, net: Document<'network'>, on: number, tags: Record<string, string>, host: number): Document<'endpoint'> => ({
  ...common, domain: net.domain, project: net.project, environment: net.environment, kind: 'endpoint', id: id(n), name: `e${n}`, parent: net.id,
  spec: { network: net.name, node: `node-${on}`, tags, attachment: { containerId: `c${n}`, interface: 'eth0' } },
  status: { address: `10.0.0.${host}`, mac: `02:00:00:00:00:${String(host).padStart(2, '0')}`, lease: id(800 + n) },
});
const policy = (n: number, spec: Partial<Document<'policy'>['spec']>): Document<'policy'> => ({
  ...common, ...staging, kind: 'policy', id: id(n), name: `p${n}`, parent: '_', spec: { appliesTo: {}, priority: 1000, ...spec }, status: {},
});
const gone = <D extends AnyDocument>(d: D): D => ({ ...d, version: d.version + 1, phase: 'deleted' as const });

const [net1, net2] = [network(101, staging), network(102, production)];
const web = endpoint(1, net1, 1, { app: 'web' }, 11);
const db = endpoint(2, net1, 1, { app: 'db' }, 12);
const api = endpoint(3, net1, 2, { app: 'api' }, 13);
const twin = endpoint(4, net2, 1, { app: 'web' }, 11);
const onlyApi = policy(201, { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }] });
const noWeb = policy(202, { appliesTo: {}, priority: 1, egress: [{ action: 'Deny', ports: [{ protocol: 'UDP' }] }], isolates: [] });

/** A kernel of plain maps; `crashAfter` steps it stops dead. */
function run(tables: Tables, epoch: number, steps: readonly Step[], crashAfter = Infinity): { tables: Tables; epoch: number } {
  const next = Object.fromEntries(Object.entries(tables).map(([name, rows]) => [name, new Map(rows as ReadonlyMap<string, unknown>)])) as unknown as { [T in TableName]: Map<string, Rows[T]> };
  let now = epoch;
  for (const step of steps.slice(0, crashAfter)) {
    if (step.do === 'flip') now++;
    if (step.do === 'put') for (const row of step.rows) next[step.table].set(keyOf[step.table](row as never), row as never);
    if (step.do === 'remove') for (const row of step.rows) next[step.table].delete(keyOf[step.table](row as never));
  }
  return { tables: next, epoch: now };
}

const devicesOf = (program: NodeProgram): Map<string, number> => new Map(program.endpoints.map((e) => [e.id, Number(e.id.slice(-3)) + 1000]));
const programOf = (documents: readonly AnyDocument[]): NodeProgram => {
  const view = createView();
  documents.forEach((d, i) => view.merge(documentSubject(d), i + 1, d));
  return desired(view, 'node-1', digest, room);
};

/** Applies one program to a kernel and returns it settled. */
function settle(kernel: { tables: Tables; epoch: number }, program: NodeProgram, highest = nothingGiven) {
  const numbered = number(program, devicesOf(program), kernel.tables, highest);
  const steps = plan(numbered.tables, kernel.tables, kernel.epoch).steps;
  return { ...run(kernel.tables, kernel.epoch, steps), steps, highest: numbered.highest, wanted: numbered.tables };
}
const blank = { tables: emptyTables, epoch: 0 };

/** Whom a packet of the current world meets: identity digest of each address, meaning of the program of each endpoint. */
function world(kernel: { tables: Tables; epoch: number }): Record<string, string> {
  const column = (kernel.epoch & 1) as 0 | 1;
  const seen: Record<string, string> = {};
  for (const [key, row] of kernel.tables.addresses) {
    const who = row.identity[column];
    if (who !== 0) seen[key] = kernel.tables.identities.get(`${who}`)?.digest ?? 'DANGLING';
  }
  for (const row of kernel.tables.endpoints.values()) {
    const n = row.policy[column];
    if (n === 0) continue;
    const layersOf = (program: number): number[] => (kernel.tables.programs.get(`${program}`)?.slots.split(' ') ?? []).map((slot) => kernel.tables.slots.get(slot)?.layer[column] ?? -1);
    const entries = [...kernel.tables.policy.values()].filter((e) => layersOf(n).includes(e.policy)).map((e) => {
      const peer = e.peer === 0 ? '*' : kernel.tables.identities.get(`${e.peer}`)?.digest ?? 'DANGLING';
      return `${peer} ${e.direction} ${e.prefixlen} ${e.protocol} ${e.port} ${e.action} ${e.tier} ${e.place} ${kernel.tables.rules.get(`${e.rule}`)?.grace ?? 'DANGLING'}`;
    });
    seen[`program ${row.rd} ${row.address}`] = layersOf(n).includes(-1) ? 'DANGLING' : entries.sort().join('; ');
    const shadow = row.shadow[column];
    if (shadow !== 0) seen[`shadow ${row.rd} ${row.address}`] = `${kernel.tables.policies.get(`${shadow}`)?.digest ?? 'DANGLING'} ${[...kernel.tables.policy.values()].filter((e) => layersOf(shadow).includes(e.policy)).length}`;
  }
  return seen;
}

const base = [node(1), node(2), net1, net2];
const states: Record<string, AnyDocument[]> = {
  nothing: [...base],
  'one endpoint': [...base, web],
  'three endpoints on two nodes': [...base, web, db, api],
  'a policy between them': [...base, web, db, api, onlyApi],
  'the policy is another': [...base, web, db, api, { ...onlyApi, version: 2, spec: { ...onlyApi.spec, ingress: [{ action: 'Deny', ports: [{ protocol: 'TCP', port: 80 }] }] } }],
  'its port is another': [...base, web, db, api, policy(201, { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5433 }] }] })],
  'it keeps connections': [...base, web, db, api, { ...onlyApi, spec: { ...onlyApi.spec, liveConnections: 'keep' } }],
  'it drains them': [...base, web, db, api, { ...onlyApi, spec: { ...onlyApi.spec, liveConnections: 'drain', drainSeconds: 5 } }],
  'two policies': [...base, web, db, api, onlyApi, noWeb],
  'equal addresses in two environments': [...base, web, db, api, onlyApi, twin],
  'the policy is gone': [...base, web, db, api, twin],
  'an endpoint is gone': [...base, db, api, twin, onlyApi],
};
const names = Object.keys(states);
const programs = new Map(names.map((name) => [name, programOf(states[name] ?? [])]));
/** Endpoints with shadows: the program of another, one that nobody runs here, or none. */
function shadowed(name: string, shadows: readonly (string | undefined)[], more = ''): void {
  const program = programs.get(name) as NodeProgram;
  const all = new Map([...programs.get(more)?.programs ?? [], ...program.programs]);
  const layers = new Map([...programs.get(more)?.layers ?? [], ...program.layers]);
  programs.set(`${name}, with shadows ${shadows.join(' ')}`, { ...program, programs: all, layers, endpoints: program.endpoints.map((e, i) => ({ ...e, shadow: shadows[i] })) });
}
const [oneRuns = '', otherRuns = ''] = programs.get('a policy between them')?.programs.keys() ?? [];
const [byTwo = ''] = programs.get('two policies')?.programs.keys() ?? [];
shadowed('a policy between them', [otherRuns, undefined]);
shadowed('a policy between them', [undefined, oneRuns]);
shadowed('a policy between them', [byTwo, byTwo], 'two policies');
const walked = [...programs.keys()];
const programNamed = (name: string): NodeProgram => programs.get(name) as NodeProgram;

function walkTo(path: readonly string[]) {
  let kernel: ReturnType<typeof settle> | typeof blank = blank;
  let highest = nothingGiven;
  for (const name of path) {
    const settled = settle(kernel, programNamed(name), highest);
    [kernel, highest] = [settled, settled.highest];
  }
  return kernel;
}

describe('desired', () => {
  it('does not depend on the order or the number of messages, nor on stale deletions', () => {
    for (const name of names) {
      const documents = states[name] ?? [];
      const at = (d: AnyDocument): number => documents.indexOf(d) + 10;
      const roads: [string, (readonly [AnyDocument, number])[]][] = [
        ['reversed', documents.toReversed().map((d) => [d, at(d)])],
        ['doubled', [...documents, ...documents].map((d) => [d, at(d)])],
        ['with stale deletions', [...documents.map((d) => [d, at(d)] as const), ...documents.map((d) => [gone(d), 1] as const)]],
      ];
      for (const [road, messages] of roads) {
        const view = createView();
        for (const [d, sequence] of messages) view.merge(documentSubject(d), sequence, d);
        expect([name, road, desired(view, 'node-1', digest, room)]).toEqual([name, road, programNamed(name)]);
      }
    }
  });

  it('leaves out networks that have no endpoint here, whatever the view still holds', () => {
    const program = programOf([...base, web, endpoint(5, net2, 2, {}, 15)]);
    expect([...program.places.values()].map((p) => p.path)).toEqual(['acme/shop/staging/e1']);
  });

  it('says what it cannot place, and why', () => {
    const lost = endpoint(6, net1, 9, {}, 16);
    const thief = endpoint(7, net1, 1, {}, 11);
    const orphan = { ...endpoint(8, net1, 1, {}, 18), parent: id(555) };
    expect(programOf([...base, web, lost, thief, orphan]).pending.map((p) => [p.path, p.code])).toEqual([
      ['acme/shop/staging/e6', 'node-unknown'], ['acme/shop/staging/e7', 'address-conflict'], ['acme/shop/staging/e8', 'network-unknown'],
    ]);
  });
});

describe('places', () => {
  it('count what an endpoint shows as what it runs: a program goes when nobody does either', () => {
    const places = createPlaces();
    const [one, other] = programNamed('three endpoints on two nodes').endpoints;
    if (!one || !other) throw new Error('two endpoints are expected here');
    const put = (e: LocalEndpoint | undefined, id: string): string[] => {
      places.put(id, e && { place: { ...e }, local: e });
      return [...places.settle().programs];
    };
    put({ ...one, program: 'p', shadow: 's' }, one.id);
    put({ ...other, program: 's', shadow: undefined }, other.id);
    expect(put(undefined, other.id)).toEqual([]);
    expect(put({ ...one, program: 'p', shadow: undefined }, one.id)).toEqual(['s']);
    expect(put(undefined, one.id)).toEqual(['p']);
  });
});

describe('plan', () => {
  it('leads from every state to every other, and then has nothing left to do', () => {
    for (const from of walked) for (const to of walked) {
      const settled = settle(walkTo([from]), programNamed(to));
      const program = programNamed(to);
      expect([from, to, attest(program, devicesOf(program), settled.tables, digest).differences]).toEqual([from, to, []]);
      expect(settle(settled, program).steps).toEqual([]);
    }
  });

  it('ends in the same meaning by every road', () => {
    const roads = [walked, walked.toReversed(), walked.flatMap((n) => [n, n])].map((road) => [...road, 'two policies']);
    const program = programNamed('two policies');
    const digests = roads.map((road) => attest(program, devicesOf(program), walkTo(road).tables, digest).digest);
    expect(new Set(digests).size).toBe(1);
  });

  it('shows packets the old world or the new one after every single step, and nothing that dangles', () => {
    for (const from of walked) for (const to of walked) {
      const start = walkTo([from]);
      const numbered = number(programNamed(to), devicesOf(programNamed(to)), start.tables, nothingGiven);
      const { steps } = plan(numbered.tables, start.tables, start.epoch);
      const [before, after] = [world(start), world(settle(start, programNamed(to)))];
      for (let i = 0; i <= steps.length; i++) {
        const seen = world(run(start.tables, start.epoch, steps, i));
        expect(JSON.stringify(seen)).not.toContain('DANGLING');
        expect([before, after]).toContainEqual(seen);
      }
    }
  });

  it('recovers from being killed after any step', () => {
    for (const from of walked) for (const to of walked) {
      const start = walkTo([from]);
      const program = programNamed(to);
      const numbered = number(program, devicesOf(program), start.tables, nothingGiven);
      const { steps } = plan(numbered.tables, start.tables, start.epoch);
      for (let i = 0; i <= steps.length; i++) {
        const settled = settle(run(start.tables, start.epoch, steps, i), program);
        expect([from, to, i, attest(program, devicesOf(program), settled.tables, digest).differences]).toEqual([from, to, i, []]);
        expect(settle(settled, program).steps).toEqual([]);
      }
    }
  });

  it('writes to no row of a rule that packets may read, whatever becomes of live connections', () => {
    for (const from of walked) for (const to of walked) {
      const start = walkTo([from]);
      const { tables } = settle(start, programNamed(to));
      for (const [number, row] of tables.rules) expect(start.tables.rules.get(number) ?? row).toEqual(row);
    }
  });

  it('changes shadows by one flip, as programs', () => {
    const kernel = walkTo(['a policy between them']);
    const { steps } = settle(kernel, programNamed(`a policy between them, with shadows ${otherRuns} `));
    expect(steps.map((s) => (s.do === 'put' || s.do === 'remove' ? `${s.do} ${s.table}` : s.do))).toEqual(['put endpoints', 'flip', 'put endpoints']);
  });

  it('keeps what is only shown where room is made for another world', () => {
    const shows = `a policy between them, with shadows ${byTwo} ${byTwo}`;
    const { tables } = walkTo([shows]);
    const { policies } = shrunk(tables, tables);
    const layers = [...tables.slots.values()].flatMap((row) => tables.policies.get(`${row.layer[0]}`)?.digest ?? []);
    expect([...policies.values()].map((row) => row.digest).sort()).toEqual([...new Set([oneRuns, otherRuns, byTwo, ...layers])].sort());
  });

  it('forgets the connections of an address that goes, after nobody can reach it any more', () => {
    const { steps } = settle(walkTo(['three endpoints on two nodes']), programNamed('an endpoint is gone'));
    const removal = steps.findIndex((s) => s.do === 'remove' && s.table === 'addresses');
    const forgetting = steps.findIndex((s) => s.do === 'forget' && s.addresses.some((a) => a.address === '10.0.0.11' && a.rd === 101));
    expect(removal).toBeGreaterThan(0);
    expect(forgetting).toBeGreaterThan(removal);
  });

  it('forgets the former life of a new address first, where a former process may have died halfway', () => {
    const numbered = number(programNamed('one endpoint'), devicesOf(programNamed('one endpoint')), emptyTables, nothingGiven);
    expect(plan(numbered.tables, emptyTables, 0, { forgetNew: true }).steps[0]).toEqual({ do: 'forget', addresses: [{ rd: 101, address: '10.0.0.11' }] });
  });

  it('takes out entries that somebody else put in, and has live flows judged again', () => {
    const settled = walkTo(['a policy between them']);
    const program = [...settled.tables.policy.values()][0]?.policy as number;
    const intruders = [
      { policy: program, peer: 0, direction: 'ingress', prefixlen: 96, protocol: 6, port: 22 }, { policy: program, peer: 0, direction: 'ingress', prefixlen: 73, protocol: 0, port: 0 },
      { policy: program, peer: 0, direction: 3, prefixlen: 72, protocol: 0, port: 0 }, { policy: 0, peer: 0, direction: 0, prefixlen: 0, protocol: 0, port: 0 },
    ] as const;
    for (const key of intruders) {
      const intruder = { ...key, action: 'Allow', tier: 0, precedence: 99, place: 0, rule: 1 } as const;
      const tampered = { ...settled, tables: { ...settled.tables, policy: new Map([...settled.tables.policy, [keyOf.policy(intruder), intruder]]) } };
      const wanted = programNamed('a policy between them');
      expect(attest(wanted, devicesOf(wanted), tampered.tables, digest).differences).toContain(`unexpected entry ${keyOf.policy(intruder)}`);
      const repair = settle(tampered, wanted);
      expect(repair.steps.map((s) => s.do)).toEqual(['remove', 'flip']);
      expect(attest(wanted, devicesOf(wanted), repair.tables, digest).differences).toEqual([]);
    }
  });
});

describe('attest', () => {
  it('never takes an entry with a strange key for the proper one that it resembles', () => {
    const program = programNamed('two policies');
    const { tables } = walkTo(['two policies']);
    for (const [key, row] of tables.policy) for (const strange of [{ prefixlen: row.prefixlen - 1 }, { prefixlen: row.prefixlen + 1 }, { direction: 3 }]) {
      const other = { ...row, ...strange };
      const tampered = { ...tables, policy: new Map([...[...tables.policy].filter(([one]) => one !== key), [keyOf.policy(other), other]]) };
      const { differences } = attest(program, devicesOf(program), tampered, digest);
      expect(differences).toContain(`unexpected entry ${keyOf.policy(other)}`);
      expect(differences.join()).toMatch(/missing slot/);
    }
  });

  it('says what an endpoint shows only where it shows something, and misses a shadow that is not there', () => {
    const name = `a policy between them, with shadows ${otherRuns} `;
    const [plain, program] = [programNamed('a policy between them'), programNamed(name)];
    const { tables } = walkTo(['a policy between them']);
    expect(attest(plain, devicesOf(plain), tables, digest).differences).toEqual([]);
    const { differences } = attest(program, devicesOf(program), tables, digest);
    expect(differences).toEqual([expect.stringMatching(new RegExp(`^missing endpoint .* runs ${oneRuns}, and shows what ${otherRuns} would do$`)), expect.stringMatching(/^unexpected endpoint .* runs [0-9a-f]{64}$/)]);
    expect(attest(program, devicesOf(program), walkTo([name]).tables, digest).digest).not.toBe(attest(plain, devicesOf(plain), tables, digest).digest);
  });

  it('sees each kind of tampering', () => {
    const program = programNamed('two policies');
    const { tables } = walkTo(['two policies']);
    const first = <R>(rows: ReadonlyMap<string, R>): [string, R] => [...rows][0] as [string, R];
    const [addressKey, address] = first(tables.addresses);
    const [policyKey, entry] = first(tables.policy);
    const [identityKey, identity] = first(tables.identities);
    const [ruleRowKey, rule] = first(tables.rules);
    const wanted = wantedOf(number(program, devicesOf(program), tables, nothingGiven));
    const tamperings: Tables[] = [
      { ...tables, slots: new Map([...tables.slots].map(([key, row], i, all) => [key, { ...row, layer: all.at(i - 1)?.[1].layer ?? [0, 0] }])) },
      { ...tables, slots: new Map([...tables.slots].slice(1)) },
      { ...tables, programs: new Map([...tables.programs].map(([key, row]) => [key, { ...row, slots: row.slots.split(' ').slice(1).join(' ') }])) },
      { ...tables, programs: new Map([...tables.programs].slice(1)) },
      { ...tables, addresses: new Map([...tables.addresses, [addressKey, { ...address, identity: [address.identity[0], 77] }]]) },
      { ...tables, addresses: new Map([...tables.addresses, ['5|10.0.0.99', { ...address, rd: 5, address: '10.0.0.99' }]]) },
      { ...tables, addresses: new Map([...tables.addresses, [addressKey, { ...address, network: 9 }]]) },
      { ...tables, policy: new Map([...tables.policy].filter(([key]) => key !== policyKey)) },
      { ...tables, policy: new Map([...tables.policy, [policyKey, { ...entry, action: entry.action === 'Allow' ? 'Deny' : 'Allow' }]]) },
      { ...tables, identities: new Map([...tables.identities, [identityKey, { ...identity, digest: '00' }]]) },
      { ...tables, rules: new Map([...tables.rules, [ruleRowKey, { ...rule, policyId: id(999) }]]) },
      { ...tables, rules: new Map([...tables.rules, [ruleRowKey, { ...rule, grace: 'endless' }]]) },
      { ...tables, endpoints: new Map([...tables.endpoints].slice(1)) },
      { ...tables, policies: new Map([...tables.policies].map(([key, row], i, all) => [key, { ...row, digest: all.at(i - 1)?.[1].digest ?? '' }])) },
    ];
    for (const [i, tampered] of tamperings.entries()) expect([i, attest(program, devicesOf(program), tampered, digest, wanted).differences.length > 0]).toEqual([i, true]);
  });
});
