import { limits } from '@osier/contracts/limits';
import { contains, parseAddress, parseBlock } from '@osier/domain/net/address';
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
  const given = new Set(o.workloads.flatMap((w) => w.address ?? []));
  const twice = o.workloads.find((w) => w.address !== undefined && o.workloads.some((other) => other.address === w.address && other !== w));
  if (twice !== undefined) throw new LabError(`${twice.path ?? twice.name} and another workload both have the address ${twice.address}`, 'Give each its own, or none.');
  const nextFree = addressesFrom(plan.first, new Set([...used, ...given]));
  const workloads = o.workloads.map((w, index): PlacedWorkload => ({
    environment: o.environment, name: w.name, ...(w.path === undefined ? {} : { path: w.path }), tags: w.tags, ports: w.ports,
    node: old.get(w.name)?.node ?? o.nodes[(index + o.turn) % o.nodes.length] ?? '',
    address: w.address ?? old.get(w.name)?.address ?? nextFree(),
    namespace: workloadNamespace(o.lab, o.environment, w.name),
  }));
  const more = subnetsFor([...given].filter((address) => !lies(address, plan.subnet)), o.before?.moreSubnets ?? []);
  return { domain: o.domain, project: o.project, name: o.environment, network: 'main', subnet: plan.subnet, ...(more.length === 0 ? {} : { moreSubnets: more }), workloads, services: o.services };
}

const lies = (address: string, subnet: string): boolean => {
  const [block, one] = [parseBlock(subnet)?.block, parseAddress(address)];
  return block !== undefined && one !== undefined && contains(block, one);
};
/** Subnets that hold the addresses, and those that were there: as narrow as there may be so few of. */
function subnetsFor(addresses: readonly string[], before: readonly string[]): string[] {
  const open = addresses.filter((address) => !before.some((subnet) => lies(address, subnet)));
  for (const length of [24, 16, 12, 8]) {
    const found = [...new Set([...before, ...open.map((address) => `${formatIpv4(((parseIpv4(address) ?? 0) & (-1 << (32 - length))) >>> 0)}/${length}`)])];
    if (found.length < limits.subnetsPerNetwork) return found;
  }
  throw new LabError('the addresses of these workloads lie too far apart for one network', `Leave them out (status.podIP), or use addresses of at most ${limits.subnetsPerNetwork - 1} subnets.`);
}

function addressesFrom(first: string, used: ReadonlySet<string>): () => string {
  let next = parseIpv4(first) ?? 0;
  return () => {
    while (used.has(formatIpv4(next))) next += 1;
    return formatIpv4(next++);
  };
}

/** Names of workloads and of services, as the hosts file of one of them has them: `web` in its own namespace, `web.shop` in every. */
export function hostsOf(environment: PlacedEnvironment, of?: Pick<PlacedWorkload, 'path'>): Map<string, string> {
  const behind = (service: AppService): string | undefined => environment.workloads.find((w) => behindService(service, w))?.address;
  const all = [...environment.workloads.map((w) => ({ ...w, to: w.address })), ...environment.services.map((s) => ({ ...s, to: behind(s) }))].flatMap(({ to, name, path }) => {
    const [namespace, own] = path?.split('/') ?? [];
    return to === undefined ? [] : [{ to, name, own, namespace }];
  });
  const [home] = of?.path?.split('/') ?? [];
  const names = [
    ...all.flatMap(({ to, own, namespace }) => (own !== undefined && namespace === home ? [[own, to] as const] : [])),
    ...all.flatMap(({ to, own, namespace }) => (own === undefined ? [] : [[`${own}.${namespace}`, to] as const, [`${own}.${namespace}.svc.cluster.local`, to] as const])),
    ...all.map(({ to, name }) => [name, to] as const),
  ];
  // What stands first counts: one's own namespace, and a workload before a service of the same name.
  return new Map(names.reverse());
}
