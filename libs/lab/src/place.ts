import { formatIpv4, parseIpv4 } from '@osier/domain/net/ipv4';
import { type AppService, type AppWorkload } from './kubernetes/application.ts';
import { behindService, type PlacedEnvironment, type PlacedWorkload } from './inventory.ts';
import { LabError, workloadNamespace } from './names.ts';

const smallSubnet = { subnet: '10.20.0.0/24', first: '10.20.0.10', room: 240 };
const largeSubnet = { subnet: '10.20.0.0/16', first: '10.20.1.0', room: 60_000 };

/**
 * Which workload gets which address, and on which node it runs. The addresses are the same in every environment, on purpose; the nodes
 * are taken in turn, beginning one further in each environment, so that equal addresses meet on one node as well as on several.
 */
export function place(o: {
  lab: string; domain: string; project: string; environment: string; turn: number; nodes: readonly string[];
  workloads: readonly AppWorkload[]; services: readonly AppService[];
  /** What is in the environment already: it stays where it is. */
  before?: PlacedEnvironment;
}): PlacedEnvironment {
  const old = new Map(o.before?.workloads.map((w) => [w.name, w]));
  const count = new Set([...old.keys(), ...o.workloads.map((w) => w.name)]).size;
  const plan = o.before?.subnet === largeSubnet.subnet || count > smallSubnet.room ? largeSubnet : smallSubnet;
  if (count > plan.room) throw new LabError(`${count} workloads do not fit into one environment of a lab`, `Load at most ${plan.room}.`);
  if (o.before !== undefined && o.before.subnet !== plan.subnet) throw new LabError(`environment ${o.environment} has no room for ${count} workloads`, 'Load them into another environment.');
  const used = new Set(o.before?.workloads.map((w) => w.address));
  const nextFree = addressesFrom(plan.first, used);
  const workloads = o.workloads.map((w, index): PlacedWorkload => ({
    environment: o.environment, name: w.name, tags: w.tags, ports: w.ports,
    node: old.get(w.name)?.node ?? o.nodes[(index + o.turn) % o.nodes.length] ?? '',
    address: old.get(w.name)?.address ?? nextFree(),
    namespace: workloadNamespace(o.lab, o.environment, w.name),
  }));
  return { domain: o.domain, project: o.project, name: o.environment, network: 'main', subnet: plan.subnet, workloads, services: o.services };
}

function addressesFrom(first: string, used: ReadonlySet<string>): () => string {
  let next = parseIpv4(first) ?? 0;
  return () => {
    while (used.has(formatIpv4(next))) next += 1;
    return formatIpv4(next++);
  };
}

/** Names of workloads and of services, as a workload's hosts file has them. */
export function hostsOf(environment: PlacedEnvironment): Map<string, string> {
  const hosts = new Map(environment.workloads.map((w) => [w.name, w.address]));
  for (const service of environment.services) {
    const behind = environment.workloads.find((w) => behindService(service, w));
    if (behind !== undefined && !hosts.has(service.name)) hosts.set(service.name, behind.address);
  }
  return hosts;
}
