import { nameSchema } from '@osier/contracts/names';
import type { Application } from './application.ts';
import { ManifestError, type ManifestObject, readManifests } from './manifests.ts';
import { policyOf } from './policies.ts';
import { serviceOf, workloadOf } from './workloads.ts';

/** Kinds that would add workloads: leaving them out silently would load another application than the one written. */
const otherWorkloads = new Set(['StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Pod', 'Job', 'CronJob']);

/** Pure. Throws ManifestError for whatever would change who may talk to whom and cannot be carried over. */
export function translate(files: readonly { readonly name: string; readonly text: string }[]): Application {
  const objects = files.flatMap((file) => readManifests(file.name, file.text));
  const of = (kind: string): ManifestObject[] => unique(objects.filter((object) => object.kind === kind));
  const unknown = objects.find((object) => otherWorkloads.has(object.kind));
  if (unknown !== undefined) throw new ManifestError(unknown, 'kind', `${unknown.kind} is not carried yet`, 'Write it as a Deployment, or leave it out.');
  const workloads = of('Deployment').map(workloadOf);
  return {
    workloads,
    services: of('Service').map((object) => serviceOf(object, workloads)),
    policies: of('NetworkPolicy').map((object) => policyOf(object)),
    ignored: objects.filter((object) => !['Deployment', 'Service', 'NetworkPolicy'].includes(object.kind)).map(({ kind, name }) => ({ kind, name })),
  };
}

function unique(objects: ManifestObject[]): ManifestObject[] {
  const seen = new Map<string, ManifestObject>();
  for (const object of objects) {
    const first = seen.get(object.name);
    if (first !== undefined) throw new ManifestError(object, 'metadata.name', `the same ${object.kind} is in ${first.file}:${first.line} already`, 'Keep one of the two.');
    seen.set(object.name, object);
    if (!nameSchema.safeParse(object.name).success) throw new ManifestError(object, 'metadata.name', 'is no name in Osier', 'Use lower-case letters, digits and "-", at most 63.');
  }
  return objects;
}
