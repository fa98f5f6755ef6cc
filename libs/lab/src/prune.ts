import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { none } from '@osier/contracts/names';
import type { Scope } from '@osier/contracts/document';
import { type Change, inParallel } from './client.ts';
import { programName, scopeOf, waitEnforced } from './deploy.ts';
import { type PlacedEnvironment, readInventory, writeInventory } from './inventory.ts';
import type { Application } from './kubernetes/application.ts';
import { type Lab, tellSupervisor } from './lab.ts';
import { workloadPath } from './names.ts';
import { removeSpec } from './supervisor/spec.ts';
import { removeWorkloadNamespace } from './system/namespaces.ts';

const atOnce = 8;
/** What a load says of a policy that it makes; what people made themselves is theirs. */
const isLoaded = (description: string | undefined): boolean => /^(NetworkPolicy|AdminNetworkPolicy|BaselineAdminNetworkPolicy|ClusterNetworkPolicy) /.test(description ?? '');
const isIn = (list: readonly { readonly name: string }[], name: string): boolean => list.some((one) => one.name === name);

interface Deletion { readonly kind: 'policy' | 'project-policy' | 'endpoint'; readonly scope: Scope; readonly name: string }
/** Returns what it deleted, a line each, when every node has let go of it. */
async function remove(lab: Lab, environment: string, deletions: readonly Deletion[]): Promise<string[]> {
  const changes = (await inParallel(deletions, atOnce, async (one): Promise<readonly Change[]> => (await lab.client.delete(one.kind, one.scope, one.name)).changes)).flat();
  if (changes.length > 0) await waitEnforced(lab, changes);
  return deletions.map(({ kind, name }) => `${kind} ${environment}/${name}`);
}

/** Workloads that an earlier load put there, and this one does not hold or gives another address. Before the new ones come, which may have their addresses. */
export async function pruneWorkloads(lab: Lab, environment: string, { workloads }: Application): Promise<string[]> {
  const { paths } = lab;
  const inventory = readInventory(paths);
  const placed: PlacedEnvironment | undefined = inventory.environments.find(({ name }) => name === environment);
  if (placed === undefined) return [];
  const gone = placed.workloads.filter((old) => !workloads.some((w) => w.name === old.name && (w.address === undefined || w.address === old.address)));
  const removed = await remove(lab, environment, gone.map(({ name }) => ({ kind: 'endpoint', scope: scopeOf(placed), name })));
  for (const workload of gone) removeSpec(paths, programName(workload));
  writeInventory(paths, { environments: inventory.environments.map((e) => (e === placed ? { ...e, workloads: e.workloads.filter((w) => !gone.includes(w)) } : e)) });
  if (gone.length > 0) await tellSupervisor(paths, { do: 'sync' });
  for (const workload of gone) {
    rmSync(join(paths.namespaces(workload.node), workload.namespace), { force: true });
    rmSync(paths.workloadSpec(workloadPath(workload)), { force: true });
    await removeWorkloadNamespace(workload.namespace);
  }
  return removed;
}

/** Policies that an earlier load put there and this one does not hold. After the new ones are in force, so that nothing opens between the two. */
export async function prunePolicies(lab: Lab, environment: PlacedEnvironment, application: Application): Promise<string[]> {
  const scope = scopeOf(environment);
  const project = { ...scope, environment: none };
  const [own, wide] = await Promise.all([lab.client.list('policy', scope), lab.client.list('project-policy', project)]);
  return remove(lab, environment.name, [
    ...own.filter(({ document: { name, spec } }) => isLoaded(spec.description) && !isIn(application.policies, name)).map(({ document: { name } }) => ({ kind: 'policy' as const, scope, name })),
    ...wide.filter(({ document: { name, spec } }) => isLoaded(spec.description) && spec.scope?.environments?.join() === environment.name && !isIn(application.projectPolicies, name))
      .map(({ document: { name } }) => ({ kind: 'project-policy' as const, scope: project, name })),
  ]);
}
