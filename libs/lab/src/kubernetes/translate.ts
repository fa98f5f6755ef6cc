import { createHash } from 'node:crypto';
import { worldOf } from '@osier/domain/kubernetes/cluster';
import { documentsOf, nameIn } from '@osier/domain/kubernetes/documents';
import type { Application } from './application.ts';
import { ManifestError, type ManifestObject, readManifests } from './manifests.ts';
import { serviceOf } from './services.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Pure. Throws ManifestError for whatever would change who may talk to whom and cannot be carried over. */
export function translate(files: readonly { readonly name: string; readonly text: string }[], environment: string): Application {
  const objects = unique(files.flatMap((file) => readManifests(file.name, file.text)));
  const { endpoints, policies, projectPolicies, leftOut, problems } = documentsOf(worldOf(objects), { environment, digest });
  const [problem] = problems;
  if (problem !== undefined) {
    const at = objects.find(({ kind, namespace, name }) => (kind === problem.kind || problem.kind === 'pod') && [name, `${namespace}/${name}`].includes(problem.name));
    throw new ManifestError(at ?? { file: files[0]?.name ?? '', kind: problem.kind, name: problem.name }, problem.field, problem.reason, problem.fix);
  }
  return {
    workloads: endpoints, policies, projectPolicies, leftOut,
    services: objects.filter(({ kind }) => kind === 'Service').map((object) => serviceOf(object, nameIn(object.namespace, object.name, digest), endpoints)),
    ignored: objects.filter(({ kind, known }) => !known && kind !== 'Service').map(({ kind, name }) => ({ kind, name })),
  };
}

/** One application has each object once: which of two is meant, nobody can know. */
function unique(objects: ManifestObject[]): ManifestObject[] {
  const seen = new Map<string, ManifestObject>();
  for (const object of objects) {
    const key = `${object.apiVersion} ${object.kind} ${object.namespace} ${object.name}`;
    const first = seen.get(key);
    if (first !== undefined) throw new ManifestError(object, 'metadata.name', `the same ${object.kind} is in ${first.file}:${first.line} already`, 'Keep one of the two.');
    seen.set(key, object);
  }
  return objects;
}
