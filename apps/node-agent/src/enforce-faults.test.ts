import { describe, expect, it } from '@jest/globals';
import type { AnyDocument } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { type FakeKernel, fakeKernel } from '@osier/dataplane/fake';
import { readBackFake, watchFake } from '@osier/dataplane/fake/witness';
import { KernelError } from '@osier/dataplane/kernel';
import { fromMapped16, mapped16 } from '@osier/domain/net/ipv4';
import { attest } from '@osier/domain/reconcile/attest';
import { tableNames } from '@osier/domain/reconcile/tables';
import { createView, type View } from '@osier/domain/reconcile/view';
import { deleted, make, node as here, production, staging } from '../test/world.ts';
import { createEnforcer, type Enforced, type Enforcer, sha256 } from './enforce.ts';
import { createDevices } from './kernel/devices.ts';
import { readTables } from './kernel/records.ts';
import { createObserver } from './kernel/witness.ts';

const timings = { run: <T>(_: string, work: () => T): T => work(), tell: () => undefined };
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
type Next = (below: number) => number;

/** A node whose every call to the kernel, and every look of the witness, may fail. */
class Node {
  readonly kernel: FakeKernel = fakeKernel();
  readonly enforcer: Enforcer;
  view: View = createView();
  /** Calls until one fails; undefined: none does. */
  failIn: number | undefined;
  narrow = 0;
  #revision = 0;

  constructor() {
    const { kernel } = this;
    const failing = <O extends object>(of: O, names: readonly (keyof O & string)[]): void => {
      for (const name of names) {
        const call = (of[name] as (...given: unknown[]) => unknown).bind(of);
        (of as Record<string, unknown>)[name] = (...given: unknown[]): unknown => (this.#mayFail(name), call(...given));
      }
    };
    const observe = createObserver();
    const watch = watchFake(kernel);
    const quiet = <T>(look: () => T): T => {
      const left = this.failIn;
      this.failIn = undefined;
      const seen = look();
      this.failIn = left;
      return seen;
    };
    for (const name of tableNames) failing(kernel[name] as unknown as { list(): unknown; put(): void; remove(): void }, ['list', 'put', 'remove']);
    failing(kernel, ['flip', 'forget', 'configure', 'config']);
    failing(kernel.links, ['list', 'prepareVeth', 'activateVeth', 'removeVeth', 'ensureVxlan']);
    this.enforcer = createEnforcer({
      kernel, node: here, devices: createDevices(kernel, { netnsDir: '/run/netns', underlayMtu: 1500, underlayDevice: undefined, vxlanPort: 4789 }),
      witness: {
        look: () => (this.#mayFail('look'), quiet(() => observe(watch.readBack()))),
        devicesChanged: () => quiet(() => watch.changed()),
        lookAtTables: () => (this.#mayFail('look'), this.narrow++, quiet(() => observe.tables(readBackFake(kernel)))),
        inside: () => [], connections: (rd, address) => [...kernel.tracked].filter((flow) => flow.startsWith(`${rd} `) && flow.includes(hex(mapped16(address)))).length,
      },
    });
  }
  #mayFail(what: string): void {
    if (this.failIn === undefined || this.failIn-- > 0) return;
    this.failIn = undefined;
    throw new KernelError('kernel-call-failed', 'for a test', what, '');
  }
  enforce = (thorough: boolean): Enforced => this.enforcer.enforce(this.view, ++this.#revision, { thorough, timings });
}

/** mulberry32. */
function random(seed: number): Next {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
const nets = [make.network(101, staging), make.network(102, production)] as const;
function drawn(next: Next): AnyDocument {
  const tags = (): Record<string, string> => ({ app: ['web', 'db', 'api'][next(3)] as string, ...(next(2) ? { zone: 'a' } : {}) });
  const made = (): AnyDocument => {
    switch (next(7)) {
      case 0: {
        const n = 1 + next(2);
        return { ...make.node(n), spec: { tunnelEndpoint: `192.0.2.${n + 10 * next(2)}` } };
      }
      case 1: return nets[next(2)] as AnyDocument;
      case 2: case 3: {
        const n = next(5);
        const peers = next(3) === 0 ? {} : { from: [{ endpoints: { matchTags: tags() } }] };
        return make.policy(301 + n, n % 2 === 0 ? staging : production, {
          appliesTo: next(2) ? { matchTags: tags() } : {}, priority: 1 + next(3),
          ingress: [{ action: next(2) ? 'Allow' : 'Deny', ...peers, ...(next(2) ? { ports: [{ protocol: 'TCP', port: 80 + next(2) }] } : {}) }],
        });
      }
      default: {
        const within = next(2);
        const e = make.endpoint(11 + next(5) + 100 * within, nets[within] as (typeof nets)[0], 1 + next(2), tags());
        return next(3) === 0 ? { ...e, status: { ...e.status, address: `10.0.0.${11 + next(6)}` } } : e;
      }
    }
  };
  const document = made();
  return next(4) === 0 ? deleted(document) : document;
}

/** Takes a row or all, changes one, adds one, or turns the world. */
function harm(kernel: FakeKernel, next: Next): void {
  const name = tableNames[next(tableNames.length)] as (typeof tableNames)[number];
  const target = kernel[name] as unknown as { list(): [unknown, unknown][]; put(rows: unknown): void; remove(keys: unknown[]): void };
  const rows = target.list();
  const [row, other] = [rows[next(Math.max(1, rows.length))], rows[next(Math.max(1, rows.length))]];
  if (row === undefined || other === undefined) return;
  switch (next(5)) {
    case 0: return target.remove([row[0]]);
    case 1: return target.put([[row[0], other[1]]]);
    case 2: return void kernel.flip(kernel.revisions()[kernel.config().epoch & 1] ?? 0n);
    case 3: return target.remove(rows.map(([key]) => key));
    default: {
      const key = typeof row[0] === 'number' ? row[0] + 1 + next(3)
        : name === 'policy' ? { ...(row[0] as object), policy: (row[0] as { policy: number }).policy + next(2), peer: next(4), ...(next(2) ? { prefixlen: [0, 40, 73, 88][next(4)] } : {}) } : { ...(row[0] as object), rd: 101 + next(2) };
      target.put([[key, row[1]]]);
    }
  }
}

function fromNothing(documents: ReadonlyMap<string, AnyDocument>): Enforced {
  const fresh = new Node();
  [...documents].forEach(([subject, document], at) => fresh.view.merge(subject, at + 1, document));
  return fresh.enforce(true);
}

describe('a kernel that fails, and that somebody else writes to', () => {
  it.each(['failures', 'harm', 'both'] as const)('is what it should be wherever a receipt says so: %s', (what) => {
    const count = { clean: 0, narrow: 0 };
    const seeds = Number(process.env['OSIER_SEEDS'] ?? 12);
    for (let seed = 1; seed <= seeds; seed++) {
      const next = random(seed);
      const node = new Node();
      const { kernel } = node;
      const documents = new Map<string, AnyDocument>();
      let sequence = 0;
      let last: Enforced | undefined;
      const attempt = <T>(work: () => T): T | undefined => {
        try {
          return work();
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          return undefined;
        } finally {
          node.failIn = undefined;
        }
      };
      /** What is said to be well is so: by another look at everything, and as on a node that has never done anything else. */
      const check = (found: Enforced, step: number): void => {
        const expected = fromNothing(documents);
        const { differences, digest } = attest(found.program, found.ifindexes, readTables(kernel), sha256);
        const left = [...kernel.tracked].filter((flow) => {
          const [rd, address = ''] = flow.split(' ');
          return !found.program.places.has(`${rd}|${fromMapped16(Buffer.from(address, 'hex'))}`);
        });
        expect({ seed, step, differences, digest, told: found.attestation.digest, endpoints: found.program.endpoints, places: new Map(found.program.places), left })
          .toEqual({ seed, step, differences: [], digest: expected.attestation.digest, told: expected.attestation.digest, endpoints: expected.program.endpoints, places: new Map(expected.program.places), left: [] });
        if (found.program.tunnelEndpoint !== undefined) expect(kernel.config().underlay).toEqual(mapped16(found.program.tunnelEndpoint));
        count.clean++;
      };
      for (let step = 0; step < 60; step++) {
        if (next(30) === 0) {
          node.view = createView();
          for (const [subject, document] of documents) node.view.merge(subject, ++sequence, document);
        }
        for (let n = next(4); n >= 0; n--) {
          const document = drawn(next);
          documents.set(documentSubject(document), document);
          node.view.merge(documentSubject(document), ++sequence, document);
        }
        for (const [key] of kernel.addresses.list()) if (next(4) === 0) kernel.tracked.add(`${key.rd} ${hex(key.address)} ${hex(mapped16('10.0.0.99'))}`);
        if (what !== 'failures' && next(3) === 0) harm(kernel, next);
        if (last && next(4) === 0) {
          const before = last;
          if (what !== 'harm' && next(2)) node.failIn = next(12);
          attempt(() => node.enforcer.inspect(before));
        }
        if (what !== 'harm' && next(3) === 0) node.failIn = next(next(2) ? 12 : 60);
        // As the agent: after a failure, over everything.
        const found = attempt(() => node.enforce(last === undefined || next(20) === 0));
        last = found;
        if (found === undefined) continue;
        const made = found.pending.every((p) => p.code !== 'kernel-call-failed');
        if (what === 'failures' && made) expect({ seed, step, differences: found.differences }).toEqual({ seed, step, differences: [] });
        if (found.differences.length === 0 && made) check(found, step);
        if (found.differences.length === 0) continue;
        last = node.enforce(true);
        expect({ seed, step, differences: last.differences }).toEqual({ seed, step, differences: [] });
        check(last, step);
      }
      count.narrow += node.narrow;
    }
    expect(count.clean).toBeGreaterThan(seeds * 20);
    expect(count.narrow).toBeGreaterThan(seeds * 3);
  });
});
