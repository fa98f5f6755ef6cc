import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { none } from '@osier/contracts/names';
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

/** Takes out of an environment what an earlier load put there and this one does not hold; returns it, a line each, when every node has let go of it. */
export async function prune(lab: Lab, environment: PlacedEnvironment, application: Application): Promise<string[]> {
  const { client, paths } = lab;
  const scope = scopeOf(environment);
  const project = { ...scope, environment: none };
  const kept = (list: readonly { readonly name: string }[], name: string): boolean => list.some((one) => one.name === name);
  const [policies, wide] = await Promise.all([client.list('policy', scope), client.list('project-policy', project)]);
  const inventory = readInventory(paths);
  const gone = inventory.environments.find(({ name }) => name === environment.name)?.workloads.filter((w) => !kept(application.workloads, w.name)) ?? [];
  const deletions = [
    ...policies.filter(({ document: { name, spec } }) => isLoaded(spec.description) && !kept(application.policies, name)).map(({ document: { name } }) => ({ kind: 'policy' as const, scope, name })),
    ...wide.filter(({ document: { name, spec } }) => isLoaded(spec.description) && spec.scope?.environments?.join() === environment.name && !kept(application.projectPolicies, name)).map(({ document: { name } }) => ({ kind: 'project-policy' as const, scope: project, name })),
    ...gone.map(({ name }) => ({ kind: 'endpoint' as const, scope, name })),
  ];
  const changes = (await inParallel(deletions, atOnce, async (one): Promise<readonly Change[]> => (await client.delete(one.kind, one.scope, one.name)).changes)).flat();
  if (changes.length > 0) await waitEnforced(lab, changes);
  for (const workload of gone) removeSpec(paths, programName(workload));
  writeInventory(paths, { environments: inventory.environments.map((e) => (e.name === environment.name ? { ...e, workloads: e.workloads.filter((w) => !gone.includes(w)) } : e)) });
  if (gone.length > 0) await tellSupervisor(paths, { do: 'sync' });
  for (const workload of gone) {
    rmSync(join(paths.namespaces(workload.node), workload.namespace), { force: true });
    rmSync(paths.workloadSpec(workloadPath(workload)), { force: true });
    await removeWorkloadNamespace(workload.namespace);
  }
  return deletions.map(({ kind, name }) => `${kind} ${environment.name}/${name}`);
}
