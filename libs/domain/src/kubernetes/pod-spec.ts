import { metadataSchema, objectSchema } from './metadata.ts';
import type { ObjectSchema, Schema } from './schema.ts';

/**
 * The form of pods and of what makes pods, as far as a verdict depends on it: a field that is misspelt or of another type would silently mean something else.
 * All other fields are only known by name. Source: core/v1, apps/v1 and batch/v1 of Kubernetes 1.35.
 */
const text = { type: 'string' } as const;
const named = (...names: readonly string[]): Record<string, Schema> => Object.fromEntries(names.map((name) => [name, { type: 'any' }]));
const listOf = (items: Schema): Schema => ({ type: 'array', nullIsEmpty: true, items });

const container: ObjectSchema = {
  type: 'object',
  fields: {
    ...named('args', 'command', 'env', 'envFrom', 'image', 'imagePullPolicy', 'lifecycle', 'livenessProbe', 'readinessProbe', 'resizePolicy', 'resources', 'restartPolicyRules', 'securityContext', 'startupProbe', 'stdin', 'stdinOnce',
      'terminationMessagePath', 'terminationMessagePolicy', 'tty', 'volumeDevices', 'volumeMounts', 'workingDir'),
    name: text, restartPolicy: text,
    ports: listOf({ type: 'object', fields: { name: text, hostPort: { type: 'integer' }, containerPort: { type: 'integer' }, protocol: text, hostIP: text } }),
  },
};
const podSpec: ObjectSchema = {
  type: 'object',
  fields: {
    ...named('activeDeadlineSeconds', 'affinity', 'automountServiceAccountToken', 'dnsConfig', 'dnsPolicy', 'enableServiceLinks', 'ephemeralContainers', 'hostAliases', 'hostIPC', 'hostPID', 'hostUsers', 'hostname', 'hostnameOverride',
      'imagePullSecrets', 'nodeSelector', 'os', 'overhead', 'preemptionPolicy', 'priority', 'priorityClassName', 'readinessGates', 'resourceClaims', 'resources', 'restartPolicy', 'runtimeClassName', 'schedulerName', 'schedulingGates',
      'securityContext', 'serviceAccount', 'serviceAccountName', 'setHostnameAsFQDN', 'shareProcessNamespace', 'subdomain', 'terminationGracePeriodSeconds', 'tolerations', 'topologySpreadConstraints', 'volumes', 'workloadRef'),
    nodeName: text, hostNetwork: { type: 'boolean' }, containers: listOf(container), initContainers: listOf(container),
  },
};
const template: ObjectSchema = { type: 'object', fields: { metadata: metadataSchema, spec: podSpec } };
const withTemplate = (...names: readonly string[]): ObjectSchema => ({ type: 'object', fields: { ...named(...names), template } });
const job = withTemplate('activeDeadlineSeconds', 'backoffLimit', 'backoffLimitPerIndex', 'completionMode', 'completions', 'managedBy', 'manualSelector', 'maxFailedIndexes', 'parallelism', 'podFailurePolicy', 'podReplacementPolicy',
  'selector', 'successPolicy', 'suspend', 'ttlSecondsAfterFinished');
const replicated = withTemplate('minReadySeconds', 'replicas', 'selector');
const specs: Readonly<Record<string, ObjectSchema>> = {
  Pod: podSpec,
  Deployment: withTemplate('minReadySeconds', 'paused', 'progressDeadlineSeconds', 'replicas', 'revisionHistoryLimit', 'selector', 'strategy'),
  StatefulSet: withTemplate('minReadySeconds', 'ordinals', 'persistentVolumeClaimRetentionPolicy', 'podManagementPolicy', 'replicas', 'revisionHistoryLimit', 'selector', 'serviceName', 'updateStrategy', 'volumeClaimTemplates'),
  DaemonSet: withTemplate('minReadySeconds', 'revisionHistoryLimit', 'selector', 'updateStrategy'),
  ReplicaSet: replicated, ReplicationController: replicated, Job: job,
  CronJob: {
    type: 'object',
    fields: {
      ...named('concurrencyPolicy', 'failedJobsHistoryLimit', 'schedule', 'startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'suspend', 'timeZone'),
      jobTemplate: { type: 'object', fields: { metadata: metadataSchema, spec: job } },
    },
  },
};
const address = listOf({ type: 'object', open: true, fields: { ip: text } });
const podStatus: ObjectSchema = { type: 'object', open: true, fields: { podIP: text, podIPs: address, hostIP: text, hostIPs: address, phase: text } };

/** Of the kind of a workload. */
export const workloadSchema = (kind: string): ObjectSchema => objectSchema({ spec: specs[kind] ?? { type: 'any' }, status: kind === 'Pod' ? podStatus : { type: 'any' } });
export const nodeSchema = objectSchema({ spec: { type: 'any' }, status: { type: 'object', open: true, fields: { addresses: listOf({ type: 'object', fields: { type: text, address: text } }) } } });
