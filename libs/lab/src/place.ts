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
}): PlacedEnvironment {
  const plan = o.workloads.length <= smallSubnet.room ? smallSubnet : largeSubnet;
  if (o.workloads.length > plan.room) throw new LabError(`${o.workloads.length} workloads do not fit into one environment of a lab`, `Load at most ${plan.room}.`);
  const first = parseIpv4(plan.first) ?? 0;
  const workloads = o.workloads.map((w, index): PlacedWorkload => ({
    environment: o.environment, name: w.name, tags: w.tags, ports: w.ports,
    node: o.nodes[(index + o.turn) % o.nodes.length] ?? '',
    address: formatIpv4(first + index),
    namespace: workloadNamespace(o.lab, o.environment, w.name),
  }));
  return { domain: o.domain, project: o.project, name: o.environment, network: 'main', subnet: plan.subnet, workloads, services: o.services };
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
