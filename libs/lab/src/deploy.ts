import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import type { Enforcement } from '@osier/contracts/queries';
import { type Change, inParallel } from './client.ts';
import { writeJson } from './files.ts';
import { type Inventory, type PlacedEnvironment, type PlacedWorkload, readInventory, withEnvironment, writeInventory } from './inventory.ts';
import type { AppPolicy, AppProjectPolicy } from './kubernetes/application.ts';
import { type Lab, tellSupervisor } from './lab.ts';
import { LabError, workloadPath } from './names.ts';
import { type LabPaths, nodeBinary, program, repository } from './paths.ts';
import { hostsOf } from './place.ts';
import { type Progress, silent } from './progress.ts';
import { writeSpec } from './supervisor/spec.ts';
import { grantNamespaces } from './system/grants.ts';
import { makeNamespaces, writeHosts } from './system/namespaces.ts';
import { askWorkload } from './workload/ask.ts';
import type { WorkloadSpec } from './workload/protocol.ts';

const atOnce = 8;
const none = '_';
export const scopeOf = (e: { domain: string; project: string; name: string }): Scope => ({ domain: e.domain, project: e.project, environment: e.name });
const projectOf = (e: { domain: string; project: string }): Scope => ({ domain: e.domain, project: e.project, environment: none });
/** Policies of a whole cluster, for the environment that stands for it. */
export interface WidePolicies { readonly environment: PlacedEnvironment; readonly policies: readonly AppProjectPolicy[] }

/**
 * Puts applications into a lab: first who may talk to whom, then the namespaces with their listening programs, then the endpoints. So an
 * endpoint is under its policies from its first packet on. Returns when every node concerned has confirmed all of it.
 */
export async function deploy(lab: Lab, environments: readonly PlacedEnvironment[], policies: readonly AppPolicy[], progress: Progress = silent, wide: readonly WidePolicies[] = []): Promise<Enforcement> {
  const { client, paths } = lab;
  const inventory = environments.reduce(withEnvironment, readInventory(paths));
  const names = environments.map((e) => e.name).join(', ');

  await progress.step(`environments${policies.length === 0 ? ' and networks' : ', networks and policies'}: ${names}`, async (say) => {
    for (const e of environments) await makePlaces(lab, e);
    await inParallel(environments.flatMap((e) => policies.map((policy) => ({ e, policy }))), atOnce, ({ e, policy }) => client.apply('policy', scopeOf(e), policy.name, policy.spec));
    await inParallel(wide.flatMap(({ environment, policies: these }) => these.map((policy) => ({ environment, policy }))), atOnce, ({ environment, policy }) => client.apply('project-policy', projectOf(environment), policy.name, policy.spec));
    const more = wide[0]?.policies.length ?? 0;
    if (policies.length + more > 0) say(`${policies.length} policies${more === 0 ? '' : `, and ${more} of the whole cluster,`} each`);
  });
  const workloads = environments.flatMap((e) => e.workloads);
  await progress.step(`workloads: ${workloads.length} programs in namespaces of their own`, () => startWorkloads(lab, environments, inventory));
  writeInventory(paths, inventory);
  await progress.step(`endpoints: ${workloads.length} on ${new Set(workloads.map((w) => w.node)).size} nodes`, async () => {
    const jobs = environments.flatMap((e) => e.workloads.map((w) => ({ e, w })));
    await inParallel(jobs, atOnce, ({ e, w }) => client.apply('endpoint', scopeOf(e), w.name, endpointSpec(e, w)));
  });
  return progress.step('every node has read it back from its kernel', async (say) => waitEnforced(lab, await everythingIn(lab, environments), say));
}

async function makePlaces({ client }: Lab, e: PlacedEnvironment): Promise<void> {
  await client.apply('domain', { domain: none, project: none, environment: none }, e.domain, {});
  await client.apply('project', { domain: e.domain, project: none, environment: none }, e.project, {});
  await client.apply('environment', { domain: e.domain, project: e.project, environment: none }, e.name, {});
  await client.apply('network', scopeOf(e), e.network, { subnets: [e.subnet, ...(e.moreSubnets ?? [])] });
}

/** Everything that nodes act on in these environments, whether this load changed it or an earlier one did. */
async function everythingIn({ client }: Lab, environments: readonly PlacedEnvironment[]): Promise<Change[]> {
  const kinds = ['network', 'policy', 'endpoint'] as const;
  const items = await Promise.all(environments.flatMap((e) => [...kinds.map((kind) => client.list(kind, scopeOf(e))), client.list('project-policy', projectOf(e))]));
  return items.flat().map(({ document, revision }) => ({ kind: document.kind, id: document.id, subject: documentSubject(document), revision }));
}

const endpointSpec = (e: PlacedEnvironment, w: PlacedWorkload): Record<string, unknown> => ({
  network: e.network, node: w.node, tags: w.tags, address: w.address, attachment: { containerId: w.namespace },
  ...(w.ports.length > 0 ? { ports: w.ports } : {}),
});

/** Starts a listening program for each workload that has none, and returns when all of them listen. */
async function startWorkloads({ paths }: Lab, environments: readonly PlacedEnvironment[], inventory: Inventory): Promise<void> {
  const workloads = environments.flatMap((e) => e.workloads);
  await makeNamespaces(workloads.map((w) => w.namespace));
  grantNamespaces(paths, workloads);
  for (const environment of inventory.environments) {
    for (const w of environment.workloads) writeHosts(w.namespace, hostsOf(environment, w));
  }
  for (const w of workloads) writeWorkload(paths, w);
  await tellSupervisor(paths, { do: 'sync' });
  await inParallel(workloads, atOnce, (w) => listens(paths, w));
  // One that ran before may declare other ports now.
  await inParallel(workloads, atOnce, (w) => askWorkload(paths, workloadPath(w), 'serve', { ports: w.ports }));
}

export const programName = (w: PlacedWorkload): string => `w.${w.environment}.${w.name}`;
function writeWorkload(paths: LabPaths, w: PlacedWorkload): void {
  const path = workloadPath(w);
  const spec: WorkloadSpec = { identity: path, ports: w.ports.map(({ protocol, port }) => ({ protocol, port })), control: paths.workloadSocket(path) };
  writeJson(paths.workloadSpec(path), spec);
  writeSpec(paths, {
    name: programName(w), title: `workload ${path}`, order: 4, namespace: w.namespace, log: paths.log(programName(w)), ready: { kind: 'running' },
    argv: [nodeBinary, '--max-old-space-size=64', program('lab', 'workload'), paths.workloadSpec(path)],
    env: { NODE_COMPILE_CACHE: `${repository}/.cache/compile` },
  });
}

async function listens(paths: LabPaths, w: PlacedWorkload): Promise<void> {
  for (const until = Date.now() + 60_000; ; await sleep(50)) {
    try {
      await askWorkload(paths, workloadPath(w), 'hello', {}, 5_000);
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

/** Waits until every node concerned has confirmed the changes; throws with each laggard and its reason when time runs out. */
export async function waitEnforced({ client }: Lab, changes: readonly Change[], say: (text: string) => void = () => undefined, timeoutMs = 60_000): Promise<Enforcement> {
  for (const until = Date.now() + timeoutMs; ; ) {
    const state = await client.enforcement(changes, Math.min(2_000, Math.max(1_000, until - Date.now())));
    const confirmed = state.nodes.filter((node) => node.enforced);
    say(`${confirmed.length} of ${state.nodes.length} nodes at revision ${state.revision}`);
    if (state.state !== 'waiting') return state;
    if (Date.now() > until) {
      const late = state.nodes.filter((node) => !node.enforced).map((node) => `${node.node}: ${node.why ?? 'has not confirmed'}`);
      throw new LabError(`not in force everywhere after ${timeoutMs / 1000} s: ${late.join('; ')}`, 'Look into the log of that node\'s agent (osier lab status names it).');
    }
  }
}
