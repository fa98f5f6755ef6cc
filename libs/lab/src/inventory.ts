import { readJson, writeJson } from './files.ts';
import { LabError } from './names.ts';
import type { LabPaths } from './paths.ts';
import type { AppPort, AppProtocol, AppService } from './kubernetes/application.ts';

/** What runs in a lab: who has which address on which node, and which ports its own listener holds. */
export interface Inventory { readonly environments: readonly PlacedEnvironment[] }
export interface PlacedEnvironment {
  readonly domain: string;
  readonly project: string;
  readonly name: string;
  readonly network: string;
  readonly subnet: string;
  /** For workloads whose addresses are given and lie elsewhere. */
  readonly moreSubnets?: readonly string[];
  readonly workloads: readonly PlacedWorkload[];
  readonly services: readonly AppService[];
}
export interface PlacedWorkload {
  readonly environment: string;
  readonly name: string;
  /** As Kubernetes names it: `shop/web`. */
  readonly path?: string;
  readonly node: string;
  readonly address: string;
  readonly namespace: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly ports: readonly AppPort[];
}

export const readInventory = (paths: LabPaths): Inventory => readJson<Inventory>(paths.inventory) ?? { environments: [] };
export const writeInventory = (paths: LabPaths, inventory: Inventory): void => writeJson(paths.inventory, inventory);

export function withEnvironment(inventory: Inventory, environment: PlacedEnvironment): Inventory {
  const same = inventory.environments.find((e) => e.name === environment.name);
  if (same !== undefined && (same.domain !== environment.domain || same.project !== environment.project)) {
    throw new LabError(`environment "${environment.name}" of this lab belongs to ${same.domain}/${same.project}`, 'Choose another name for the environment, or another lab.');
  }
  const kept = same?.workloads.filter((w) => !environment.workloads.some((n) => n.name === w.name)) ?? [];
  const services = same?.services.filter((s) => !environment.services.some((n) => n.name === s.name)) ?? [];
  const merged = { ...environment, workloads: [...kept, ...environment.workloads], services: [...services, ...environment.services] };
  return { environments: [...inventory.environments.filter((e) => e !== same), merged].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

export const workloadsOf = (inventory: Inventory): PlacedWorkload[] => inventory.environments.flatMap((e) => e.workloads);

export function findWorkload(inventory: Inventory, path: string): PlacedWorkload {
  const all = workloadsOf(inventory);
  const [environment = '', name] = path.split('/');
  const found = all.find((w) => w.environment === environment && isCalled(w, path));
  if (found !== undefined) return found;
  const near = all.filter((w) => w.name === name || w.environment === environment).map((w) => `${w.environment}/${w.name}`);
  const choice = (near.length > 0 ? near : all.map((w) => `${w.environment}/${w.name}`)).slice(0, 8).join(', ');
  throw new LabError(`there is no workload "${path}" in this lab`, choice === '' ? 'Load some first: osier lab load -f DIR --environment staging' : `Choose among: ${choice}.`);
}

/** `staging/web`, or with its namespace `staging/shop/web`. */
const isCalled = (one: { readonly name: string; readonly path?: string }, path: string): boolean => {
  const rest = path.slice(path.indexOf('/') + 1);
  return one.name === rest || one.path === rest;
};

/** As `findWorkload`, or `staging/<name of a service>` with the service's own port. */
export function resolveTarget(inventory: Inventory, path: string, port: number, protocol: AppProtocol): { workload: PlacedWorkload; port: number } {
  const [environment] = path.split('/');
  const workload = workloadsOf(inventory).find((w) => w.environment === environment && isCalled(w, path));
  if (workload?.ports.some((p) => p.port === port && p.protocol === protocol)) return { workload, port };
  const place = inventory.environments.find((e) => e.name === environment);
  const service = place?.services.find((s) => isCalled(s, path));
  const target = service?.ports.find((p) => p.port === port && p.protocol === protocol);
  const behind = service === undefined ? undefined : place?.workloads.find((w) => behindService(service, w));
  if (target !== undefined && behind !== undefined) return { workload: behind, port: target.targetPort };
  return { workload: findWorkload(inventory, path), port };
}

export const behindService = (service: AppService, workload: Pick<PlacedWorkload, 'tags'>): boolean =>
  Object.keys(service.selector).length > 0 && Object.entries(service.selector).every(([key, value]) => workload.tags[key] === value);
