import type { Bus } from '@osier/bus/bus';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import { helloSchema, type Interest, interestSubject, joinConsumer, nodeConsumer } from '@osier/contracts/coordination';
import type { AnyDocument, Document } from '@osier/contracts/document';
import { barrierSubject, documentSubject, observationSubject } from '@osier/contracts/subjects';
import { type FlowBatch, type Observation, type Receipt, receiptSchema } from '@osier/contracts/telemetry';
import { type FakeKernel, fakeKernel, FakeMemory } from '@osier/dataplane/fake';
import { readBackFake } from '@osier/dataplane/fake/witness';
import { KernelError } from '@osier/dataplane/kernel';
import type { Limits } from '@osier/dataplane/kernel';
import { fromMapped16, mapped16 } from '@osier/domain/net/ipv4';
import { silent } from '@osier/telemetry/log';
import { type Agent, startAgent } from '../src/agent.ts';
import { hostNameOf } from '../src/kernel/devices.ts';
import { hexText } from '../src/kernel/records.ts';
import { createObserver } from '../src/kernel/witness.ts';

/** For tests: topology's side of the conversation with one agent over any bus; and a whole world in memory, with a kernel that outlives the agent. */
const bytes = (body: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(body));
const text = (data: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(data));
export const node = 'node-1';
const nodeId = '00000000-0000-7000-8000-000000000901';
const id = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const common = { createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z', intent: 'i', version: 1, phase: 'active' as const };
const platform = { domain: '_', project: '_', environment: '_' };
export const staging = { domain: 'acme', project: 'shop', environment: 'staging' };
export const production = { ...staging, environment: 'production' };

export const make = {
  node: (n: number): Document<'node'> => ({ ...common, ...platform, kind: 'node', id: id(900 + n), name: `node-${n}`, parent: '_', spec: { tunnelEndpoint: `192.0.2.${n}` }, status: {} }),
  network: (n: number, scope: typeof staging): Document<'network'> => ({
    ...common, ...scope, kind: 'network', id: id(n), name: `net-${n}`, parent: '_', spec: { subnets: ['10.0.0.0/24'] }, status: { routingDomain: id(700 + n), vni: n, number: n },
  }),
  endpoint: (n: number, net: Document<'network'>, on: number, tags: Record<string, string>): Document<'endpoint'> => ({
    ...common, domain: net.domain, project: net.project, environment: net.environment, kind: 'endpoint', id: id(n), name: `e${n}`, parent: net.id,
    spec: { network: net.name, node: `node-${on}`, tags, attachment: { containerId: `c${n}`, interface: 'eth0' } },
    status: { address: `10.0.0.${n % 100}`, mac: `02:00:00:00:00:${String(n % 100).padStart(2, '0')}`, lease: id(800 + n) },
  }),
  policy: (n: number, scope: typeof staging, spec: Partial<Document<'policy'>['spec']>): Document<'policy'> => ({
    ...common, ...scope, kind: 'policy', id: id(n), name: `p${n}`, parent: '_', spec: { appliesTo: {}, priority: 1000, ...spec }, status: {},
  }),
};
export const deleted = <D extends AnyDocument>(d: D): D => ({ ...d, version: d.version + 1, phase: 'deleted' as const });

const quick = { retry: 20, inspect: 20, collect: 50, report: 20 };
/** Every subject that a node hears of anyway. */
const always = ['osier.state._._._.node.>', barrierSubject, interestSubject(nodeId)];

/** What topology does for one node, and what a test reads of the streams. */
export class Topology {
  readonly bus: Bus;
  filters: string[] = ['osier.state.acme.>'];
  /** False: topology is away, nobody answers. */
  answering = true;
  #generation = 0;
  #session = '';
  #count = 0;
  #reading = new AbortController();

  constructor(bus: Bus) {
    this.bus = bus;
  }
  async begin(): Promise<void> {
    await this.bus.ensureStreams();
    void this.#answer();
  }
  async end(): Promise<void> {
    this.#reading.abort();
    await this.bus.close();
  }

  async put(document: AnyDocument, headers: Record<string, string> = {}): Promise<number> {
    return (await this.bus.publish(documentSubject(document), bytes(document), { headers })).sequence;
  }
  async barrier(): Promise<number> {
    return (await this.bus.publish(barrierSubject, bytes({ kind: 'barrier', at: new Date().toISOString(), count: ++this.#count, incarnation: 'first' }))).sequence;
  }
  /** Puts documents, then a barrier, and waits for a receipt that covers it. */
  async settle(...documents: AnyDocument[]): Promise<Receipt> {
    for (const document of documents) await this.put(document);
    return this.receipt(await this.barrier());
  }
  async receipt(revision: number, accept: (receipt: Receipt) => boolean = () => true): Promise<Receipt> {
    return eventually(async () => {
      const last = await this.bus.last('RECEIPTS', `osier.receipt.${node}`);
      const receipt = last && receiptSchema.parse(text(last.data));
      return receipt && receipt.revision >= revision && accept(receipt) ? receipt : undefined;
    });
  }
  async all<T>(stream: string, filter: string): Promise<T[]> {
    const found: T[] = [];
    for await (const message of this.bus.read({ stream, filters: [filter], from: 'all' })) found.push(text(message.data) as T);
    return found;
  }
  observations = (topic: string): Promise<Observation[]> => this.all('OBSERVATIONS', observationSubject(node, topic));
  flows = async (): Promise<FlowBatch[]> => this.all('FLOWS', 'osier.flow.>');

  /** As topology does when an endpoint in a network new to the node appears. */
  async grow(fresh: string[], o: { withJoin: boolean } = { withJoin: true }): Promise<void> {
    this.filters = [...this.filters, ...fresh];
    await this.bus.ensureConsumer(nodeConsumer(node), { stream: 'STATE', filters: [...always, ...this.filters], from: 'last-per-subject' });
    await this.bus.deleteConsumer('STATE', joinConsumer(node));
    if (o.withJoin) await this.openJoin(fresh);
    await this.#announce({ generation: this.#generation + 1, filters: fresh });
  }
  openJoin = (fresh: string[]): Promise<void> =>
    this.bus.ensureConsumer(joinConsumer(node), { stream: 'STATE', filters: [...fresh, interestSubject(nodeId)], from: 'last-per-subject' });

  async #answer(): Promise<void> {
    const hellos = this.bus.read({ stream: 'OBSERVATIONS', filters: [observationSubject(node, 'hello')], from: 'all', follow: true, signal: this.#reading.signal });
    try {
      for await (const message of hellos) {
        const { session } = helloSchema.parse(text(message.data));
        if (!this.answering || session === this.#session) continue;
        this.#session = session;
        await this.bus.deleteConsumer('STATE', nodeConsumer(node));
        await this.bus.deleteConsumer('STATE', joinConsumer(node));
        await this.bus.ensureConsumer(nodeConsumer(node), { stream: 'STATE', filters: [...always, ...this.filters], from: 'last-per-subject' });
        await this.#announce(undefined);
      }
    } catch (error) {
      if (!this.#reading.signal.aborted) throw error;
    }
  }
  async #announce(join: Interest['join']): Promise<void> {
    const body: Interest = { kind: 'interest', node, session: this.#session, generation: ++this.#generation, filters: this.filters, ...(join ? { join } : {}) };
    await this.bus.publish(interestSubject(nodeId), bytes(body));
  }
}

export class World extends Topology {
  readonly broker: MemoryBroker;
  readonly memory = new FakeMemory();
  readonly missingNamespaces = new Set<string>();
  /** What is wrong inside workloads, by container; preparing the device mends it. */
  readonly damage = new Map<string, string>();
  /** Workloads looked into, one number for each look at the kernel. */
  readonly looks: number[] = [0];
  kernel!: FakeKernel;
  agent: Agent | undefined;

  constructor() {
    const broker = memoryBroker();
    super(broker.connect('topology'));
    this.broker = broker;
  }
  async start(): Promise<this> {
    await this.begin();
    return this;
  }
  /** Opens the kernel anew, as a fresh process does, unless there is one that no process has used yet. */
  async startAgent(sizes: Partial<Limits> = {}): Promise<void> {
    const kernel = fakeKernel({ memory: this.memory, sizes });
    this.kernel = kernel;
    const observe = createObserver();
    const prepareVeth = kernel.links.prepareVeth.bind(kernel.links);
    kernel.links.prepareVeth = (o) => {
      if (this.missingNamespaces.has(o.netnsPath.split('/').at(-1) ?? '')) throw new KernelError('namespace-missing', 'there is no such network namespace', o.netnsPath, 'Create the namespace first.');
      this.damage.delete(o.netnsPath.split('/').at(-1) ?? '');
      return prepareVeth(o);
    };
    this.agent = await startAgent({
      node, kernel, bus: this.broker.connect('agent'), log: silent, now: Date.now, newId: () => crypto.randomUUID(), every: quick,
      devices: { netnsDir: '/run/netns', underlayMtu: 1500, underlayDevice: undefined, vxlanPort: 4789 },
      witness: {
        look: () => (this.looks.push(0), { ...observe(readBackFake(kernel)), faults: [] }),
        lookAtTables: () => (this.looks.push(0), observe.tables(readBackFake(kernel))),
        inside: (e) => {
          this.looks.push((this.looks.pop() ?? 0) + 1);
          return [this.damage.get(e.containerId) ?? []].flat();
        },
        connections: (rd, address) => [...kernel.tracked].filter((flow) => flow.startsWith(`${rd} `) && flow.includes(hexText(mapped16(address)))).length,
      },
    });
  }
  async stop(): Promise<void> {
    await this.agent?.stop();
    await this.end();
  }

  /** Sends a packet from one endpoint to another through the programs. */
  send(from: Document<'endpoint'>, to: Document<'endpoint'>, port: number): string {
    const ifindex = this.kernel.links.list().find((l) => l.name === hostNameOf(from.id))?.ifindex ?? 0;
    return this.kernel.send({ ifindex, source: mapped16(from.status.address), destination: mapped16(to.status.address), protocol: 6, destinationPort: port, sourcePort: 40_000 }).reason;
  }
  addresses = (): string[] => this.kernel.addresses.list().map(([key]) => `${key.rd} ${fromMapped16(key.address)}`).sort();
}

export async function eventually<T>(ask: () => Promise<T | undefined> | T | undefined, withinMs = 5_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
