/**
 * Kinds of groups that are an API server's own and nobody can add to: a group of custom resources has a dot in its name, and networking.k8s.io is served by it alone.
 * Whatever else is said to be of one of these is a mistake. Source: the API reference of Kubernetes 1.34.
 */
const kinds: Readonly<Record<string, readonly string[]>> = {
  'v1': [
    'Binding', 'ComponentStatus', 'ConfigMap', 'Endpoints', 'Event', 'LimitRange', 'Namespace', 'Node', 'PersistentVolume', 'PersistentVolumeClaim', 'Pod', 'PodTemplate', 'ReplicationController',
    'ResourceQuota', 'Secret', 'Service', 'ServiceAccount',
  ],
  'apps/v1': ['ControllerRevision', 'DaemonSet', 'Deployment', 'ReplicaSet', 'StatefulSet'],
  'autoscaling/v1': ['HorizontalPodAutoscaler', 'Scale'],
  'autoscaling/v2': ['HorizontalPodAutoscaler'],
  'batch/v1': ['CronJob', 'Job'],
  'policy/v1': ['Eviction', 'PodDisruptionBudget'],
  'networking.k8s.io/v1': ['Ingress', 'IngressClass', 'IPAddress', 'NetworkPolicy', 'ServiceCIDR'],
  'networking.k8s.io/v1beta1': ['IPAddress', 'ServiceCIDR'],
};

/** Why there is no such kind; undefined where there is one, or where anybody may have defined it. */
export function unknownKind(apiVersion: string, kind: string): string | undefined {
  const [group, version] = apiVersion.includes('/') ? [apiVersion.slice(0, apiVersion.lastIndexOf('/')), apiVersion.slice(apiVersion.lastIndexOf('/') + 1)] : ['', apiVersion];
  if (version === '' || group.includes('/')) return `${apiVersion} is not a version; write group/version, or v1`;
  if (group.includes('.') && group !== 'networking.k8s.io') return undefined;
  if (kinds[apiVersion]?.includes(kind) === true) return undefined;
  const like = Object.entries(kinds).flatMap(([of, known]) => known.filter((one) => one.toLowerCase() === kind.toLowerCase()).map((one) => `${one} of ${of}`));
  return `there is no ${kind} of ${apiVersion}${like.length === 0 ? '' : `; there is ${like.join(', ')}`}`;
}
