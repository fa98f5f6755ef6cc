import { describe, expect, it } from '@jest/globals';
import type { AnyDocument } from '@osier/contracts/document';
import { type FakeKernel, fakeKernel } from '@osier/dataplane/fake';
import { readBackFake, watchFake } from '@osier/dataplane/fake/witness';
import { KernelError } from '@osier/dataplane/kernel';
import { Action, Grace } from '@osier/dataplane/records';
import { createView, type View } from '@osier/domain/reconcile/view';
import { deleted, make, node as here, production, staging } from '../test/world.ts';
import { createEnforcer, type Enforced, type Enforcer } from './enforce.ts';
import { createDevices, hostNameOf } from './kernel/devices.ts';
import { readTables } from './kernel/records.ts';
import { createObserver } from './kernel/witness.ts';

const timings = { run: <T>(_: string, work: () => T): T => work(), tell: () => undefined };

const nameOf = ({ kind, id }: AnyDocument): string => `${kind} ${id}`;

class Node {
  readonly kernel: FakeKernel;
  readonly enforcer: Enforcer;
  view: View = createView();
  looks = { all: 0, tables: 0 };
  #sequence = 0;

  constructor(kernel: FakeKernel = fakeKernel()) {
    this.kernel = kernel;
    const observe = createObserver();
    const watch = watchFake(kernel);
    this.enforcer = createEnforcer({
      kernel: this.kernel, node: here, devices: createDevices(this.kernel, { netnsDir: '/run/netns', underlayMtu: 1500, underlayDevice: undefined, vxlanPort: 4789 }),
      witness: {
        look: () => (this.looks.all++, observe(watch.readBack())), devicesChanged: watch.changed, lookAtTables: () => (this.looks.tables++, observe.tables(readBackFake(this.kernel))),
        inside: () => [], connections: () => 0,
      },
    });
  }
  tell(...documents: readonly AnyDocument[]): void {
    for (const document of documents) this.view.merge(nameOf(document), ++this.#sequence, document);
  }
  enforce = (thorough = false): Enforced => this.enforcer.enforce(this.view, ++this.#sequence, { thorough, timings });
}
/** mulberry32. */
function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
/** Documents of a few things, which come, change and go; two environments have the same addresses. */
function roadOf(seed: number, steps: number): AnyDocument[] {
  const next = random(seed);
  const nets = [make.network(101, staging), make.network(102, production)] as const;
  const tags = (): Record<string, string> => ({ app: ['web', 'db', 'api'][next(3)] as string, ...(next(2) ? { zone: 'a' } : {}) });
  const drawn = (): AnyDocument => {
    switch (next(6)) {
      case 0: return make.node(1 + next(2));
      case 1: return nets[next(2)] as AnyDocument;
      case 2: {
        const peers = next(3) === 0 ? {} : { from: [{ endpoints: { matchTags: tags() } }] };
        const n = next(4);
        return make.policy(301 + n, n % 2 === 0 ? staging : production, {
          appliesTo: next(2) ? { matchTags: tags() } : {}, ...[{ priority: 1 }, { priority: 2, liveConnections: 'keep' as const }, { priority: 3, liveConnections: 'drain' as const }][next(3)],
          ingress: [{ action: next(2) ? 'Allow' : 'Deny', ...peers, ...(next(2) ? { ports: [{ protocol: 'TCP', port: 80 + next(2) }] } : {}) }],
        });
      }
      default: {
        const within = next(2);
        return make.endpoint(11 + next(5) + 100 * within, nets[within] as (typeof nets)[0], 1 + next(2), tags());
      }
    }
  };
  return Array.from({ length: steps }, () => (next(4) === 0 ? deleted(drawn()) : drawn()));
}
/** What a node does that has never done anything else. */
const fromNothing = (view: View): Enforced => {
  const node = new Node();
  node.view = view;
  return node.enforce(true);
};
const viewOf = (documents: readonly AnyDocument[]): View => {
  const view = createView();
  documents.forEach((document, at) => view.merge(nameOf(document), at + 1, document));
  return view;
};

const net = make.network(101, staging);
const [web, db, api] = [make.endpoint(11, net, 1, { app: 'web' }), make.endpoint(12, net, 1, { app: 'db' }), make.endpoint(13, net, 2, { app: 'api' })];
const onlyApi = make.policy(301, staging, { appliesTo: { matchTags: { app: 'db' } }, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }] });
const began = (): Node => {
  const node = new Node();
  node.tell(make.node(1), make.node(2), net, web, db, api);
  expect(node.enforce(true).differences).toEqual([]);
  return node;
};

describe('a kernel that is brought up to date change by change', () => {
  it('is after every change where one is that was never anything else', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const node = new Node();
      const road = roadOf(seed, 60);
      road.forEach((document, step) => {
        node.tell(document);
        const { differences, attestation, program } = node.enforce(step === 0);
        const expected = fromNothing(viewOf(road.slice(0, step + 1)));
        expect({ seed, step, differences, digest: attestation.digest, counts: attestation.counts, endpoints: program.endpoints.length })
          .toEqual({ seed, step, differences: [], digest: expected.attestation.digest, counts: expected.attestation.counts, endpoints: expected.program.endpoints.length });
      });
      expect(node.looks.tables).toBeGreaterThan(0);
    }
  });

  it('is read back whole after each: what somebody else did to it meanwhile is seen, wherever it is', () => {
    const harms: readonly ((kernel: FakeKernel) => void)[] = [
      (kernel) => kernel.addresses.remove(kernel.addresses.list().map(([key]) => key).filter(({ address }) => address.at(-1) === 11)),
      (kernel) => kernel.addresses.put(kernel.addresses.list().filter(([{ address }]) => address.at(-1) === 11).map(([key, record]) => [key, { ...record, network: 7 }])),
      (kernel) => kernel.policy.put(kernel.policy.list().map(([key, entry]) => [key, { ...entry, precedence: 9 }])),
      (kernel) => kernel.rules.remove(kernel.rules.list().map(([n]) => n)),
      (kernel) => kernel.rules.put(kernel.rules.list().map(([n, row]) => [n, { ...row, grace: 1 }])),
    ];
    for (const harm of harms) {
      const node = began();
      harm(node.kernel);
      node.tell(onlyApi);
      expect(node.enforce().differences).not.toEqual([]);
      expect(node.enforce(true).differences).toEqual([]);
    }
  });

  it('has no entry that hides behind one of ours, whatever the length of its key and whichever is read first', () => {
    const others = [{}, { policy: 0 }, { policy: 0, peer: 0 }, { direction: 3 }, { direction: 0 }, { protocol: 7, port: 9 }];
    let hid = 0;
    for (const prefixlen of [0, 7, 32, 40, 64, 71, 72, 73, 79, 80, 81, 88, 95, 96]) for (const later of [false, true]) for (const other of others) for (const goesOn of [true, false]) {
      const about = { prefixlen, later, other, goesOn };
      const node = began();
      const { policy } = node.kernel;
      const rows = policy.list();
      const [first] = rows;
      if (first === undefined) throw new Error('there is no entry');
      if (!later) policy.remove(rows.map(([key]) => key));
      policy.put([[{ ...first[0], ...other, prefixlen } as (typeof first)[0], { ...first[1], precedence: 0xffff_fffe }]]);
      if (!later) policy.put(rows);
      const held = policy.list().length;
      // One entry for the trie: either has taken the other's place.
      if (held === rows.length) continue;
      hid++;
      expect({ ...about, read: createObserver()(readBackFake(node.kernel)).tables.policy.size, written: readTables(node.kernel).policy.size }).toEqual({ ...about, read: held, written: held });
      const one = goesOn ? node : new Node(node.kernel);
      if (goesOn) {
        one.tell(onlyApi);
        expect({ ...about, found: one.enforce().differences.join() }).toEqual({ ...about, found: expect.stringMatching(/unexpected entry/) });
      } else one.view = viewOf([make.node(1), make.node(2), net, web, db, api]);
      expect({ ...about, found: one.enforce(true).differences }).toEqual({ ...about, found: [] });
      expect({ ...about, left: policy.list().filter(([, entry]) => entry.precedence === 0xffff_fffe) }).toEqual({ ...about, left: [] });
      if (!goesOn) expect({ ...about, left: policy.list() }).toEqual({ ...about, left: expect.arrayContaining(rows) });
    }
    expect(hid).toBeGreaterThan(250);
  });

  it('is said to enforce a rule only where the devices are what they were, too', () => {
    const harms: readonly ((kernel: FakeKernel, host: string) => void)[] = [
      ({ links }, host) => links.strip(host),
      ({ links }, host) => links.removeVeth(host),
      ({ links }, host) => links.devices.set(host, { ...links.devices.get(host) as NonNullable<ReturnType<typeof links.devices.get>>, up: false }),
    ];
    for (const harm of harms) {
      const node = began();
      harm(node.kernel, hostNameOf(db.id));
      node.tell(onlyApi);
      expect(node.enforce().differences.join()).toContain(hostNameOf(db.id));
      expect(node.enforce(true).differences).toEqual([]);
      const { all } = node.looks;
      node.tell(deleted(onlyApi));
      expect(node.enforce()).toMatchObject({ differences: [], steps: expect.any(Number) });
      expect(node.looks.all).toBe(all);
    }
  });

  it('sees another option for live connections by another rule, which comes in by a flip, and not in a row that packets read', () => {
    const node = began();
    node.tell(onlyApi);
    let { epoch: world } = node.enforce();
    for (const [live, grace] of [[{ liveConnections: 'keep' }, Grace.endless], [{ liveConnections: 'drain', drainSeconds: 5 }, 5_000], [{ liveConnections: 'drain' }, 60_000], [{}, Grace.none]] as const) {
      const before = new Map(node.kernel.rules.list());
      node.tell({ ...onlyApi, spec: { ...onlyApi.spec, ...live } });
      const { differences, epoch } = node.enforce();
      expect({ live, differences }).toEqual({ live, differences: [] });
      const rows = node.kernel.rules.list();
      expect(rows.filter(([, { action }]) => action === Action.deny).map(([, row]) => row.grace)).toEqual([grace]);
      expect(rows.filter(([, { action }]) => action === Action.allow).every(([, row]) => row.grace === Grace.none)).toBe(true);
      for (const [number, row] of rows) if (before.has(number)) expect(row).toEqual(before.get(number));
      expect(epoch).toBe(++world);
    }
  });

  it('is not believed to hold what was written', () => {
    const node = began();
    const put = node.kernel.policy.put.bind(node.kernel.policy);
    node.kernel.policy.put = (entries) => put(entries.slice(1));
    node.tell(onlyApi);
    expect(node.enforce().differences.join()).toMatch(/missing slot .*unexpected slot/);
    node.kernel.policy.put = put;
    expect(node.enforce(true).differences).toEqual([]);
  });

  it('goes on from what is there after a failure', () => {
    for (const call of ['put', 'flip', 'remove'] as const) {
      const node = began();
      node.tell(onlyApi, make.endpoint(12, net, 1, { app: 'web' }), deleted(web));
      node.kernel.failNext(call, new KernelError('kernel-call-failed', 'for a test', call, ''));
      expect(() => node.enforce()).toThrow(KernelError);
      node.tell(deleted(onlyApi));
      expect(node.enforce().differences).toEqual([]);
      expect(node.kernel.rules.list()).toHaveLength(2);
    }
  });

  it('takes another session for what it says, not for more of the one before', () => {
    const node = began();
    node.tell(onlyApi);
    node.enforce();
    node.view = viewOf([make.node(1), net, db]);
    const { differences, attestation } = node.enforce();
    expect([differences, attestation.counts.addresses]).toEqual([[], 1]);
    expect(attestation.digest).toBe(fromNothing(node.view).attestation.digest);
  });

  it('writes nothing, and flips no world, for a label that no rule reads', () => {
    const node = began();
    node.tell(onlyApi);
    const { epoch } = node.enforce();
    node.tell({ ...db, version: 2, spec: { ...db.spec, tags: { app: 'db', release: '2' } } });
    expect(node.enforce()).toMatchObject({ steps: 0, epoch, differences: [] });
  });
});
