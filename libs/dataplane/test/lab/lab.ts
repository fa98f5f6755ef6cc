/**
 * Namespaces for real packets: nodes joined by an underlay, workloads behind each. Everything has a name of its own per lab, and
 * `close` removes it again.
 *
 *   workload ─veth─ [node A] ═══ underlay veth 192.0.2.0/24 ═══ [node B] ─veth─ workload
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kernel, type Limits } from '../../src/kernel/kernel.ts';
import { ensureBpffs, openKernel } from '../../src/kernel/open.ts';
import { Action, AddressKind, Direction, EndpointFlag, type FlowEvent, RecordFlag } from '../../src/records.gen.ts';
import type { Answer, Request } from './workload.ts';

export const NONE = new Uint8Array(16);
export const PORT = 4789;
export const MTU = 1450;

export function address(text: string): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...text.split('.').map(Number));
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A process in a namespace that does what tests ask. */
export class Workload {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  constructor(netns: string) {
    const script = join(import.meta.dirname, 'workload.ts');
    this.#child = spawn('nsenter', [`--net=/run/netns/${netns}`, process.execPath, '--no-warnings', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: { id: number; answer: Answer }) => this.#waiting.get(message.id)?.(message.answer));
  }

  ask(request: Request): Promise<Answer> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, request });
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

export interface EndpointSpec {
  rd: number;
  network: number;
  ip: string;
  /** Identity and policy subject: one number for both, in tests. */
  number: number;
}

export interface Endpoint extends EndpointSpec {
  netns: string;
  hostName: string;
  ifindex: number;
  mac: Uint8Array;
  workload: Workload;
}

export class Node {
  kernel: Kernel;
  readonly netns: string;
  readonly pinDir: string;
  readonly tunnel: string;
  readonly events: FlowEvent[] = [];
  readonly #lab: Lab;
  readonly #sizes: Partial<Limits>;
  #stop: () => void;

  constructor(lab: Lab, netns: string, pinDir: string, tunnel: string, sizes: Partial<Limits>) {
    this.#lab = lab;
    this.netns = netns;
    this.pinDir = pinDir;
    this.tunnel = tunnel;
    this.#sizes = sizes;
    this.kernel = this.#open();
    this.kernel.configure({ recordFlags: RecordFlag.start | RecordFlag.end | RecordFlag.denied });
    this.#stop = this.kernel.flows((events) => this.events.push(...events));
  }

  #open(): Kernel {
    return openKernel({ pinDir: this.pinDir, netnsPath: `/run/netns/${this.netns}`, sizes: this.#sizes });
  }

  /** As if the agent had been killed and started again. */
  restart(): void {
    this.#stop();
    this.kernel.close();
    this.kernel = this.#open();
    this.#stop = this.kernel.flows((events) => this.events.push(...events));
  }

  overlay(): void {
    this.kernel.configure({ underlay: address(this.tunnel) });
    this.kernel.links.ensureVxlan({ name: 'osrvx', port: PORT, mtu: MTU });
  }

  /** A workload, its device and its table entries; `allow` afterwards. */
  add(spec: EndpointSpec): Endpoint {
    const index = this.#lab.nextIndex();
    const netns = this.#lab.netns(`w${index}`);
    const hostName = `osr${index}`;
    const mac = Uint8Array.of(0x02, 0, 0, 0, spec.rd & 0xff, index);
    const ip = address(spec.ip);
    const ifindex = this.kernel.links.prepareVeth({ hostName, netnsPath: `/run/netns/${netns}`, peerName: 'eth0', mtu: MTU, mac, address: ip });
    const policy: [number, number] = [spec.number, spec.number];
    this.kernel.addresses.put([
      [{ rd: spec.rd, address: ip }, { kind: AddressKind.local, network: spec.network, targetRd: spec.rd, ifindex, tunnel: NONE, identity: policy, mac }],
    ]);
    this.kernel.endpoints.put([[ifindex, { rd: spec.rd, network: spec.network, policy, address: ip, mac, flags: EndpointFlag.active, shadow: [0, 0] }]]);
    this.kernel.links.activateVeth(hostName);
    const workload = this.#lab.own(new Workload(netns));
    return { ...spec, netns, hostName, ifindex, mac, workload };
  }

  /** Tells this node where an endpoint of another node is. */
  learn(other: Node, endpoint: EndpointSpec): void {
    const identity: [number, number] = [endpoint.number, endpoint.number];
    const record = { kind: AddressKind.remote, network: endpoint.network, targetRd: endpoint.rd, ifindex: 0, tunnel: address(other.tunnel), identity, mac: new Uint8Array(6) };
    this.kernel.addresses.put([[{ rd: endpoint.rd, address: address(endpoint.ip) }, record]]);
  }

  /** One policy entry: `peer` 0 is anyone, `port` undefined any port and protocol. */
  rule(policy: number, peer: number, direction: Direction, rule: number, action: Action, target?: { protocol: number; port: number }): void {
    const key = { prefixlen: target ? 96 : 72, policy, peer, direction, protocol: target?.protocol ?? 0, port: target?.port ?? 0 };
    this.kernel.policy.put([[key, { precedence: rule, rule, action, tier: 0, place: 0 }]]);
  }

  allowAll(policy: number): void {
    this.rule(policy, 0, Direction.egress, 1, Action.allow);
    this.rule(policy, 0, Direction.ingress, 2, Action.allow);
  }

  drop(name: keyof ReturnType<Kernel['drops']>): number {
    return Number(this.kernel.drops()[name].packets);
  }

  async eventually(wanted: (event: FlowEvent) => boolean, timeout = 2000): Promise<FlowEvent> {
    for (const end = Date.now() + timeout; Date.now() < end; ) {
      const found = this.events.find(wanted);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`no such flow record among ${this.events.length}`);
  }

  close(): void {
    this.#stop();
    this.kernel.close();
  }
}

let labs = 0;

export class Lab {
  readonly #name = `dp${process.pid.toString(36)}${(labs++).toString(36)}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'osier-dataplane-'));
  readonly #namespaces: string[] = [];
  readonly #workloads: Workload[] = [];
  readonly #nodes: Node[] = [];
  readonly sizes: Partial<Limits>;
  #index = 1;

  constructor(sizes: Partial<Limits> = { addresses: 1024, policy: 1024, conntrack: 1024, rules: 64, identities: 64, policies: 64 }) {
    this.sizes = sizes;
    ensureBpffs(this.pins);
  }

  get pins(): string {
    return join(this.#folder, 'bpf');
  }

  nextIndex(): number {
    return this.#index++;
  }

  netns(suffix: string): string {
    const name = `${this.#name}-${suffix}`;
    run('ip', 'netns', 'add', name);
    this.#namespaces.push(name);
    return name;
  }

  own(workload: Workload): Workload {
    this.#workloads.push(workload);
    return workload;
  }

  /** `count` nodes, each on one underlay bridge in a namespace of its own. */
  nodes(count: number): Node[] {
    const fabric = this.netns('fab');
    run('ip', '-n', fabric, 'link', 'add', 'br0', 'type', 'bridge');
    run('ip', '-n', fabric, 'link', 'set', 'br0', 'up');
    for (let index = 1; index <= count; index++) {
      const netns = this.netns(`n${index}`);
      run('ip', '-n', fabric, 'link', 'add', `p${index}`, 'type', 'veth', 'peer', 'name', 'under0', 'netns', netns);
      run('ip', '-n', fabric, 'link', 'set', `p${index}`, 'master', 'br0', 'up');
      run('ip', '-n', netns, 'addr', 'add', `192.0.2.${index}/24`, 'dev', 'under0');
      run('ip', '-n', netns, 'link', 'set', 'under0', 'up');
      this.#nodes.push(new Node(this, netns, join(this.pins, `node${index}`), `192.0.2.${index}`, this.sizes));
    }
    return this.#nodes.slice(-count);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workloads.map((workload) => workload.stop()));
    for (const node of this.#nodes) node.close();
    for (const name of this.#namespaces) run('ip', 'netns', 'del', name);
    run('umount', this.pins);
    rmSync(this.#folder, { recursive: true });
  }
}
