import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { deploy } from './deploy.ts';
import { readInventory } from './inventory.ts';
import type { Application } from './kubernetes/application.ts';
import { translate } from './kubernetes/translate.ts';
import type { Lab } from './lab.ts';
import { LabError } from './names.ts';
import { place } from './place.ts';
import { prunePolicies, pruneWorkloads } from './prune.ts';
import { type Progress, silent } from './progress.ts';

export interface Loaded { readonly application: Application; readonly environments: readonly string[]; readonly revision: number; /** What was removed, a line each. */ readonly pruned: readonly string[] }

/** Kubernetes manifests of a folder (or one file), as they are, into each of the environments. */
export async function loadManifests(lab: Lab, o: { path: string; environments: readonly string[]; domain?: string; project?: string; prune?: boolean; progress?: Progress }): Promise<Loaded> {
  const files = readFolder(o.path);
  const loads = o.environments.map((environment) => translate(files, environment));
  const [application] = loads;
  if (application === undefined || application.workloads.length === 0) throw new LabError(`${o.path} has no Pod, Deployment or other workload`, 'Name a folder with Kubernetes manifests.');
  const [domain, project] = [o.domain ?? lab.record.domains[0] ?? '', o.project ?? lab.record.project];
  const pruned: string[] = [];
  if (o.prune === true) for (const environment of o.environments) pruned.push(...(await pruneWorkloads(lab, environment, application)));
  const already = readInventory(lab.paths).environments;
  const nodes = lab.record.nodes.map((node) => node.name);
  const environments = o.environments.map((environment, index) => {
    const before = already.find((e) => e.name === environment);
    return place({
      lab: lab.record.name, domain, project, environment, turn: already.length + index, nodes, workloads: application.workloads, services: application.services,
      ...(before === undefined ? {} : { before }),
    });
  });
  const wide = environments.map((environment, index) => ({ environment, policies: loads[index]?.projectPolicies ?? [] }));
  const { revision } = await deploy(lab, environments, application.policies, o.progress ?? silent, wide);
  if (o.prune === true) for (const [index, environment] of environments.entries()) pruned.push(...(await prunePolicies(lab, environment, loads[index] ?? application)));
  return { application, environments: o.environments, revision, pruned };
}

function readFolder(path: string): { name: string; text: string }[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new LabError(`there is no ${path}`, 'Name a folder with Kubernetes manifests.');
  if (stat.isFile()) return [{ name: basename(path), text: readFileSync(path, 'utf8') }];
  const names = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  if (names.length === 0) throw new LabError(`${path} has no .yaml, .yml or .json file`, 'Name a folder with Kubernetes manifests.');
  return names.map((name) => ({ name, text: readFileSync(join(path, name), 'utf8') }));
}
