import type { AppPort, AppService, AppWorkload } from './application.ts';
import { asList, asMap, asText, dig, ManifestError, type ManifestObject, textMap } from './manifests.ts';

/** Deployment → a workload with the labels of its pods and the ports of its containers. Replicas are one: the lab is about who may talk to whom. */
export function workloadOf(object: ManifestObject): AppWorkload {
  const template = dig(object.value, 'spec', 'template');
  const containers = asList(dig(template, 'spec', 'containers'));
  return { name: object.name, tags: textMap(dig(template, 'metadata', 'labels')), ports: containers.flatMap((container, index) => portsOf(object, container, index)) };
}

function portsOf(object: ManifestObject, container: unknown, index: number): AppPort[] {
  return asList(asMap(container)?.ports).map((entry, position) => {
    const field = `spec.template.spec.containers[${index}].ports[${position}]`;
    const name = asText(asMap(entry)?.name);
    const port = asMap(entry)?.containerPort;
    if (typeof port !== 'number') throw new ManifestError(object, `${field}.containerPort`, 'is not a number', 'Give the port as a number.');
    return { ...(name === undefined ? {} : { name }), protocol: protocolOf(object, `${field}.protocol`, asMap(entry)?.protocol), port };
  });
}

/** Kubernetes' protocols; its default is TCP. */
export function protocolOf(object: ManifestObject, field: string, value: unknown): 'TCP' | 'UDP' {
  if (value === undefined || value === 'TCP') return 'TCP';
  if (value === 'UDP') return 'UDP';
  throw new ManifestError(object, field, `${String(value)} is not carried`, 'Use TCP or UDP, or leave the object out.');
}

export function serviceOf(object: ManifestObject, workloads: readonly AppWorkload[]): AppService {
  const selector = textMap(dig(object.value, 'spec', 'selector'));
  const behind = workloads.filter((w) => Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => w.tags[key] === value));
  const ports = asList(dig(object.value, 'spec', 'ports')).map((entry, index) => {
    const field = `spec.ports[${index}]`;
    const { name, port, targetPort, protocol } = asMap(entry) ?? {};
    if (typeof port !== 'number') throw new ManifestError(object, `${field}.port`, 'is not a number', 'Give the port as a number.');
    const target = typeof targetPort === 'string' ? behind.flatMap((w) => w.ports).find((p) => p.name === targetPort)?.port : (targetPort ?? port);
    if (typeof target !== 'number') throw new ManifestError(object, `${field}.targetPort`, `"${String(targetPort)}" names no port of the pods that it selects`, 'Name one of their container ports.');
    return { ...(typeof name === 'string' ? { name } : {}), protocol: protocolOf(object, `${field}.protocol`, protocol), port, targetPort: target };
  });
  return { name: object.name, selector, ports };
}
